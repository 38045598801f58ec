//! Accepts connections while there is room, serves each with its limits, and drains them at the
//! end. Knows no route.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::connection::{Connection, Phase};
use crate::places::{Place, Places};
use crate::shutdown::Ending;
use crate::socket::Accept;
use crate::wire::Wire;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
    /// How long streams that cannot be written to may hold up the end.
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
/// Then the listener is closed, every endless body ends, connections that have no answer under
/// way are dropped, and so is after [`Limits::drain`] whatever is left.
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
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
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
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        S: Future<Output = ()>,
    {
        let http = Arc::new(self.limits.http());
        let (phase, watcher) = watch::channel(Phase::Serving);
        let (open, opened) = watch::channel(());
        let mut shutdown = pin!(shutdown);
        loop {
            let (io, peer, place) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                admitted = admit(&mut listener, &self.places) => admitted,
            };
            let connection = Connection::new(peer, watcher.clone());
            let (http, handler) = (http.clone(), handler.clone());
            let guard = (place, opened.clone());
            tokio::spawn(attend(guard, io, http, handler, connection));
        }
        drop((listener, opened));
        phase.send_replace(Phase::Draining);
        if timeout(self.limits.drain, open.closed()).await.is_err() {
            tracing::warn!(
                "{} connections are dropped unfinished",
                open.receiver_count()
            );
            phase.send_replace(Phase::Over);
            open.closed().await;
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

/// Waits for a free place and then for a client to take it.
async fn admit<L: Accept>(listener: &mut L, places: &Arc<Places>) -> (L::Io, SocketAddr, Place) {
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

/// Serves one connection to its end, or to the server's.
///
/// A block and not an `async fn`, which would keep its arguments twice in every task.
fn attend<I, H, F, B>(
    guard: (Place, watch::Receiver<()>),
    io: I,
    http: Arc<http1::Builder>,
    handler: H,
    connection: Connection,
) -> impl Future<Output = ()>
where
    I: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    async move {
        let _guard = guard;
        let mut phase = connection.phase();
        let wire = TokioIo::new(Wire::new(io, connection.clone()));
        let service = service_fn(|request| Box::pin(answer(request, &handler, connection.clone())));
        let mut serving = pin!(http.serve_connection(wire, service));
        tokio::select! {
            biased;
            // First, so that hyper keeps no connection for another request once answers end.
            () = reached(&mut phase, Phase::Draining) => {}
            _ = &mut serving => return,
        }
        if connection.is_answering() {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                _ = serving => {}
                () = reached(&mut phase, Phase::Over) => {}
            }
        }
    }
}

/// Waits for `phase` or a later one, or until nobody is left to bring it about.
async fn reached(watcher: &mut watch::Receiver<Phase>, phase: Phase) {
    drop(watcher.wait_for(|now| *now >= phase).await);
}

/// Refuses what no route may see, and hands the rest to the handler.
async fn answer<H, F, B>(
    mut request: Request<Incoming>,
    handler: &H,
    connection: Connection,
) -> Result<Response<Ending<Either<Full<Bytes>, B>>>, Infallible>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    let body = |body| Ending::new(body, connection.clone());
    if let Some(refusal) = refuse(&request) {
        return Ok(refusal.map(Either::Left).map(body));
    }
    let stays = request.version() == Version::HTTP_11 && !asks_to_close(request.headers());
    request.extensions_mut().insert(connection.clone());
    let mut response = handler(request).await;
    if !stays {
        // hyper says `close` itself, and would say it beside the handler's `keep-alive`.
        response.headers_mut().remove(CONNECTION);
    }
    Ok(response.map(Either::Right).map(body))
}

fn asks_to_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// Requests that are malformed by RFC 9112 section 3.2, or that bring content nobody asked for.
fn refuse<B: Body>(request: &Request<B>) -> Option<Response<Full<Bytes>>> {
    let hosts = request.headers().get_all(HOST).iter().count();
    let (status, reason) = if request.version() == Version::HTTP_11 && hosts != 1 {
        (
            StatusCode::BAD_REQUEST,
            "a request needs exactly one Host\n",
        )
    } else if !request.body().is_end_stream() {
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            "no request here takes content\n",
        )
    } else {
        return None;
    };
    let mut refusal = Response::new(Full::from(reason));
    *refusal.status_mut() = status;
    let headers = refusal.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Some(refusal)
}
