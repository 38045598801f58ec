//! The places for connections: a client waits for a free one, the end of the server for all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

use super::socket::Accept;

/// As many places as there may be connections.
#[derive(Debug)]
pub(super) struct Places {
    all: u32,
    free: Semaphore,
    taken: AtomicU32,
    full: AtomicBool,
    unfinished: AtomicU32,
}

/// The place of one connection, or of the next to come; free again when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    taken: bool,
}

impl Places {
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

    async fn reserve(self: &Arc<Self>) -> Place {
        self.acquire(1).await.forget();
        Place {
            places: Arc::clone(self),
            taken: false,
        }
    }

    /// Waits until no connection is left, and nobody waits for one.
    pub(super) async fn all_free(&self) {
        drop(self.acquire(self.all).await);
    }

    async fn acquire(&self, number: u32) -> SemaphorePermit<'_> {
        let permits = self.free.acquire_many(number).await;
        permits.expect("the semaphore is never closed")
    }

    /// How many connections were given up.
    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished.load(SeqCst)
    }
}

impl Place {
    fn take(&mut self) {
        self.taken = true;
        let places = &self.places;
        let taken = places.taken.fetch_add(1, SeqCst) + 1;
        if taken == places.all && !places.full.swap(true, SeqCst) {
            tracing::warn!(
                "all {} places are taken: later clients wait in the backlog",
                places.all
            );
        }
    }

    /// Notes that the connection is dropped before its answer has left.
    pub(super) fn give_up(&self) {
        self.places.unfinished.fetch_add(1, SeqCst);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.places;
        if self.taken {
            let taken = places.taken.fetch_sub(1, SeqCst) - 1;
            // A few more, lest the log say so for each client that takes the last place.
            if taken + places.all / 10 < places.all && places.full.swap(false, SeqCst) {
                tracing::info!("a place is free again: waiting clients get in");
            }
        }
        places.free.add_permits(1);
    }
}

/// Waits for a free place and then for a client to take it.
pub(super) async fn admit<L: Accept>(
    listener: &mut L,
    places: &Arc<Places>,
) -> (L::Io, SocketAddr, Place) {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut place = places.reserve().await;
    let mut pause = PAUSE;
    loop {
        match listener.accept().await {
            Ok((io, peer)) => {
                place.take();
                return (io, peer, place);
            }
            // The client has given up already: the next one need not wait.
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
