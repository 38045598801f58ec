//! A client's TCP connection with faults: slow, stalled, cut off at any byte, half-closed or reset.

use std::{
    future::Future,
    io::{self, ErrorKind},
    net::SocketAddrV4,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::random::Random;

/// How a client reads and closes. By default it reads at once and closes cleanly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behaviour {
    /// Bytes per read, and the pause after each read.
    slow: Option<(usize, Duration)>,
    /// The client stops reading after this many bytes.
    stalls: Option<u64>,
    /// The client closes the connection after this many received bytes.
    cut: Option<u64>,
    /// The client closes its sending side after this time, and reads on.
    half_close: Option<Duration>,
    /// The client closes with RST.
    reset: bool,
}

impl Behaviour {
    pub(super) fn draw(random: &mut Random) -> Self {
        let mut behaviour = Self::default();
        match random.below(12) {
            0 => {
                let pause = Duration::from_millis(random.about(1, 1000));
                behaviour.slow = Some((random.about(1, 4096) as usize, pause));
            }
            1 => behaviour.stalls = Some(random.about(1, 100_000)),
            2 => behaviour.half_close = Some(Duration::from_millis(random.about(1, 5000))),
            3..=5 => behaviour.cut = Some(random.about(1, 20_000)),
            _ => {}
        }
        behaviour.reset = random.one_in(4);
        behaviour
    }

    /// Returns whether the client reads everything until it closes.
    pub(super) fn reads_everything(&self) -> bool {
        let Self {
            slow,
            stalls,
            cut,
            half_close,
            reset: _,
        } = self;
        slow.is_none() && stalls.is_none() && cut.is_none() && half_close.is_none()
    }

    fn has_small_buffer(&self) -> bool {
        self.slow.is_some() || self.stalls.is_some()
    }
}

/// A TCP connection with the faults of `Behaviour`.
pub(super) struct FaultySocket {
    io: TcpStream,
    behaviour: Behaviour,
    came: u64,
    pause: Option<Pin<Box<Sleep>>>,
    half_close: Option<Pin<Box<Sleep>>>,
}

impl FaultySocket {
    pub(super) async fn connect(address: SocketAddrV4, behaviour: Behaviour) -> io::Result<Self> {
        let io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        if behaviour.has_small_buffer() {
            SockRef::from(&io).set_recv_buffer_size(1)?;
        }
        if behaviour.reset {
            SockRef::from(&io).set_linger(Some(Duration::ZERO))?;
        }
        Ok(Self {
            io,
            behaviour,
            came: 0,
            pause: None,
            half_close: behaviour.half_close.map(|after| Box::pin(sleep(after))),
        })
    }

    /// Returns how many bytes may be read now.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let until = |end: Option<u64>| end.map_or(u64::MAX, |end| end - self.came.min(end));
        if until(self.behaviour.cut) == 0 {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        if until(self.behaviour.stalls) == 0 {
            return Poll::Pending;
        }
        let most = self.behaviour.slow.map_or(usize::MAX, |(most, _)| most);
        let room = until(self.behaviour.cut).min(until(self.behaviour.stalls));
        Poll::Ready(Ok(most.min(usize::try_from(room).unwrap_or(usize::MAX))))
    }
}

impl AsyncRead for FaultySocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(half_close) = &mut self.half_close
            && half_close.as_mut().poll(cx).is_ready()
        {
            self.half_close = None;
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        }
        let room = ready!(self.poll_room(cx))?.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        self.came += length as u64;
        self.pause = self.behaviour.slow.map(|(_, pause)| Box::pin(sleep(pause)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FaultySocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
