//! The socket of one connection.
//!
//! [`ServerIo`] records whether written bytes are stuck, fails when they are stuck for too long, and
//! closes the socket so that the peer can read the last bytes.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::connection::Connection;
use super::socket::{Accept, Peer};

/// How long a peer may go on sending after the last response.
const LINGER: Duration = Duration::from_secs(1);

/// How often a peer is checked while hyper does not read from the socket.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The most bytes discarded between two checks: more than the buffers of both sockets hold.
const MAX_DISCARDED: usize = 2 << 20;

/// Reads the bytes from one peer and writes the bytes to that peer.
pub(super) struct ServerIo<L: Accept> {
    io: L::Io,
    pub(super) connection: Connection,
    /// When the write that waits for room in the socket fails.
    stuck: Option<Pin<Box<Sleep>>>,
    /// The bytes of the handshake that may still be read; `None` for no limit.
    pub(super) handshake_room: Option<u16>,
    lingering: Option<Pin<Box<Sleep>>>,
    /// Whether hyper, since the last flush, has begun to wait for bytes from the peer.
    is_heard: bool,
    checks: Option<Box<Checks>>,
}

/// The checks of a peer while hyper does not read, because hyper has bytes of the next request.
struct Checks {
    next: Pin<Box<Sleep>>,
    /// Whether the receive buffer was full at the last check.
    was_full: bool,
    /// The bytes that may be discarded before the next check.
    ///
    /// `None` until bytes have to be discarded. Afterwards no request can follow.
    allowance: Option<usize>,
}

impl<L: Accept> ServerIo<L> {
    pub(super) fn new(io: L::Io, connection: Connection) -> Self {
        Self {
            io,
            connection,
            stuck: None,
            handshake_room: None,
            lingering: None,
            is_heard: false,
            checks: None,
        }
    }

    /// Records whether the bytes of a write wait for room in the socket.
    ///
    /// # Errors
    ///
    /// Fails with `TimedOut` when the bytes have waited for `WRITE_TIMEOUT`. hyper writes again
    /// whenever the task is woken, and so looks at the timer.
    fn note<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.connection.set_blocked(written.is_pending()) && written.is_ready() {
            // `dispatch` may wait for these bytes, and was polled before this write.
            cx.waker().wake_by_ref();
        }
        match L::WRITE_TIMEOUT {
            Some(time) if written.is_pending() => {
                let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(time)));
                ready!(stuck.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => {
                self.stuck = None;
                written
            }
        }
    }

    /// Resolves when the peer is gone, while hyper does not read.
    ///
    /// Unread bytes that fill the receive buffer at two checks in a row are discarded, because a
    /// FIN of the peer would not fit behind them. Bytes that may be content are not discarded.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let checks = self.checks.get_or_insert_with(|| {
            Box::new(Checks {
                next: Box::pin(sleep(CHECK_INTERVAL)),
                was_full: false,
                allowance: None,
            })
        });
        while checks.next.as_mut().poll(cx).is_ready() {
            let peer = L::peer(&self.io);
            if peer == Peer::Gone {
                return Poll::Ready(());
            }
            let is_full = peer == Peer::Full && !self.connection.has_content();
            if checks.allowance.is_some() || (checks.was_full && is_full) {
                checks.allowance = Some(MAX_DISCARDED);
            }
            checks.was_full = is_full;
            checks.next.set(sleep(CHECK_INTERVAL));
        }
        while let Some(allowance @ 1..) = checks.allowance {
            match ready!(poll_discard(&mut self.io, cx)) {
                0 => return Poll::Ready(()),
                count => checks.allowance = Some(allowance.saturating_sub(count)),
            }
        }
        Poll::Pending
    }
}

/// Reads bytes and discards them. Returns how many, or 0 when the peer is gone.
fn poll_discard(io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<usize> {
    let mut scrap = [MaybeUninit::uninit(); 4096];
    let mut scrap = ReadBuf::uninit(&mut scrap);
    let read = ready!(Pin::new(io).poll_read(cx, &mut scrap));
    Poll::Ready(read.map_or(0, |()| scrap.filled().len()))
}

impl<L: Accept> Drop for ServerIo<L> {
    fn drop(&mut self) {
        self.connection.forget_task();
    }
}

impl<L: Accept> AsyncRead for ServerIo<L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let discards = |checks: &Checks| checks.allowance.is_some();
        if self.checks.as_deref().is_some_and(discards) {
            return if !self.connection.is_responding() {
                Poll::Ready(Ok(()))
            } else if self.connection.has_content() {
                // The content of the request may be among the discarded bytes.
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            } else {
                // The checks go on and wake the task.
                Poll::Pending
            };
        }
        self.checks = None;
        self.is_heard = true;
        // hyper reads after every event, and nearly always in vain.
        let Some(waker) = self.connection.begin_read(cx.waker()) else {
            return Poll::Pending;
        };
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(&mut Context::from_waker(&waker), buffer);
        self.is_heard = read.is_pending();
        if !self.is_heard {
            self.connection.set_readable();
        }
        if let Some(room) = &mut self.handshake_room {
            let length = u16::try_from(buffer.filled().len() - before);
            let left = length.ok().and_then(|length| room.checked_sub(length));
            *room = left.ok_or_else(|| io::Error::other("a handshake of too many bytes"))?;
        }
        read
    }
}

impl<L: Accept> AsyncWrite for ServerIo<L> {
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
        // h2 always reads.
        let is_heard = std::mem::take(&mut self.is_heard) || self.connection.is_http2();
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
        let this = &mut *self;
        let ends = this.connection.is_shutting_down();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        }
        if ends && !this.connection.is_http2() {
            return Poll::Ready(Ok(()));
        }
        // Over HTTP/2 the peer still sends WINDOW_UPDATE frames for the bytes that were read.
        let time = if ends { LINGER / 2 } else { LINGER };
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(time)));
        loop {
            // Polled first, because both use one task budget and a fast sender would use up that
            // budget.
            let is_over = lingering.as_mut().poll(cx).is_ready();
            // A peer that resets now is gone, which is no failure of the connection.
            if is_over || ready!(poll_discard(&mut this.io, cx)) == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::task::Wake;

    use tokio::io::{DuplexStream, duplex};

    use super::*;

    struct Pipes;

    impl Accept for Pipes {
        type Io = DuplexStream;

        async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
            pending().await
        }
    }

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    /// A handler may keep the connection of a request for as long as it likes.
    #[test]
    fn a_kept_connection_does_not_hold_the_task_of_a_closed_socket() {
        let (io, _peer) = duplex(1);
        let connection = Connection::new(([127, 0, 0, 1], 4000).into(), Arc::default());
        let mut io = ServerIo::<Pipes>::new(io, connection.clone());
        let task = Arc::new(Task);
        let waker = task.clone().into();
        let mut byte = [0];
        let read = Pin::new(&mut io).poll_read(
            &mut Context::from_waker(&waker),
            &mut ReadBuf::new(&mut byte),
        );
        assert!(read.is_pending());
        drop(waker);
        assert!(Arc::strong_count(&task) > 1, "the read waits");
        drop(io);
        assert_eq!(Arc::strong_count(&task), 1);
        drop(connection);
    }
}
