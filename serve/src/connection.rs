//! The connection of a request: the peer, and whether the server is shutting down.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::SetOnce;

/// The two steps of the server's shutdown, which the connections wait for.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    /// Responses under way may finish. Bodies without a known length end, and no further request is
    /// accepted.
    pub(crate) begun: SetOnce<()>,
    /// The remaining connections are dropped.
    pub(crate) over: SetOnce<()>,
}

/// A handle on a request's connection, found in the extensions of the request.
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

    /// Returns the address of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Returns whether the server has begun to shut down.
    ///
    /// A body without a known length then ends.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.shutdown.begun.initialized()
    }

    /// Returns the steps of the server's shutdown, to wait for.
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }
}

/// Marks a response that the server drops instead of sending.
///
/// The server closes the connection before the first byte of the response. Over HTTP/2 the server
/// resets the stream. A handler inserts the mark into the extensions of the response.
#[derive(Clone, Copy, Debug)]
pub struct DropConnection;
