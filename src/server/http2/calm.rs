//! A connection that waits for its streams: while any of them has yet to take its turn, it reads
//! no further, for requests keep their heads in memory until then, and leaves unwritten what will
//! go out together with theirs.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::turn::Turn;

/// The bytes that are not held back, whoever has yet to take a turn.
const MOST: usize = 4096;

/// The bytes of a connection, at the pace of its tasks.
pub(super) struct Calm<I> {
    pub(super) io: I,
    pub(super) turn: Arc<Turn>,
}

impl<I> Calm<I> {
    /// Waits until each has had its turn, unless so many bytes have gathered.
    fn poll_turns(&self, bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        if bytes < MOST && self.turn.is_awaited() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Calm<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_turns(0, cx));
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Calm<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turns(bytes.len(), cx));
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        ready!(self.poll_turns(length, cx));
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, empty};

    use super::{Calm, MOST};
    use crate::server::http2::turn::Turn;

    #[test]
    fn while_a_stream_waits_nothing_is_read_and_only_much_is_written() {
        let turn = Arc::new(Turn::new());
        let io = empty();
        let mut calm = Calm {
            io,
            turn: Arc::clone(&turn),
        };
        let mut goes = |bytes: usize| {
            let (task, calm) = (&mut Context::from_waker(Waker::noop()), Pin::new(&mut calm));
            match bytes {
                0 => calm.poll_read(task, &mut ReadBuf::new(&mut [0])).is_ready(),
                _ => calm.poll_write(task, &vec![0; bytes]).is_ready(),
            }
        };
        assert!([0, 1, MOST].into_iter().all(&mut goes));
        turn.add_waiting();
        assert_eq!(
            [0, 1, MOST - 1, MOST].map(&mut goes),
            [false, false, false, true]
        );
        turn.remove_waiting();
        assert!([0, 1, MOST].into_iter().all(&mut goes));
    }
}
