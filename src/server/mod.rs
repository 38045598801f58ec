//! What Node does inside `http`: accepts connections while there is room, serves each within its
//! limits, and ends them with the server. Knows no route.

mod gate;

mod handler;

mod limits;

pub mod host;

mod places;

mod shutdown;

pub mod socket;

mod wire;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, Shutdown};
use gate::pass;
pub use handler::Handler;
pub use limits::Limits;
use places::{Place, Places, admit};
use socket::Accept;
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
    let _ended_when_dropped = Alive(&server);
    let end = async {
        shutdown.await;
        server.shutdown().await;
    };
    tokio::join!(server.serve(listener, handler), end);
}

/// One server, which may be served on several runtimes: they share its places and its end.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    places: Arc<Places>,
    shutdown: Shutdown,
}

impl Server {
    /// A server that has yet to be served.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            places: Places::new(limits.max_connections),
            shutdown: Shutdown::default(),
            limits,
        }
    }

    /// Serves the connections of `listener` on the current runtime until the server is over.
    pub async fn serve<L: Accept, H: Handler>(&self, mut listener: L, handler: H) {
        let http = self.limits.http();
        loop {
            let (io, peer, place) = tokio::select! {
                biased;
                _ = self.shutdown.wait() => break,
                admitted = admit(&mut listener, &self.places) => admitted,
            };
            let connection = Connection::new(peer, &self.shutdown);
            tokio::spawn(attend(place, io, &http, handler.clone(), connection));
        }
        drop(listener);
        self.places.all_free().await;
    }

    /// Begins the shutdown, on all runtimes, and waits until the server is over: until
    /// [`Limits::drain`] has passed, at most.
    pub async fn shutdown(&self) {
        self.end_within(self.limits.drain());
        self.places.all_free().await;
        let unfinished = self.places.unfinished();
        if unfinished > 0 {
            tracing::warn!("{unfinished} connections are dropped unfinished");
        }
    }

    fn end_within(&self, time: Duration) {
        // Whoever was first has set it.
        let _ = self.shutdown.set(Instant::now() + time);
    }
}

/// A server that is over when this is dropped.
struct Alive<'a>(&'a Server);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.end_within(Duration::ZERO);
    }
}

/// Serves one connection to its end, or to the server's.
///
/// A block and not an `async fn`, which would keep its arguments twice in every task.
fn attend<I, H: Handler>(
    place: Place,
    io: I,
    http: &http1::Builder,
    handler: H,
    connection: Connection,
) -> impl Future<Output = ()> + use<I, H>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let wire = TokioIo::new(Wire::new(io, connection.clone()));
    let whose = connection.clone();
    let service =
        service_fn(move |request| Box::pin(pass(request, handler.clone(), whose.clone())));
    let mut serving = http.serve_connection(wire, service);
    async move {
        let end = tokio::select! {
            biased;
            // First, so that hyper keeps no connection for another request once answers end.
            end = connection.shutdown() => Some(end),
            _ = &mut serving => None,
        };
        if let Some(end) = end
            && connection.is_answering()
        {
            Pin::new(&mut serving).graceful_shutdown();
            if timeout_at(end, &mut serving).await.is_err() {
                place.give_up();
            }
        }
        // The place is free, and the server over, once the connection is closed.
        drop(serving);
        drop(place);
    }
}
