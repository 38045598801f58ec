//! What a request may know of its connection: who asks, and whether the server is shutting down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::SetOnce;
use tokio::time::Instant;

/// Set when the server begins to shut down: the instant by which all is over.
pub(crate) type Shutdown = Arc<SetOnce<Instant>>;

/// A handle on the connection of a request, found in the request's extensions.
#[derive(Clone, Debug)]
pub struct Connection(Arc<State>);

#[derive(Debug)]
struct State {
    peer: SocketAddr,
    shutdown: Shutdown,
    answering: AtomicBool,
    stuck: AtomicBool,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, shutdown: &Shutdown) -> Self {
        Self(Arc::new(State {
            peer,
            shutdown: Arc::clone(shutdown),
            answering: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        }))
    }

    /// The address of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Whether the server has begun to shut down, so that an endless answer ends now.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.shutdown.initialized()
    }

    /// Waits for the shutdown to begin, and says by when all is over.
    pub(crate) async fn shutdown(&self) -> Instant {
        *self.0.shutdown.wait().await
    }

    /// Whether an answer has begun and has not left this process as a whole.
    pub(crate) fn is_answering(&self) -> bool {
        self.0.answering.load(Relaxed) || self.is_stuck()
    }

    /// Notes that the head of an answer was given to hyper, or that its body is at its end.
    pub(crate) fn set_answering(&self, answering: bool) {
        self.0.answering.store(answering, Relaxed);
    }

    /// Whether bytes wait for room in the socket.
    pub(crate) fn is_stuck(&self) -> bool {
        self.0.stuck.load(Relaxed)
    }

    /// Notes whether they do, and says whether they did before.
    pub(crate) fn set_stuck(&self, stuck: bool) -> bool {
        self.0.stuck.swap(stuck, Relaxed)
    }
}
