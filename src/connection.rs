//! What a request may know of its connection: who asks, and whether the server is ending it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::watch;

/// How far the server has come in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Connections are accepted and served.
    Serving,
    /// No more are accepted; answers under way may finish, endless ones end themselves.
    Draining,
    /// Whatever is left is dropped.
    Over,
}

/// A handle on the connection of a request, found in the request's extensions.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    peer: SocketAddr,
    /// Never marked as seen, so that any change at all means the end has begun.
    phase: watch::Receiver<Phase>,
    answering: AtomicBool,
    stuck: AtomicBool,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, phase: watch::Receiver<Phase>) -> Self {
        Self(Arc::new(Shared {
            peer,
            phase,
            answering: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        }))
    }

    /// The address of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Whether the server has begun to stop, so that an endless answer ends now.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.0.phase.has_changed().unwrap_or(true)
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

    /// The server's phase, to wait for the next one.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.clone()
    }
}
