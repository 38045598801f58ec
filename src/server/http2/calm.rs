//! A connection that waits for its streams. While a request has yet to have its first turn, it reads
//! no further, for the others' heads would be in memory until theirs. And while a stream waits for
//! its turn, little is written, for what that stream gives can go out with it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::turn::Turn;

/// So many bytes are enough for a write, whoever waits for a turn.
const ENOUGH: usize = 4096;

/// The bytes of a connection, at the pace of its streams.
pub(super) struct Calm<I> {
    pub(super) io: I,
    pub(super) turn: Arc<Turn>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Calm<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Each has its turn before the connection has another.
        if self.turn.has_requests() {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Calm<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.len() < ENOUGH && self.turn.holds_back() {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // With a second piece, h2 takes no other frame until this one is written.
        let mut pieces_left = pieces.iter().filter(|piece| !piece.is_empty());
        let (first, second) = (pieces_left.next(), pieces_left.next());
        if second.is_none()
            && first.is_none_or(|first| first.len() < ENOUGH)
            && self.turn.holds_back()
        {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() {
            self.turn.count_flush();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, empty};

    use super::{Calm, ENOUGH};
    use crate::server::http2::turn::Turn;

    /// Whether the connection reads, writes little, writes much, and writes little in two pieces.
    fn goes(turn: &Arc<Turn>) -> [bool; 4] {
        let (io, turn) = (empty(), Arc::clone(turn));
        let (mut calm, task) = (Calm { io, turn }, &mut Context::from_waker(Waker::noop()));
        let mut calm = Pin::new(&mut calm);
        let pieces = |number| [IoSlice::new(b"some"), IoSlice::new(&b"more"[..number])];
        let reads = calm.as_mut().poll_read(task, &mut ReadBuf::new(&mut [0]));
        let little = calm.as_mut().poll_write_vectored(task, &pieces(0));
        assert_eq!(
            little.is_ready(),
            calm.as_mut().poll_write(task, &[0; ENOUGH - 1]).is_ready()
        );
        let much = calm.as_mut().poll_write(task, &[0; ENOUGH]);
        let two = calm.as_mut().poll_write_vectored(task, &pieces(4));
        [
            reads.is_ready(),
            little.is_ready(),
            much.is_ready(),
            two.is_ready(),
        ]
    }

    #[test]
    fn while_a_stream_waits_for_its_turn_little_is_written_and_all_is_read() {
        let turn = Arc::new(Turn::new());
        assert_eq!(goes(&turn), [true; 4]);
        turn.wait(0);
        assert_eq!(goes(&turn), [true, false, true, true]);
        assert_eq!(turn.next(), Some(0));
        assert_eq!(goes(&turn), [true; 4]);
        turn.wait(0);
        turn.let_go();
        assert_eq!(goes(&turn), [true; 4]);
        turn.begin();
        assert_eq!(goes(&turn), [true, false, true, true]);
    }

    #[test]
    fn while_a_request_waits_for_its_first_turn_nothing_is_read() {
        let turn = Arc::new(Turn::new());
        turn.add_request();
        assert_eq!(goes(&turn), [false, true, true, true]);
        turn.remove_request();
        assert_eq!(goes(&turn), [true; 4]);
    }
}
