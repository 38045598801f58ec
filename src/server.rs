//! Accepts connections while there is room, serves each with its limits, and drains them at the
//! end. Knows no route.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::connection::{Alive, Connection};
use crate::gate::pass;
use crate::places::{Place, Places, admit};
use crate::socket::Accept;
use crate::wire::Wire;

/// The least time for a drain.
const AT_LEAST: Duration = Duration::from_millis(500);

/// What a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; at the cap the server stops accepting until a place is free, for
    /// a refusal would end an `EventSource` for good. At least 1.
    pub max_connections: usize,
    /// The time for a whole request head, and for the next one of a kept connection.
    pub head_timeout: Duration,
    /// The bytes of a request head, above which the answer is 431; at least 8,192, hyper's least.
    pub max_head: usize,
    /// How long streams that cannot be written to may hold up the end; at least half a second,
    /// which the others need to end as well.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            head_timeout: Duration::from_secs(10),
            max_head: 8192,
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves the connections of `listener` with `handler` until `shutdown` resolves.
///
/// Then the listener is closed, every body whose length is not known ends, connections that have
/// no answer under way are dropped, and so is after [`Limits::drain`] whatever is left.
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
pub async fn serve<L, H, F, B, S>(listener: L, handler: H, limits: Limits, shutdown: S)
where
    L: Accept,
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    S: Future<Output = ()>,
{
    Server::new(limits).serve(listener, handler, shutdown).await;
}

/// The limits of one server, shared by the runtimes that it is served on.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    places: Arc<Places>,
}

impl Server {
    /// A server whose calls of [`Server::serve`] share its places.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let places = Places::new(limits.max_connections);
        Self { limits, places }
    }

    /// As [`serve`], on the current runtime.
    pub async fn serve<L, H, F, B, S>(self, mut listener: L, handler: H, shutdown: S)
    where
        L: Accept,
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
        S: Future<Output = ()>,
    {
        let http = self.limits.http();
        let alive = Alive::default();
        // Nothing is ever sent: the channel closes with the last connection.
        let (open, mut closed) = mpsc::channel::<Infallible>(1);
        let mut shutdown = pin!(shutdown);
        loop {
            let (io, peer, place) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                admitted = admit(&mut listener, &self.places) => admitted,
            };
            let connection = Connection::new(peer, &alive);
            let guard = (place, open.clone());
            tokio::spawn(attend(guard, io, &http, handler.clone(), connection));
        }
        drop((listener, open));
        alive.drain();
        if timeout(self.limits.drain.max(AT_LEAST), closed.recv())
            .await
            .is_err()
        {
            let left = closed.sender_strong_count();
            tracing::warn!("{left} connections are dropped unfinished");
            drop(alive);
            closed.recv().await;
        }
    }
}

impl Limits {
    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(self.max_head.max(8192))
            .title_case_headers(true)
            // An event is one contiguous write, cheaper than three slices of it.
            .writev(false);
        http
    }
}

/// Serves one connection to its end, or to the server's.
///
/// A block and not an `async fn`, which would keep its arguments twice in every task.
fn attend<I, H, F, B>(
    guard: (Place, mpsc::Sender<Infallible>),
    io: I,
    http: &http1::Builder,
    handler: H,
    connection: Connection,
) -> impl Future<Output = ()> + use<I, H, F, B>
where
    I: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Incoming>) -> F + Clone,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let wire = TokioIo::new(Wire::new(io, connection.clone()));
    let whose = connection.clone();
    let service =
        service_fn(move |request| Box::pin(pass(request, handler.clone(), whose.clone())));
    let mut serving = http.serve_connection(wire, service);
    async move {
        let ends = tokio::select! {
            biased;
            // First, so that hyper keeps no connection for another request once answers end.
            () = connection.life().draining.wait() => true,
            _ = &mut serving => false,
        };
        if ends && connection.is_answering() {
            Pin::new(&mut serving).graceful_shutdown();
            tokio::select! {
                biased;
                _ = &mut serving => {}
                () = connection.life().over.wait() => {}
            }
        }
        // The place is free, and the server over, once the connection is closed.
        drop(serving);
        drop(guard);
    }
}
