//! The places for connections: how many are taken, and waiting for a free one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::Semaphore;

/// As many places as there may be connections.
#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    free: Semaphore,
    taken: AtomicUsize,
}

/// A place set aside for a connection that has yet to come.
pub(crate) struct Reservation(Arc<Places>);

/// The place of one connection, free again when dropped.
pub(crate) struct Place(Reservation);

impl Places {
    pub(crate) fn new(all: usize) -> Arc<Self> {
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            all,
            free: Semaphore::new(all),
            taken: AtomicUsize::new(0),
        })
    }

    /// Waits until there is a free place.
    pub(crate) async fn reserve(self: &Arc<Self>) -> Reservation {
        let permit = self.free.acquire().await;
        permit.expect("the semaphore is never closed").forget();
        Reservation(Arc::clone(self))
    }
}

impl Reservation {
    pub(crate) fn take(self) -> Place {
        let places = &self.0;
        if places.taken.fetch_add(1, SeqCst) + 1 == places.all {
            tracing::warn!(
                "all {} places are taken: later clients wait in the backlog",
                places.all
            );
        }
        Place(self)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.free.add_permits(1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.0.0;
        if places.taken.fetch_sub(1, SeqCst) == places.all {
            tracing::info!("a place is free again: waiting clients get in");
        }
    }
}
