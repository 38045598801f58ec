//! The listening sockets and their options, which the accepted connections inherit.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpListener, TcpStream};

use super::host::Host;

/// How many clients may wait to be accepted: enough for all to reconnect at once after a restart.
const BACKLOG: i32 = 4096;

/// How long a peer may leave data unacknowledged, or its window shut, before the peer counts as
/// gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long written bytes may wait for room in the socket, where the operating system has no
/// timeout for a peer that does not read.
const WRITE_TIMEOUT: Option<Duration> = if cfg!(target_os = "linux") {
    None
} else {
    Some(Duration::from_secs(25))
};

/// Bytes of a kernel buffer, which limit the cost of a stalled reader.
///
/// Linux doubles the value for its bookkeeping.
const BUFFER: usize = 16 * 1024;

/// The state of a connection's peer while the server does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// The peer may send more.
    Open,
    /// Unread bytes fill the receive buffer, so that a FIN would not fit behind them.
    Full,
    /// The peer has closed or reset the connection.
    Gone,
}

/// Unread bytes that may leave no room for a FIN of the peer: half of the smallest window.
const FULL: usize = BUFFER / 2;

/// Accepts the connections that a server serves.
pub trait Accept: Send + 'static {
    /// The byte stream of a connection, with a waker each for reads and for writes.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// How long written bytes may wait for room in the socket.
    ///
    /// Then the server closes the connection. With `None`, the default, the server waits as long as
    /// the socket does.
    const WRITE_TIMEOUT: Option<Duration> = None;

    /// Waits for the next connection.
    ///
    /// Dropping the future loses no connection.
    ///
    /// # Errors
    ///
    /// Returns the errors of accept(2). The server calls `accept` again after any error. The server
    /// first waits a little, except after an error of one connection only.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;

    /// Returns the state of the peer of `io` without reading.
    ///
    /// The server calls `peer` twice a second while a response is under way and the next request
    /// waits behind that response. With [`Peer::Open`], the default, the server notices a closed
    /// peer once its bytes are read or a write fails.
    fn peer(io: &Self::Io) -> Peer {
        let _ = io;
        Peer::Open
    }
}

impl Accept for TcpListener {
    type Io = TcpStream;

    const WRITE_TIMEOUT: Option<Duration> = WRITE_TIMEOUT;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // If the options cannot be set, the client has left or does without them.
        let _ = tune(&SockRef::from(&stream));
        Ok((stream, peer))
    }

    fn peer(io: &TcpStream) -> Peer {
        let ready = pin!(io.ready(Interest::READABLE));
        let ready = ready.poll(&mut Context::from_waker(Waker::noop()));
        if matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed()) {
            return Peer::Gone;
        }
        match SockRef::from(io).peek(&mut [MaybeUninit::uninit(); FULL]) {
            Ok(FULL) => Peer::Full,
            _ => Peer::Open,
        }
    }
}

/// The bound sockets of a host: two for the loopback, otherwise one.
///
/// Both loopback sockets have the same port. A machine without IPv4 or IPv6 has one loopback
/// socket.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

/// Accepts from all bound sockets on one runtime.
#[derive(Debug)]
pub struct Listener(Vec<TcpListener>);

/// Binds `host` to `port`, or to a free port for 0, and listens.
///
/// # Errors
///
/// Returns the errors of bind(2): the port is taken or needs privileges, or the address is not of
/// this machine.
pub fn bind(host: Host, port: u16) -> io::Result<Sockets> {
    // A free port of one loopback may be taken on the other: another port will be free on both.
    let mut tries = if port == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        match bind_all(&host.addresses(), port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            result => return result,
        }
    }
}

fn bind_all(addresses: &[IpAddr], port: u16) -> io::Result<Sockets> {
    let mut sockets = Sockets(Vec::new());
    let mut missing = None;
    for address in addresses {
        let port = sockets.port().unwrap_or(port);
        match listen(SocketAddr::new(*address, port)) {
            Ok(socket) => sockets.0.push(socket),
            Err(error) if addresses.len() > 1 && is_missing_family(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if sockets.0.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option with this name lets two servers share a port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    tune(&SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Sets small buffers, no delay, and timeouts for peers that vanished.
fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    let keepalive = TcpKeepalive::new()
        .with_time(PEER_TIMEOUT / 2)
        .with_interval(PEER_TIMEOUT / 4);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    Ok(())
}

/// Returns whether the machine lacks the address family, as for one of the two loopbacks.
fn is_missing_family(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) {
        return true;
    }
    matches!(error.kind(), AddrNotAvailable | Unsupported)
}

impl Sockets {
    /// Returns the port of the sockets, or `None` when there is no socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        Some(self.0.first()?.local_addr().ok()?.as_socket()?.port())
    }

    /// Returns a listener for the current runtime.
    ///
    /// All listeners share the accept queues of the same sockets.
    ///
    /// # Errors
    ///
    /// Fails when the process has no file descriptor left.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn listener(&self) -> io::Result<Listener> {
        let listener = |socket: &Socket| TcpListener::from_std(socket.try_clone()?.into());
        let listeners = self.0.iter().map(listener);
        listeners.collect::<io::Result<_>>().map(Listener)
    }
}

impl Accept for Listener {
    type Io = TcpStream;

    const WRITE_TIMEOUT: Option<Duration> = WRITE_TIMEOUT;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = match &self.0[..] {
            [one, other] => tokio::select! {
                accepted = one.accept() => accepted?,
                accepted = other.accept() => accepted?,
            },
            [one] => one.accept().await?,
            _ => std::future::pending().await,
        };
        // On Linux a connection inherits the options of the listener, without a system call.
        if cfg!(not(target_os = "linux")) {
            let _ = tune(&SockRef::from(&stream));
        }
        Ok((stream, peer))
    }

    fn peer(io: &TcpStream) -> Peer {
        TcpListener::peer(io)
    }
}
