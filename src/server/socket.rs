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

/// How many clients may wait to be accepted: enough for all to come back at once after a restart.
const BACKLOG: i32 = 4096;

/// How long a peer may leave data unacknowledged, or its window shut, before it counts as gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a kernel buffer, which Linux doubles for its own books: a stalled reader costs no more.
const BUFFER: usize = 16 * 1024;

/// What is known of the peer of a connection while nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It may send more.
    Open,
    /// Its unread bytes fill the receive buffer, so that its end would not fit behind them.
    Full,
    /// It has closed or reset the connection.
    Gone,
}

/// Unread bytes that may leave no room for the end of the peer: half of the smallest window.
const FULL: usize = BUFFER / 2;

/// What the server takes its connections from.
pub trait Accept: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection; dropping the future loses none.
    ///
    /// # Errors
    ///
    /// Those of accept(2). The server calls again, whatever the error; after all but those of one
    /// connection it waits a little.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;

    /// Returns what is known of the peer of `io` without reading.
    ///
    /// Asked twice a second while a response is under way and the next request waits behind it. With
    /// [`Peer::Open`], the default, the end of such a peer is seen once its bytes are read or a
    /// write fails.
    fn peer(io: &Self::Io) -> Peer {
        let _ = io;
        Peer::Open
    }
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Where the options cannot be had, the client has left or does without.
        let _ = tune(&SockRef::from(&stream));
        Ok((stream, peer))
    }

    fn peer(io: &TcpStream) -> Peer {
        peer(io)
    }
}

fn peer(io: &TcpStream) -> Peer {
    let mut ready = pin!(io.ready(Interest::READABLE));
    let ready = ready.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    if matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed()) {
        return Peer::Gone;
    }
    let mut unread = [MaybeUninit::uninit(); FULL];
    match SockRef::from(io).peek(&mut unread) {
        Ok(FULL) => Peer::Full,
        _ => Peer::Open,
    }
}

/// The bound sockets of a host: two on one port for the loopback, else one.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

/// The sockets as one listener on one runtime.
#[derive(Debug)]
pub struct Listener(Vec<TcpListener>);

/// Binds `host` on `port`, or on a free one for 0, and listens.
///
/// # Errors
///
/// Those of bind(2): the port is taken or needs privileges, or the address is not of this machine.
pub fn bind(host: Host, port: u16) -> io::Result<Sockets> {
    // A free port of one loopback may be taken on the other: another one will be free on both.
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
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // On Windows the option of this name lets two servers share a port.
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

/// Small buffers, no delay, and an end to peers that vanished.
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

/// Whether the machine lacks the address family, as one of the two loopbacks may.
fn is_missing_family(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) {
        return true;
    }
    matches!(error.kind(), AddrNotAvailable | Unsupported)
}

impl Sockets {
    /// The port that they are bound to; none when there is no socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let address = self.0.first()?.local_addr().ok()?;
        address.as_socket().map(|address| address.port())
    }

    /// A listener for the current runtime; all listeners share the queues of the same sockets.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn listener(&self) -> io::Result<Listener> {
        let listeners = self
            .0
            .iter()
            .map(|socket| TcpListener::from_std(socket.try_clone()?.into()));
        listeners.collect::<io::Result<_>>().map(Listener)
    }
}

impl Accept for Listener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = match &self.0[..] {
            [one, other] => tokio::select! {
                accepted = one.accept() => accepted?,
                accepted = other.accept() => accepted?,
            },
            [one] => one.accept().await?,
            _ => std::future::pending().await,
        };
        // Linux inherits the options from the listener, at no system call a connection.
        if cfg!(not(target_os = "linux")) {
            let _ = tune(&SockRef::from(&stream));
        }
        Ok((stream, peer))
    }

    fn peer(io: &TcpStream) -> Peer {
        peer(io)
    }
}
