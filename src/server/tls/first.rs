//! The first byte of a connection, looked at before anybody reads it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Bytes that a handshake may take, for rustls keeps up to 64 KiB of it. Those of browsers have
/// two.
const MOST: usize = 32 * 1024;

/// A connection whose first byte is known and still to be read, and whose handshake is short.
pub(super) struct First<I> {
    byte: Option<u8>,
    /// What may still be read of the handshake.
    room: Option<usize>,
    io: I,
}

impl<I: AsyncRead + Unpin> First<I> {
    /// Waits for the first byte of `io`.
    pub(super) async fn of(mut io: I) -> io::Result<Self> {
        let byte = Some(io.read_u8().await?);
        let room = Some(MOST);
        Ok(Self { byte, room, io })
    }

    /// Lets it be read without end, after the handshake.
    pub(super) fn release(&mut self) {
        self.room = None;
    }

    /// The first byte, until it is read.
    pub(super) fn byte(&self) -> Option<u8> {
        self.byte
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for First<I> {
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

impl<I: AsyncWrite + Unpin> AsyncWrite for First<I> {
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
