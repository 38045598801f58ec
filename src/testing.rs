//! The server on a free port of the loopback, for other people's tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{future, io};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::server::{Limits, serve};
use crate::service::{Shared, respond};
use crate::socket::{self, Host};

/// A server that runs in a thread of its own until it is dropped.
///
/// # Examples
///
/// ```
/// let server = sse_clock::testing::start()?;
/// let page = reqwest::blocking::get(server.url("/")).unwrap();
/// assert_eq!(page.status(), 200);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
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
    let sockets = socket::bind(Host::Address(Ipv4Addr::LOCALHOST.into()), 0)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, sockets.port().unwrap_or_default()));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        sockets.listener()?
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = thread::Builder::new()
        .name("sse-clock".into())
        .spawn(move || {
            drop(sockets);
            let shared = Arc::<Shared>::default();
            let handler = move |request| future::ready(respond(&request, &shared));
            let shutdown = async { drop(stopped.await) };
            runtime.block_on(serve(listener, handler, limits, shutdown));
        })?;
    Ok(TestServer {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl TestServer {
    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
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
