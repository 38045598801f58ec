//! The wire of one connection: knows whether bytes are stuck on it, and closes it so that the
//! peer can read the last of them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::line::Line;
use super::socket::Peer;

/// How long a peer may go on sending after the last answer.
const LINGER: Duration = Duration::from_secs(1);

/// How often a peer is looked after while hyper reads nothing of it.
const LOOK: Duration = Duration::from_millis(500);

/// Bytes between two looks that are thrown away, more than fits into the buffers of both sockets.
const THROWN_AWAY: usize = 2 << 20;

/// The bytes from and to one peer.
pub(super) struct Wire<I> {
    io: I,
    line: Arc<Line>,
    peer: fn(&I) -> Peer,
    lingering: Option<Pin<Box<Sleep>>>,
    /// Whether hyper, since it flushed last, has begun to wait for what the peer sends.
    is_heard: bool,
    unread: Option<Unread>,
}

/// The watch over a peer that hyper does not read, because it has bytes of the next request.
struct Unread {
    next_look: Pin<Box<Sleep>>,
    /// Whether the receive buffer was full at the last look.
    was_full: bool,
    /// What may be thrown away before the next look.
    allowance: usize,
    /// Whether bytes were thrown away, so that no request can follow.
    is_cut: bool,
}

impl<I> Wire<I> {
    pub(super) fn new(io: I, line: Arc<Line>, peer: fn(&I) -> Peer) -> Self {
        Self {
            io,
            line,
            peer,
            lingering: None,
            is_heard: false,
            unread: None,
        }
    }

    /// Notes whether the bytes of a write are stuck.
    fn note<T>(&self, cx: &Context<'_>, written: Poll<T>) -> Poll<T> {
        if self.line.set_stuck(written.is_pending()) && written.is_ready() {
            // A body that waits for this was polled before.
            cx.waker().wake_by_ref();
        }
        written
    }
}

impl<I: AsyncRead + Unpin> Wire<I> {
    /// Finds out whether the peer is gone while hyper does not read.
    ///
    /// Where unread bytes fill the receive buffer for long, they are thrown away, unless they may be
    /// content: the end of the peer would not fit behind them.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unread = self.unread.get_or_insert_with(|| Unread {
            next_look: Box::pin(sleep(LOOK)),
            was_full: false,
            allowance: 0,
            is_cut: false,
        });
        while unread.next_look.as_mut().poll(cx).is_ready() {
            let peer = (self.peer)(&self.io);
            if peer == Peer::Gone {
                return Poll::Ready(());
            }
            let was_full = std::mem::replace(&mut unread.was_full, peer == Peer::Full);
            if unread.is_cut || (was_full && unread.was_full) {
                unread.allowance = THROWN_AWAY;
            }
            unread.next_look.as_mut().reset(Instant::now() + LOOK);
        }
        let mut scrap = [MaybeUninit::uninit(); 4096];
        while unread.allowance > 0 && !self.line.has_content() {
            let mut scrap = ReadBuf::uninit(&mut scrap);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut scrap));
            if read.is_err() || scrap.filled().is_empty() {
                return Poll::Ready(());
            }
            unread.is_cut = true;
            unread.allowance = unread.allowance.saturating_sub(scrap.filled().len());
        }
        Poll::Pending
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Wire<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.as_ref().is_some_and(|unread| unread.is_cut) {
            return match (self.line.is_busy(), self.line.has_content()) {
                // Its content may be among the bytes that were thrown away.
                (true, true) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                // The watch goes on, and wakes the task.
                (true, false) => Poll::Pending,
                (false, _) => Poll::Ready(Ok(())),
            };
        }
        self.unread = None;
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.is_heard = read.is_pending();
        read
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(cx, written)
    }

    /// TLS has the records of a handshake in pieces, the last of which may be an alert.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.note(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_heard = std::mem::take(&mut self.is_heard) || self.line.is_shared();
        if !is_heard && self.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Sends the end, then discards for a while what the peer still sends: closing a socket with
    /// bytes unread resets the connection, and the reset may overtake the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            io,
            line,
            lingering,
            ..
        } = &mut *self;
        if lingering.is_none() {
            ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
        }
        let ends = line.connection.is_shutting_down();
        if ends && !line.is_shared() {
            return Poll::Ready(Ok(()));
        }
        // Over HTTP/2 the peer goes on to say what it has read.
        let time = if ends { LINGER / 2 } else { LINGER };
        let lingering = lingering.get_or_insert_with(|| Box::pin(sleep(time)));
        let mut scrap = [MaybeUninit::uninit(); 4096];
        loop {
            // First, for both draw on one budget and a fast sender would use it up.
            if lingering.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut scrap = ReadBuf::uninit(&mut scrap);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut scrap));
            // A peer that resets now is gone, which is no failure of the connection.
            if read.is_err() || scrap.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
