//! A connection that holds small writes back while a stream waits in the ready queue. The data of
//! that stream can then be written together with the small writes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ready_queue::ReadyQueue;

/// The bytes that are enough for a write, even while streams are in the ready queue.
const ENOUGH: usize = 4096;

/// Writes the bytes of a connection at the pace of its streams.
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

    use tokio::io::{AsyncWrite, empty};

    use super::{Corked, ENOUGH};
    use crate::http2::ready_queue::ReadyQueue;

    /// Returns whether the connection writes little, much, and little in two slices.
    fn writes(queue: &Arc<ReadyQueue>) -> [bool; 3] {
        let (io, queue) = (empty(), Arc::clone(queue));
        let mut corked = Corked { io, queue };
        let mut write = |first: &[u8], second: &[u8]| {
            let pieces = [IoSlice::new(first), IoSlice::new(second)];
            let cx = &mut Context::from_waker(Waker::noop());
            let vectored = Pin::new(&mut corked).poll_write_vectored(cx, &pieces);
            if second.is_empty() {
                let written = Pin::new(&mut corked).poll_write(cx, first);
                assert_eq!(written.is_ready(), vectored.is_ready());
            }
            vectored.is_ready()
        };
        [
            write(&[0; ENOUGH - 1], b""),
            write(&[0; ENOUGH], b""),
            write(b"some", b"more"),
        ]
    }

    #[test]
    fn while_a_stream_is_in_the_ready_queue_little_is_not_written() {
        let queue = Arc::new(ReadyQueue::new());
        assert_eq!(writes(&queue), [true; 3]);
        queue.push(0);
        assert_eq!(writes(&queue), [false, true, true]);
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(writes(&queue), [true; 3]);
        queue.push(0);
        queue.uncork();
        assert_eq!(writes(&queue), [true; 3]);
        queue.begin();
        assert_eq!(writes(&queue), [false, true, true]);
    }
}
