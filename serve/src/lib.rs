//! A hyper server for long responses: bounded, aware of disconnected clients, clean at shutdown.
//!
//! The crate is for programs that stream to many clients: Server-Sent Events, logs, progress, long
//! downloads. Give the server a listener and a handler, which is any function from a request to a
//! response. The server accepts the connections, validates the requests, writes the bodies, and
//! drops a body when its client is gone. The crate knows no routes and no events.
//!
//! # A program
//!
//! An endless stream of events, until a signal. `curl -N localhost:3000` shows the events, and exits
//! with status 0 when the server stops.
//!
//! ```no_run
//! use std::{convert::Infallible, time::Duration};
//!
//! use http_body_util::StreamBody;
//! use hyper::{Response, body::{Bytes, Frame}};
//! use tokio::{net::TcpListener, time::{MissedTickBehavior, interval}};
//! use tokio_stream::{StreamExt, wrappers::IntervalStream};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind(("127.0.0.1", 3000)).await?;
//!     let handler = |_request| async {
//!         let mut ticks = interval(Duration::from_secs(1));
//!         ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
//!         let tick = |_| Ok::<_, Infallible>(Frame::data(Bytes::from("data: tick\n\n")));
//!         let response = Response::builder().header("Content-Type", "text/event-stream");
//!         response.body(StreamBody::new(IntervalStream::new(ticks).map(tick))).unwrap()
//!     };
//!     let stop = longhaul::process::stop_signal()?;
//!     longhaul::serve(listener, handler, longhaul::Limits::default(), stop).await;
//!     Ok(())
//! }
//! ```
//!
//! A connection is one task, and a response has no channel. hyper polls the body, and stops polling
//! while the socket is full. When the client leaves, the server drops the body, and with it the
//! interval.
//!
//! To serve on every core, create a [`Server`] and call [`Server::spawn_on_every_core`] with the
//! sockets of [`socket::bind`].
//! [`process::raise_open_files_limit`] returns a value for [`Limits::max_connections`].
//!
//! # Limits
//!
//! | limit | default | what a client sees at the limit |
//! |---|---|---|
//! | [`Limits::max_connections`] | 1,000 | The client waits without a response, in the backlog or as the one connection that each accept loop takes ahead. The server reads the request when another connection closes. |
//! | [`Limits::head_timeout`] | 10 s | The connection closes without a response. An HTTP/2 connection without an open stream gets a GOAWAY frame. |
//! | [`Limits::max_head`] | 8,192 bytes | 431 |
//! | [`Limits::max_streams`] | 128 for each HTTP/2 connection | The client holds further requests back. A request in excess is refused with `REFUSED_STREAM`. |
//! | [`Limits::stuck_timeout`] | 30 s, or up to a quarter more | The HTTP/2 stream is reset. The other streams go on. |
//! | [`Limits::drain`] | 5 s | At shutdown the connection closes before the end of the response. |
//! | header fields, HTTP/1.1 | 100, fixed | 431 |
//! | TLS handshake | 32 KiB, fixed | The connection closes. |
//! | unacknowledged bytes, or a shut TCP window | 20 s, fixed, on Linux | The connection closes. |
//! | written bytes that wait for room in the socket | 25 s, [`socket::Accept::WRITE_TIMEOUT`], on other systems | The connection closes. |
//!
//! The server never sheds load with 503. Any final status except 200 ends an `EventSource` for good: the
//! browser does not reconnect. A client that waits for a permit stays in the state `CONNECTING` and
//! gets its stream later. The server rejects request heads over a limit of the table, and
//! these requests:
//!
//! - 400 for bytes that are not HTTP, and for a request without exactly one `Host`, except over
//!   HTTP/1.0.
//! - 413 for content of any method except POST.
//! - 501 for a transfer coding except chunked, and for a CONNECT that gets a 2xx from the handler.
//!
//! # Disconnected clients
//!
//! The server drops the body of a response:
//!
//! - within 50 ms if the client closed,
//! - within 3 s if the client closed and had sent bytes that the server has not read,
//! - within 30 s if the client leaves full buffers unread; over HTTP/2 within 1.25 times
//!   [`Limits::stuck_timeout`], 38 s,
//! - within 30 s if the client vanished. On systems other than Linux the timeouts of the operating
//!   system apply instead.
//!
//! These times hold for tokio's `TcpListener` and for [`socket::Listener`]. Another listener sets
//! [`socket::Accept::WRITE_TIMEOUT`] for clients that stop reading.
//!
//! # Shutdown
//!
//! The shutdown begins when the last argument of [`serve`] resolves, or with [`Server::shutdown`]:
//!
//! 1. The accept loops stop, and their listeners are closed.
//! 2. Idle connections, handshakes and requests without a response are dropped. The future of a
//!    handler that is still at work is dropped too, so work that must finish belongs in a task of
//!    its own. Other connections finish their responses and take no further request, except HTTP/2
//!    requests that cross the GOAWAY frame.
//! 3. A body whose length has no upper bound ([`SizeHint::upper`]) when the shutdown begins ends
//!    cleanly: with the terminating chunk, or with the end of the HTTP/2 stream. Any other body is
//!    sent whole. A body that has failed is still cut off.
//! 4. After [`Limits::drain`] the remaining connections are dropped, also those that still send a
//!    response of known length.
//! 5. [`serve`] and [`Server::shutdown`] return when no connection is left.
//!
//! An `EventSource` reconnects after step 3, to the next process that listens. A handler can call
//! [`Connection::is_shutting_down`]. [`process::stop_signal`] resolves at the first signal.
//!
//! [`SizeHint::upper`]: hyper::body::SizeHint::upper
//!
//! # TLS and HTTP/2
//!
//! With the feature `tls` and `Server::with_tls` the server speaks TLS 1.3: HTTP/2 if the client
//! offers HTTP/2, otherwise HTTP/1.1. `tls::Certificate` is read from PEM or generated,
//! self-signed, for development. Plain HTTP on the same port gets a 400 that names the HTTPS URL.
//! Over HTTP/2 `:authority` is repeated as `Host`, so a handler reads one header for both versions.
//! The crypto provider is ring, which needs a C compiler.
//!
//! # An axum router
//!
//! A `Router` is a handler once it is called for one request. [`Content`] is the body of the
//! request, and `Extension<Connection>` extracts the [`Connection`].
//!
//! ```
//! # use std::{convert::Infallible, time::Duration};
//! # use tokio::time::interval;
//! # use tokio_stream::{StreamExt, wrappers::IntervalStream};
//! use axum::{Extension, Router, response::sse::{Event, Sse}, routing::get};
//! use longhaul::{Connection, Limits, serve};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
//! # let url = format!("http://{}/events", listener.local_addr()?);
//! # let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! # let stopped = async { drop(stopped.await) };
//! let events = |Extension(connection): Extension<Connection>| async move {
//!     let ticks = IntervalStream::new(interval(Duration::from_secs(1)));
//!     Sse::new(ticks.map(move |_| {
//!         let peer = connection.peer().ip();
//!         Ok::<_, Infallible>(Event::default().data(format!("hello {peer}")))
//!     }))
//! };
//! let router = Router::new().route("/events", get(events));
//! let handler = move |request| {
//!     let router = router.clone();
//!     async move { router.oneshot(request).await.unwrap_or_else(|never| match never {}) }
//! };
//! let server = tokio::spawn(serve(listener, handler, Limits::default(), stopped));
//! #
//! # let mut response = reqwest::get(url).await.unwrap();
//! # assert_eq!(response.chunk().await.unwrap().unwrap(), "data: hello 127.0.0.1\n\n");
//! # drop(stop);
//! # server.await?;
//! # assert_eq!(response.chunk().await.unwrap(), None);
//! # Ok(())
//! # }
//! ```
//!
//! # A tower service
//!
//! A service may fail, a handler may not. The handler turns an error into a response. To drop the
//! connection instead, the handler inserts [`DropConnection`].
//!
//! ```
//! use http_body_util::Full;
//! use hyper::{Request, Response, StatusCode, body::Bytes};
//! use longhaul::{Content, Limits, serve};
//! use tower::{ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
//! # let url = format!("http://{}", listener.local_addr()?);
//! # let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! # let stopped = async { drop(stopped.await) };
//! let service = service_fn(|request: Request<Content>| async move {
//!     match request.uri().path() {
//!         "/" => Ok(Response::new(Full::<Bytes>::from("hello"))),
//!         path => Err(format!("no {path}")),
//!     }
//! });
//! let handler = move |request| {
//!     let response = service.oneshot(request);
//!     async { response.await.unwrap_or_else(not_found) }
//! };
//! fn not_found(error: String) -> Response<Full<Bytes>> {
//!     let response = Response::builder().status(StatusCode::NOT_FOUND);
//!     response.body(error.into()).expect("the status is valid")
//! }
//! let server = tokio::spawn(serve(listener, handler, Limits::default(), stopped));
//! #
//! # let get = async |path| reqwest::get(format!("{url}{path}")).await.unwrap();
//! # assert_eq!(get("/").await.text().await.unwrap(), "hello");
//! # assert_eq!(get("/other").await.status(), 404);
//! # drop(stop);
//! # server.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Beside other servers
//!
//! What each server does by itself, with the settings that it has by default. The versions are
//! `axum::serve` of axum 0.8.9, the `auto` builder and `GracefulShutdown` of hyper-util 0.1.21, and
//! the `http1` and `http2` builders of hyper 1.12.0. "No" means that the program has to build it.
//!
//! | | longhaul | `axum::serve` | hyper-util | hyper |
//! |---|---|---|---|---|
//! | bound on connections | yes, clients wait | no | no | no |
//! | time limit of a request head | 10 s | no | no; 30 s once a timer is set, but no limit before the HTTP version is known | no; 30 s once a timer is set |
//! | HTTP/2 connection without a request | closed after 10 s | no | no | no |
//! | no `Host`, or two | 400 | passed to the handler | passed to the handler | passed to the handler |
//! | endless body at shutdown | ends cleanly | the shutdown waits for ever | the shutdown waits for ever | `graceful_shutdown` waits for ever |
//! | half a request head at shutdown | dropped | the shutdown waits for ever | the shutdown waits, for ever without a timer | `graceful_shutdown` waits, for ever without a timer |
//! | handler still at work at shutdown | its future is dropped | finishes | finishes | finishes |
//! | deadline of the shutdown | 5 s | no | no | no |
//! | client that stops reading | dropped within 30 s | no | no | no |
//! | client that sends a second request, then closes while the body is silent | noticed within 3 s | no, until a write fails | no, until a write fails | no, until a write fails |
//! | HTTP/2 stream with a shut window | reset within 38 s | no | no | no |
//! | accept errors, such as no file descriptor left | retry after 10 ms to 100 ms | retry after 1 s | the program accepts | the program accepts |
//! | content of PUT, PATCH and DELETE | 413 | passed to the handler | passed to the handler | passed to the handler |
//! | TLS | with the feature `tls` | with a listener of your own | the program negotiates | the program negotiates |
//! | WebSocket and other upgrades | no | yes | yes | yes |
//! | HTTP/2 without TLS | no | yes | yes | yes |
//! | Unix sockets | no | yes | yes | yes |
//!
//! # What the crate does not do
//!
//! - Routing, CORS, compression, files, authentication. A handler may be an axum router, see above.
//! - A bound on content. A handler that reads [`Content`] limits its size and its time itself, with
//!   `http_body_util::Limited` and `tokio::time::timeout`. Content of PUT, PATCH and DELETE is
//!   rejected with 413.
//! - Comments in a silent stream, which keep proxies from closing the stream. axum has
//!   `Sse::keep_alive`, the crate `sse-clock` has `keep_alive` for any stream.
//! - A time limit for the handler, or for a response that a client reads.
//! - Upgrades, such as WebSocket, and tunnels by CONNECT.
//! - HTTP/3, and HTTP/2 without TLS.
//! - Other settings of TLS: other protocols, TLS 1.2, client certificates, several certificates, and a new
//!   certificate while the server runs.
//! - Unix sockets and the PROXY protocol: [`Connection::peer`] is the address of the TCP peer.
//! - Limits for each client address, and rates.
//! - Metrics and configuration. The log goes to the crate `tracing`.
//!
//! # Features
//!
//! - `tls`: HTTPS and HTTP/2, off by default. The feature adds nearly thirty crates.

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
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::SetOnce;
use tokio::time::timeout;

pub use connection::{Connection, DropConnection};
pub use content::Content;
pub use handler::Handler;
use io::ServerIo;
pub use limits::Limits;
use permits::{Alive, Permits, accept};
use shutdown::ShutdownGuard;
use socket::{Accept, Sockets};
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
/// Dropping the future drops the connections. The crate's documentation has more on the
/// [shutdown](crate#shutdown) and the [limits](crate#limits).
///
/// # Panics
///
/// Panics outside a tokio runtime with timers (`tokio::runtime::Builder::enable_time`).
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
    /// [`Server::shutdown`] begins the shutdown, with the steps that [`serve`] lists. A call
    /// after the shutdown returns at once. Dropping the future drops the connections.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with timers, as [`serve`] does.
    pub async fn serve<L: Accept, H: Handler>(&self, listener: L, handler: H) {
        self.run(self.permits.alive(), listener, handler).await;
    }

    /// Serves as `accepting`, an accept loop that the shutdown waits for.
    async fn run<L: Accept>(&self, accepting: Alive, mut listener: L, handler: impl Handler) {
        let http = http1::settings(&self.limits);
        let guard = ShutdownGuard::default();
        loop {
            let (io, peer, permit) = tokio::select! {
                biased;
                () = self.ends.wait() => break,
                accepted = accept(&mut listener, &self.permits) => accepted,
            };
            let connection = Connection::new(peer, Arc::clone(&guard.0));
            let io = ServerIo::<L>::new(io, connection.clone());
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

    /// Serves the connections of `sockets` until [`Server::shutdown`], with one thread for each core.
    ///
    /// Each thread has a runtime and an accept loop of its own, so no task changes its thread, which
    /// costs less than one runtime of several threads. The number of cores is that of
    /// [`thread::available_parallelism`]. The function returns once all threads listen.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system, if a thread, a runtime or a listener cannot be
    /// created. Then the shutdown has begun.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(handler: impl longhaul::Handler) -> std::io::Result<()> {
    /// use longhaul::{Limits, Server, host::Host, process, socket};
    ///
    /// let server = Server::new(Limits::default());
    /// let stop = process::stop_signal()?;
    /// server.spawn_on_every_core(socket::bind(Host::Localhost, 3000)?, handler)?;
    /// stop.await;
    /// server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_on_every_core<H: Handler>(
        &self,
        sockets: Sockets,
        handler: H,
    ) -> std::io::Result<()> {
        let sockets = Arc::new(sockets);
        for _ in 0..thread::available_parallelism()?.get() {
            let (server, handler) = (self.clone(), handler.clone());
            let (accepting, sockets) = (self.permits.alive(), Arc::clone(&sockets));
            let set_up = || {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let context = runtime.enter();
                let listener = sockets.listener()?;
                drop((context, sockets));
                Ok((runtime, listener))
            };
            let (tell, told) = mpsc::sync_channel(1);
            let serve = move || match set_up() {
                Ok((runtime, listener)) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(server.run(accepting, listener, handler));
                }
                Err(error) => drop(tell.send(Err(error))),
            };
            let spawned = thread::Builder::new().spawn(serve);
            let begun = spawned.and_then(|_| {
                told.recv()
                    .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            });
            if let Err(error) = begun {
                let _ = self.ends.set(());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Serves the connections of `listener` until `shutdown` resolves, as [`serve`] does.
    ///
    /// The shutdown begins on all runtimes of the server.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with timers, as [`serve`] does.
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
