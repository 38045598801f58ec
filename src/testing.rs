//! The server on a free port of the loopback, for other people's tests.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::service::{Shared, respond};
use crate::stats::{Stats, Streams};
use longhaul::host::Host;
use longhaul::{Limits, Server, socket};

/// A server that runs in a thread of its own until it is dropped.
///
/// # Examples
///
/// ```
/// let server = sse_clock::testing::start()?;
///
/// let url = server.url("/events?interval=10&count=3&key=mine");
/// let events = reqwest::blocking::get(url).unwrap().text().unwrap();
///
/// assert_eq!(events.matches("data: ").count(), 3);
/// assert_eq!(server.stats_of("mine").events, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TestServer {
    scheme: &'static str,
    address: SocketAddr,
    streams: Arc<Streams>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a server with the default limits.
///
/// # Errors
///
/// When the loopback has no free port or the process no free file descriptor.
pub fn start() -> io::Result<TestServer> {
    start_with(Limits::default())
}

/// Starts a server with `limits`.
///
/// # Errors
///
/// As [`start`].
pub fn start_with(limits: Limits) -> io::Result<TestServer> {
    start_server(Server::new(limits))
}

/// Starts an HTTPS server with `limits`, over HTTP/2 or HTTP/1.1, and returns it with its
/// certificate for the loopback, in PEM, for the client to trust.
///
/// # Errors
///
/// As [`start`].
#[cfg(feature = "tls")]
pub fn start_tls(limits: Limits) -> io::Result<(TestServer, String)> {
    use longhaul::tls::{Certificate, Tls};
    let made = Certificate::make(None);
    let certificate = Certificate::from_pem(made.certificate.as_bytes(), made.key.as_bytes());
    let certificate = certificate.map_err(io::Error::other)?;
    let mut server = start_server(Server::new(limits).with_tls(Tls::new(certificate)))?;
    server.scheme = "https";
    Ok((server, made.certificate))
}

fn start_server(server: Server) -> io::Result<TestServer> {
    let sockets = socket::bind(Host::Address(Ipv4Addr::LOCALHOST.into()), 0)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, sockets.port().unwrap_or_default()));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        sockets.listener()?
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let shared = Arc::<Shared>::default();
    let streams = Arc::clone(&shared.streams);
    let thread = thread::Builder::new()
        .name("sse-clock".into())
        .spawn(move || {
            drop(sockets);
            let handler = move |request| respond(request, Arc::clone(&shared));
            let shutdown = async { drop(stopped.await) };
            runtime.block_on(server.serve_until(listener, handler, shutdown));
        })?;
    Ok(TestServer {
        scheme: "http",
        address,
        streams,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl TestServer {
    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of `path`, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Returns the counts of all streams.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.streams.stats(None)
    }

    /// Returns the counts of the streams that were opened with `key`.
    #[must_use]
    pub fn stats_of(&self, key: &str) -> Stats {
        self.streams.stats(Some(key))
    }

    /// Stops the server and returns its final counts.
    #[must_use = "dropping the server stops it as well"]
    pub fn stop(self) -> Stats {
        let streams = Arc::clone(&self.streams);
        drop(self);
        streams.stats(None)
    }
}

/// Ends the open streams and waits until the server is gone.
impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been reported by its own thread.
            let _ = thread.join();
        }
    }
}
