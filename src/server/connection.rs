//! What a request may know of its connection: the peer, and whether the server is shutting down.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::SetOnce;

/// The shutdown of the server, in two steps that its connections wait for.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    /// Answers under way may finish, endless ones end, and no further request is taken.
    pub(crate) begun: SetOnce<()>,
    /// Whatever is left is dropped.
    pub(crate) over: SetOnce<()>,
}

/// A handle on the connection of a request, found in the request's extensions.
#[derive(Clone, Debug)]
pub struct Connection(Arc<State>);

#[derive(Debug)]
struct State {
    peer: SocketAddr,
    shutdown: Arc<Shutdown>,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, shutdown: &Arc<Shutdown>) -> Self {
        Self(Arc::new(State {
            peer,
            shutdown: Arc::clone(shutdown),
        }))
    }

    /// The address of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Whether the server has begun to shut down, so that an endless body ends now.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.shutdown.begun.initialized()
    }

    /// The shutdown of the server, to wait for its steps.
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }
}

/// Marks a response that is not sent: the server closes the connection before its first byte, and
/// over HTTP/2 resets the stream. A handler inserts the mark into the response's extensions.
#[derive(Clone, Copy, Debug)]
pub struct DropConnection;
