//! Connection permits: a client waits for a free permit, the shutdown waits for all permits.

use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::socket::Accept;

/// As many permits as there may be connections.
#[derive(Debug)]
pub(super) struct Permits {
    all: usize,
    taken: watch::Sender<usize>,
    /// Whether the log says that all permits are taken.
    full: AtomicBool,
    /// Whether the log says how many connections are dropped unfinished.
    dropped: AtomicBool,
}

/// The permit of one connection, free again when dropped.
pub(super) struct Permit(Arc<Permits>);

impl Permits {
    pub(super) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self {
            all: all.max(1),
            taken: watch::Sender::new(0),
            full: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        })
    }

    /// Waits for a free permit.
    async fn acquire(self: &Arc<Self>) -> Permit {
        let all = self.all;
        let mut taken = self.taken.subscribe();
        let take = |taken: &mut usize| {
            let is_free = *taken < all;
            *taken += usize::from(is_free);
            is_free
        };
        while !self.taken.send_if_modified(take) {
            let is_free = taken.wait_for(|taken| *taken < all).await;
            is_free.expect("the sender is borrowed");
        }
        if *self.taken.borrow() == all && !self.full.swap(true, Relaxed) {
            tracing::warn!(
                "all {all} connection permits are taken: later clients wait in the backlog"
            );
        }
        Permit(Arc::clone(self))
    }

    /// Waits until no connection is left.
    pub(super) async fn all_free(&self) {
        let mut taken = self.taken.subscribe();
        let is_free = taken.wait_for(|taken| *taken == 0).await;
        is_free.expect("the sender is borrowed");
    }

    /// Logs, for the first accept loop, how many connections are about to be dropped.
    pub(super) fn log_unfinished(&self) {
        if !self.dropped.swap(true, Relaxed) {
            let unfinished = *self.taken.borrow();
            tracing::warn!("{unfinished} connections are dropped unfinished");
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (all, taken) = (self.0.all, &self.0.taken);
        taken.send_modify(|taken| *taken -= 1);
        // Hysteresis of 10 %, so that the log does not flap.
        if *taken.borrow() + all / 10 < all && self.0.full.swap(false, Relaxed) {
            tracing::info!("a connection permit is free again: waiting clients get in");
        }
    }
}

/// Accepts a client's connection, then waits for a free permit.
pub(super) async fn accept<L: Accept>(
    listener: &mut L,
    permits: &Arc<Permits>,
) -> (L::Io, SocketAddr, Permit) {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut pause = PAUSE;
    loop {
        let error = match listener.accept().await {
            Ok((io, peer)) => return (io, peer, permits.acquire().await),
            Err(error) => error,
        };
        match error.kind() {
            // The client has given up already, so the next client need not wait.
            ConnectionAborted | ConnectionRefused | ConnectionReset => yield_now().await,
            // Out of file descriptors or memory: an immediate retry would spin.
            _ => {
                if pause == PAUSE {
                    tracing::error!("cannot accept a connection, will go on trying: {error}");
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE * 10);
            }
        }
    }
}
