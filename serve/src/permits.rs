//! Connection permits: a client waits for a free permit, the shutdown waits for all permits.

use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::socket::Accept;

/// As many permits as there may be connections.
#[derive(Debug)]
pub(super) struct Permits {
    all: usize,
    free: Semaphore,
    /// How many accept loops and connections there are.
    alive: watch::Sender<usize>,
    /// Whether the log says that all permits are taken.
    full: AtomicBool,
    /// Whether the log says how many connections are dropped unfinished.
    dropped: AtomicBool,
}

/// An accept loop or a connection, which the shutdown waits for.
pub(super) struct Alive(Arc<Permits>);

/// The permit of one connection, free again when dropped.
pub(super) struct Permit(Alive);

impl Permits {
    pub(super) fn new(all: usize) -> Arc<Self> {
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            all,
            free: Semaphore::new(all),
            alive: watch::Sender::new(0),
            full: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        })
    }

    pub(super) fn alive(self: &Arc<Self>) -> Alive {
        self.alive.send_modify(|alive| *alive += 1);
        Alive(Arc::clone(self))
    }

    /// Waits for a free permit.
    async fn acquire(self: &Arc<Self>) -> Permit {
        let permit = self.free.acquire().await;
        permit.expect("the semaphore is never closed").forget();
        if self.free.available_permits() == 0 && !self.full.swap(true, Relaxed) {
            let all = self.all;
            tracing::warn!(
                "all {all} connection permits are taken: later clients wait in the backlog"
            );
        }
        Permit(self.alive())
    }

    /// Waits until no accept loop and no connection is left.
    pub(super) async fn all_free(&self) {
        let mut alive = self.alive.subscribe();
        let is_over = alive.wait_for(|alive| *alive == 0).await;
        is_over.expect("the sender is borrowed");
    }

    /// Logs, for the first accept loop, how many connections are about to be dropped.
    pub(super) fn log_unfinished(&self) {
        let unfinished = *self.alive.borrow();
        if unfinished > 0 && !self.dropped.swap(true, Relaxed) {
            tracing::warn!("{unfinished} connections are dropped unfinished");
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let permits = &*self.0.0;
        permits.free.add_permits(1);
        // Hysteresis of 10 %, so that the log does not flap.
        let is_free = permits.free.available_permits() > permits.all / 10;
        if is_free && permits.full.swap(false, Relaxed) {
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
