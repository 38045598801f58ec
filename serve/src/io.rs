//! The socket of one connection.
//!
//! [`ServerIo`] records whether written bytes are stuck, and closes the socket so that the peer can
//! read the last bytes.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection::Connection;
use super::socket::Peer;

/// How long a peer may go on sending after the last response.
const LINGER: Duration = Duration::from_secs(1);

/// How often a peer is checked while hyper does not read from the socket.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The most bytes discarded between two checks: more than the buffers of both sockets hold.
const MAX_DISCARDED: usize = 2 << 20;

/// Reads the bytes from one peer and writes the bytes to that peer.
pub(super) struct ServerIo<I> {
    io: I,
    connection: Connection,
    peer: fn(&I) -> Peer,
    /// Whether many responses share the connection, and h2 always reads.
    is_http2: bool,
    lingering: Option<Pin<Box<Sleep>>>,
    /// Wakes the task when the peer has sent bytes, after a read that found none.
    readable: Option<Arc<Readable>>,
    /// Whether hyper, since the last flush, has begun to wait for bytes from the peer.
    is_heard: bool,
    unread: Option<Unread>,
}

/// A waker that remembers to have woken: hyper reads after every event, and nearly always in vain.
struct Readable {
    is_woken: AtomicBool,
    task: Waker,
}

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Release);
        self.task.wake_by_ref();
    }
}

/// The checks of a peer while hyper does not read, because hyper has bytes of the next request.
struct Unread {
    next_look: Pin<Box<Sleep>>,
    /// Whether the receive buffer was full at the last check.
    was_full: bool,
    /// The bytes that may be discarded before the next check.
    allowance: usize,
    /// Whether bytes were discarded, so that no request can follow.
    is_cut: bool,
}

impl<I> ServerIo<I> {
    pub(super) fn new(io: I, connection: Connection, peer: fn(&I) -> Peer) -> Self {
        Self {
            io,
            connection,
            peer,
            is_http2: false,
            lingering: None,
            readable: None,
            is_heard: false,
            unread: None,
        }
    }

    /// Records that the handshake has chosen HTTP/2.
    #[cfg(feature = "tls")]
    pub(super) fn set_http2(&mut self) {
        self.is_http2 = true;
    }

    /// Records whether the bytes of a write wait for room in the socket.
    fn note<T>(&self, cx: &Context<'_>, written: Poll<T>) -> Poll<T> {
        if self.connection.set_blocked(written.is_pending()) && written.is_ready() {
            // A body that waits for these bytes was polled before this write.
            cx.waker().wake_by_ref();
        }
        written
    }
}

impl<I: AsyncRead + Unpin> ServerIo<I> {
    /// Resolves when the peer is gone, while hyper does not read.
    ///
    /// Unread bytes that fill the receive buffer at two checks in a row are discarded, because a
    /// FIN of the peer would not fit behind them. Bytes that may be content are not discarded.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unread = self.unread.get_or_insert_with(|| Unread {
            next_look: Box::pin(sleep(CHECK_INTERVAL)),
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
                unread.allowance = MAX_DISCARDED;
            }
            unread
                .next_look
                .as_mut()
                .reset(Instant::now() + CHECK_INTERVAL);
        }
        let mut scrap = [MaybeUninit::uninit(); 4096];
        while unread.allowance > 0 && !self.connection.has_content() {
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

impl<I: AsyncRead + Unpin> AsyncRead for ServerIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.as_ref().is_some_and(|unread| unread.is_cut) {
            return match (
                self.connection.is_responding(),
                self.connection.has_content(),
            ) {
                // The content of the request may be among the discarded bytes.
                (true, true) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                // The checks go on and wake the task.
                (true, false) => Poll::Pending,
                (false, _) => Poll::Ready(Ok(())),
            };
        }
        self.unread = None;
        self.is_heard = true;
        let waits = |readable: &Arc<Readable>| !readable.is_woken.load(Acquire);
        if self.readable.as_ref().is_some_and(waits) {
            return Poll::Pending;
        }
        let (is_woken, task) = (AtomicBool::new(false), cx.waker().clone());
        let readable = Arc::new(Readable { is_woken, task });
        let waker = Waker::from(Arc::clone(&readable));
        let read = Pin::new(&mut self.io).poll_read(&mut Context::from_waker(&waker), buffer);
        self.is_heard = read.is_pending();
        self.readable = self.is_heard.then_some(readable);
        read
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(cx, written)
    }

    /// TLS writes the records of a handshake in several slices, and the last may be an alert.
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
        let is_heard = std::mem::take(&mut self.is_heard) || self.is_http2;
        if !is_heard && self.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Closes the sending side, then discards for a while what the peer still sends.
    ///
    /// Closing a socket with unread bytes resets the connection, and the reset may overtake the
    /// response.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ends = self.connection.is_shutting_down();
        let (is_http2, Self { io, lingering, .. }) = (self.is_http2, &mut *self);
        if lingering.is_none() {
            ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
        }
        if ends && !is_http2 {
            return Poll::Ready(Ok(()));
        }
        // Over HTTP/2 the peer still sends WINDOW_UPDATE frames for the bytes that were read.
        let time = if ends { LINGER / 2 } else { LINGER };
        let lingering = lingering.get_or_insert_with(|| Box::pin(sleep(time)));
        let mut scrap = [MaybeUninit::uninit(); 4096];
        loop {
            // Polled first, because both use one task budget and a fast sender would use up that
            // budget.
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
