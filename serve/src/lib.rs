//! A hyper server for long responses: bounded, aware of disconnected clients, clean at shutdown.
//!
//! The server does what Node does inside `http`. Give the server a listener and a handler, which is
//! any function from a request to a response:
//!
//! - The server accepts connections while permits are free ([`Limits::max_connections`]). Other
//!   clients wait.
//! - The server limits each request head in time and size, and rejects malformed requests.
//! - The server notices clients that are gone, and drops the body of their response: within 50 ms
//!   if they closed, within 3 s if they closed with unread bytes, within 30 s if they vanished or
//!   stopped reading.
//! - At shutdown every body without a known length ends cleanly. Connections that cannot be written
//!   to are dropped after [`Limits::drain`].
//! - With the feature `tls` the server speaks HTTPS: HTTP/2 if the client offers HTTP/2, otherwise
//!   HTTP/1.1.
//!
//! The crate knows no routes and no events. [`serve`] has an example of twenty lines.

mod handler;
mod connection;
mod content;
mod limits;
pub mod host;
pub mod socket;
pub mod process;
mod permits;
mod io;
#[cfg(feature = "tls")]
pub mod tls;
mod http1;
#[cfg(feature = "tls")]
mod http2;
mod validate;
mod shutdown;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SetOnce;
use tokio::time::timeout;

pub use connection::{Connection, DropConnection};
pub use content::Content;
pub use handler::Handler;
use io::ServerIo;
pub use limits::Limits;
use permits::{Permits, accept};
use shutdown::ShutdownGuard;
use socket::Accept;
#[cfg(feature = "tls")]
use tls::Tls;

/// Serves the connections of `listener` with `handler` until `shutdown` resolves.
///
/// Then the server shuts down:
///
/// - The listener is closed.
/// - Every body without a known length ends.
/// - Connections without a response under way are dropped.
/// - After [`Limits::drain`] the remaining connections are dropped.
///
/// Dropping the future drops the connections.
///
/// # Examples
///
/// ```
/// use http_body_util::Full;
/// use hyper::{Response, body::Bytes};
/// use longhaul::{Limits, serve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
/// let url = format!("http://{}/", listener.local_addr()?);
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let mut limits = Limits::default();
/// limits.max_connections = 10;
///
/// let server = tokio::spawn(serve(
///     listener,
///     |_request| async { Response::new(Full::new(Bytes::from("hello"))) },
///     limits,
///     async { drop(stopped.await) },
/// ));
///
/// assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "hello");
/// drop(stop);
/// server.await?;
/// # Ok(())
/// # }
/// ```
pub async fn serve<L: Accept, H: Handler>(
    listener: L,
    handler: H,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let server = Server::new(limits);
    server.serve_until(listener, handler, shutdown).await;
}

/// A server that can be served on several runtimes.
///
/// The runtimes share the connection permits and the shutdown.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    permits: Arc<Permits>,
    ends: Arc<SetOnce<()>>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    /// Creates a server that serves no connections yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            permits: Permits::new(limits.max_connections),
            ends: Arc::default(),
            limits,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Returns the server with HTTPS enabled.
    ///
    /// Connections use HTTP/2 if the client offers HTTP/2, otherwise HTTP/1.1.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves the connections of `listener` on the current runtime until the shutdown is over.
    ///
    /// [`Server::shutdown`] begins the shutdown, with the steps that [`serve`] lists. Dropping the
    /// future drops the connections.
    pub async fn serve<L: Accept, H: Handler>(&self, mut listener: L, handler: H) {
        let http = http1::settings(&self.limits);
        let guard = ShutdownGuard::default();
        let accepting = self.permits.alive();
        loop {
            let (io, peer, permit) = tokio::select! {
                biased;
                () = self.ends.wait() => break,
                accepted = accept(&mut listener, &self.permits) => accepted,
            };
            let connection = Connection::new(peer, Arc::clone(&guard.0));
            let io = ServerIo::new(io, connection.clone(), L::peer);
            let handler = handler.clone();
            #[cfg(feature = "tls")]
            if let Some(tls) = &self.tls {
                let (tls, limits) = (tls.clone(), self.limits.clone());
                tokio::spawn(tls::serve(permit, io, tls, limits, handler, connection));
                continue;
            }
            tokio::spawn(http1::serve(permit, io, &http, handler, connection));
        }
        drop(listener);
        drop(accepting);
        guard.begin_shutdown();
        let drain = self.limits.drain.max(Duration::from_millis(500));
        if timeout(drain, self.permits.all_free()).await.is_err() {
            self.permits.log_unfinished();
            drop(guard);
            self.permits.all_free().await;
        }
    }

    /// Serves the connections of `listener` until `shutdown` resolves, as [`serve`] does.
    pub async fn serve_until<L: Accept, H: Handler>(
        &self,
        listener: L,
        handler: H,
        shutdown: impl Future<Output = ()>,
    ) {
        let end = async {
            shutdown.await;
            self.shutdown().await;
        };
        tokio::join!(self.serve(listener, handler), end);
    }

    /// Begins the shutdown on all runtimes and waits until the shutdown is over.
    ///
    /// The wait takes at most [`Limits::drain`].
    pub async fn shutdown(&self) {
        // An error means that an earlier call has begun the shutdown.
        let _ = self.ends.set(());
        self.permits.all_free().await;
    }
}
