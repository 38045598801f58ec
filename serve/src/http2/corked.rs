//! A connection that waits for its streams:
//!
//! - While a request waits for its first poll, the connection reads no further. Otherwise further
//!   request heads would wait in memory.
//! - While a stream waits in the ready queue, the connection holds small writes back. The data of
//!   that stream can then be written together with the small writes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ready_queue::ReadyQueue;

/// The bytes that are enough for a write, even while streams are in the ready queue.
const ENOUGH: usize = 4096;

/// Reads and writes the bytes of a connection, at the pace of its streams.
pub(super) struct Corked<I> {
    pub(super) io: I,
    pub(super) queue: Arc<ReadyQueue>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Corked<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // No waker is needed: the connection does not sleep while a request waits for its first
        // poll.
        if self.queue.has_requests() {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Corked<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.len() < ENOUGH && self.queue.holds_back() {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // With a second slice, h2 accepts no other frame until this frame is written.
        let mut pieces_left = pieces.iter().filter(|piece| !piece.is_empty());
        let (first, second) = (pieces_left.next(), pieces_left.next());
        if second.is_none()
            && first.is_none_or(|first| first.len() < ENOUGH)
            && self.queue.holds_back()
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
            self.queue.count_flush();
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

    use super::{Corked, ENOUGH};
    use crate::http2::ready_queue::ReadyQueue;

    /// Returns whether the connection reads, and writes little, much, and little in two slices.
    fn goes(queue: &Arc<ReadyQueue>) -> [bool; 4] {
        let (io, queue) = (empty(), Arc::clone(queue));
        let (mut corked, task) = (
            Corked { io, queue },
            &mut Context::from_waker(Waker::noop()),
        );
        let mut corked = Pin::new(&mut corked);
        let pieces = |number| [IoSlice::new(b"some"), IoSlice::new(&b"more"[..number])];
        let reads = corked.as_mut().poll_read(task, &mut ReadBuf::new(&mut [0]));
        let little = corked.as_mut().poll_write_vectored(task, &pieces(0));
        assert_eq!(
            little.is_ready(),
            corked
                .as_mut()
                .poll_write(task, &[0; ENOUGH - 1])
                .is_ready()
        );
        let much = corked.as_mut().poll_write(task, &[0; ENOUGH]);
        let two = corked.as_mut().poll_write_vectored(task, &pieces(4));
        [
            reads.is_ready(),
            little.is_ready(),
            much.is_ready(),
            two.is_ready(),
        ]
    }

    #[test]
    fn while_a_stream_is_in_the_ready_queue_little_is_written_and_all_is_read() {
        let queue = Arc::new(ReadyQueue::new());
        assert_eq!(goes(&queue), [true; 4]);
        queue.wait(0);
        assert_eq!(goes(&queue), [true, false, true, true]);
        assert_eq!(queue.next(), Some(0));
        assert_eq!(goes(&queue), [true; 4]);
        queue.wait(0);
        queue.let_go();
        assert_eq!(goes(&queue), [true; 4]);
        queue.begin();
        assert_eq!(goes(&queue), [true, false, true, true]);
    }

    #[test]
    fn while_a_request_waits_for_its_first_poll_nothing_is_read() {
        let queue = Arc::new(ReadyQueue::new());
        queue.add_request();
        assert_eq!(goes(&queue), [false, true, true, true]);
        queue.remove_request();
        assert_eq!(goes(&queue), [true; 4]);
    }
}
