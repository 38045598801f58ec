//! What Node does inside `http`: accepts connections while there is room, serves each within its
//! limits, and ends them with the server. Knows no route.

mod handler;
mod connection;
mod content;
mod limits;
pub mod host;
pub mod socket;
mod places;
mod line;
mod wire;
#[cfg(feature = "tls")]
pub mod tls;
mod http1;
#[cfg(feature = "tls")]
mod http2;
mod gate;
mod shutdown;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::SetOnce;
use tokio::time::timeout;

pub use connection::{Connection, DropConnection};
pub use content::Content;
pub use handler::Handler;
pub use limits::Limits;
use line::Line;
use places::{Places, admit};
use shutdown::Alive;
use socket::Accept;
#[cfg(feature = "tls")]
use tls::Tls;
use wire::Wire;

/// Serves the connections of `listener` with `handler` until `shutdown` resolves.
///
/// Then the listener is closed, every body whose length is not known ends, connections that have
/// no answer under way are dropped, and so is after [`Limits::drain`] whatever is left. Dropping
/// the future drops the connections.
///
/// # Examples
///
/// ```
/// use http_body_util::Full;
/// use hyper::{Response, body::Bytes};
/// use sse_clock::server::{Limits, serve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
/// let url = format!("http://{}/", listener.local_addr()?);
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
///
/// let server = tokio::spawn(serve(
///     listener,
///     |_request| async { Response::new(Full::new(Bytes::from("hello"))) },
///     Limits { max_connections: 10, ..Limits::default() },
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

/// One server, which may be served on several runtimes: they share its places and its end.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    places: Arc<Places>,
    ends: Arc<SetOnce<()>>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    /// A server that has yet to be served.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            places: Places::new(limits.max_connections),
            ends: Arc::default(),
            limits,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The server over HTTPS, by HTTP/2 or HTTP/1.1 as the client prefers.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves the connections of `listener` on the current runtime until [`Server::shutdown`] is
    /// over, as the room `shutdown` tells it. Dropping the future drops the connections.
    pub async fn serve<L: Accept, H: Handler>(&self, mut listener: L, handler: H) {
        let http = http1::settings(&self.limits);
        let alive = Alive::default();
        loop {
            let (io, peer, place) = tokio::select! {
                biased;
                () = self.ends.wait() => break,
                admitted = admit(&mut listener, &self.places) => admitted,
            };
            let line = Line::new(Connection::new(peer, alive.shutdown()));
            let wire = Wire::new(io, Arc::clone(&line), L::peer);
            let handler = handler.clone();
            #[cfg(feature = "tls")]
            if let Some(tls) = &self.tls {
                let limits = self.limits.clone();
                tokio::spawn(tls::attend(place, wire, tls.clone(), limits, handler, line));
                continue;
            }
            tokio::spawn(http1::attend(place, wire, &http, handler, line));
        }
        drop(listener);
        alive.begin_shutdown();
        let all_free = self.places.all_free();
        if timeout(self.limits.time_to_drain(), all_free)
            .await
            .is_err()
        {
            drop(alive);
            self.places.all_free().await;
        }
    }

    /// Serves as [`serve`] does.
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

    /// Begins the shutdown, on all runtimes, and waits until it is over: until [`Limits::drain`]
    /// has passed, at most.
    pub async fn shutdown(&self) {
        // Whoever was first has set it.
        let _ = self.ends.set(());
        self.places.all_free().await;
        let unfinished = self.places.unfinished();
        if unfinished > 0 {
            tracing::warn!("{unfinished} connections are dropped unfinished");
        }
    }
}
