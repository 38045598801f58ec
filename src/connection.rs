//! What a request may know of its connection: who asks, and whether the server is ending it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::SetOnce;

/// The end of a server's life, in two steps that its connections wait for.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// No more connections are accepted; answers under way may finish, endless ones end themselves.
    pub(crate) draining: SetOnce<()>,
    /// Whatever is left is dropped.
    pub(crate) over: SetOnce<()>,
}

/// A life that is over when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Alive(Arc<Life>);

impl Alive {
    /// Begins the end.
    pub(crate) fn drain(&self) {
        // Whoever was first has set it.
        let _ = self.0.draining.set(());
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.drain();
        let _ = self.0.over.set(());
    }
}

/// A handle on the connection of a request, found in the request's extensions.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    peer: SocketAddr,
    life: Arc<Life>,
    answering: AtomicBool,
    stuck: AtomicBool,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, server: &Alive) -> Self {
        Self(Arc::new(Shared {
            peer,
            life: Arc::clone(&server.0),
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
        self.0.life.draining.initialized()
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

    /// The life of the server, to wait for its end.
    pub(crate) fn life(&self) -> &Life {
        &self.0.life
    }
}
