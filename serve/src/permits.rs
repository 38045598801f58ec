//! Connection permits: a client waits for a free permit, the shutdown waits for all permits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

use super::socket::Accept;

/// As many permits as there may be connections.
#[derive(Debug)]
pub(super) struct Permits {
    all: u32,
    free: Semaphore,
    taken: AtomicU32,
    full: AtomicBool,
    unfinished: AtomicU32,
}

/// The permit of one connection, or of the next connection to come; free again when dropped.
pub(super) struct Permit {
    permits: Arc<Permits>,
    taken: bool,
}

impl Permits {
    pub(super) fn new(all: usize) -> Arc<Self> {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let all = u32::try_from(all.clamp(1, most)).unwrap_or(u32::MAX);
        Arc::new(Self {
            all,
            free: Semaphore::new(all as usize),
            taken: AtomicU32::new(0),
            full: AtomicBool::new(false),
            unfinished: AtomicU32::new(0),
        })
    }

    async fn reserve(self: &Arc<Self>) -> Permit {
        self.acquire(1).await.forget();
        Permit {
            permits: Arc::clone(self),
            taken: false,
        }
    }

    /// Waits until no connection is left and no accept loop waits for a connection.
    pub(super) async fn all_free(&self) {
        drop(self.acquire(self.all).await);
    }

    async fn acquire(&self, number: u32) -> SemaphorePermit<'_> {
        let permits = self.free.acquire_many(number).await;
        permits.expect("the semaphore is never closed")
    }

    /// Returns how many connections were given up.
    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished.load(SeqCst)
    }
}

impl Permit {
    fn take(&mut self) {
        self.taken = true;
        let permits = &self.permits;
        let taken = permits.taken.fetch_add(1, SeqCst) + 1;
        if taken == permits.all && !permits.full.swap(true, SeqCst) {
            tracing::warn!(
                "all {} connection permits are taken: later clients wait in the backlog",
                permits.all
            );
        }
    }

    /// Records that the connection is dropped before the whole response has left.
    pub(super) fn give_up(&self) {
        self.permits.unfinished.fetch_add(1, SeqCst);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let permits = &self.permits;
        if self.taken {
            let taken = permits.taken.fetch_sub(1, SeqCst) - 1;
            // Hysteresis of 10 %, so that the log does not flap.
            if taken + permits.all / 10 < permits.all && permits.full.swap(false, SeqCst) {
                tracing::info!("a connection permit is free again: waiting clients get in");
            }
        }
        permits.free.add_permits(1);
    }
}

/// Waits for a free permit, then for a client's connection.
pub(super) async fn accept<L: Accept>(
    listener: &mut L,
    permits: &Arc<Permits>,
) -> (L::Io, SocketAddr, Permit) {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut permit = permits.reserve().await;
    let mut pause = PAUSE;
    loop {
        match listener.accept().await {
            Ok((io, peer)) => {
                permit.take();
                return (io, peer, permit);
            }
            // The client has given up already, so the next client need not wait.
            Err(error) if is_of_one_connection(&error) => tokio::task::yield_now().await,
            // Out of file descriptors or memory: an immediate retry would spin.
            Err(error) => {
                if pause == PAUSE {
                    tracing::error!("cannot accept a connection, will go on trying: {error}");
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE * 10);
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
