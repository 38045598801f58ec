//! The first byte of a connection, peeked at before the connection is read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The most bytes of a handshake.
///
/// A browser's `ClientHello` is about 2 KiB. rustls would buffer 64 KiB.
const MAX_HANDSHAKE: usize = 32 * 1024;

/// A connection with a first byte that is known but still to be read, and a short handshake.
pub(super) struct Peeked<I> {
    byte: Option<u8>,
    /// The bytes of the handshake that may still be read; `None` for no limit.
    room: Option<usize>,
    pub(super) io: I,
}

impl<I: AsyncRead + Unpin> Peeked<I> {
    /// Waits for the first byte of `io`.
    pub(super) async fn of(mut io: I) -> io::Result<Self> {
        let byte = Some(io.read_u8().await?);
        let room = Some(MAX_HANDSHAKE);
        Ok(Self { byte, room, io })
    }

    /// Removes the limit, after the handshake.
    pub(super) fn release(&mut self) {
        self.room = None;
    }

    /// Returns the first byte, until that byte is read.
    pub(super) fn byte(&self) -> Option<u8> {
        self.byte
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Peeked<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(byte) = self.byte.take()
        {
            buffer.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if let Some(room) = &mut self.room {
            let left = room.checked_sub(buffer.filled().len() - before);
            *room = left.ok_or_else(|| io::Error::other("a handshake of too many bytes"))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Peeked<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
