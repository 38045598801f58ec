//! The places for connections: waits for a free one, and then for a client to take it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::socket::Accept;

/// As many places as there may be connections.
#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    free: Semaphore,
    taken: AtomicUsize,
    full: AtomicBool,
}

/// A place set aside for a connection that has yet to come.
struct Reservation(Arc<Places>);

/// The place of one connection, free again when dropped.
pub(crate) struct Place(Reservation);

impl Places {
    pub(crate) fn new(all: usize) -> Arc<Self> {
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            all,
            free: Semaphore::new(all),
            taken: AtomicUsize::new(0),
            full: AtomicBool::new(false),
        })
    }

    async fn reserve(self: &Arc<Self>) -> Reservation {
        let permit = self.free.acquire().await;
        permit.expect("the semaphore is never closed").forget();
        Reservation(Arc::clone(self))
    }
}

impl Reservation {
    fn take(self) -> Place {
        let places = &self.0;
        let taken = places.taken.fetch_add(1, SeqCst) + 1;
        if taken == places.all && !places.full.swap(true, SeqCst) {
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
        let taken = places.taken.fetch_sub(1, SeqCst) - 1;
        // A few more, lest the log say so for each client that takes the last place.
        if taken + places.all / 10 < places.all && places.full.swap(false, SeqCst) {
            tracing::info!("a place is free again: waiting clients get in");
        }
    }
}

/// Waits for a free place and then for a client to take it.
pub(crate) async fn admit<L: Accept>(
    listener: &mut L,
    places: &Arc<Places>,
) -> (L::Io, SocketAddr, Place) {
    const PAUSE: Duration = Duration::from_millis(10);
    let reservation = places.reserve().await;
    let mut pause = PAUSE;
    loop {
        match listener.accept().await {
            Ok((io, peer)) => return (io, peer, reservation.take()),
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
