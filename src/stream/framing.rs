//! Bytes that the standard allows and few expect: line ends, a byte order mark, split frames.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::sse::Block;
use super::timers::Timer;
use crate::options::{Eol, Framing};

pin_project! {
    /// A stream of blocks that are cut into frames.
    pub struct Framed<S> {
        #[pin]
        blocks: S,
        framing: Framing,
        rest: Block,
        written: bool,
        pause: Option<Timer>,
    }
}

/// Applies `framing` to `blocks`.
pub fn frame<S>(blocks: S, framing: Framing) -> Framed<S> {
    Framed {
        blocks,
        framing,
        rest: Block::uncounted(Bytes::new()),
        written: true,
        pause: None,
    }
}

impl<S: Stream<Item = Result<Block, E>>, E> Stream for Framed<S> {
    type Item = Result<Block, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if this.rest.bytes.is_empty() {
            match ready!(this.blocks.poll_next(cx)) {
                Some(Ok(block)) => *this.rest = apply(this.framing, &block),
                other => return Poll::Ready(other),
            }
        }
        if let Some(pause) = this.pause {
            ready!(pause.poll(cx));
        }
        if this.framing.split.is_some() && !std::mem::replace(this.written, false) {
            // hyper would join frames that are ready at once into one write.
            *this.written = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let pace = this.framing.pace;
        *this.pause = pace.map(|pace| Timer::new(Instant::now() + pace));
        let length = this.rest.bytes.len();
        let piece = this.framing.split.map_or(length, |most| most.min(length));
        let bytes = this.rest.bytes.split_to(piece);
        let events = if piece == length { this.rest.events } else { 0 };
        Poll::Ready(Some(Ok(Block::of(bytes, events))))
    }
}

fn apply(framing: &mut Framing, block: &Block) -> Block {
    let mut bytes = Vec::with_capacity(block.bytes.len());
    if std::mem::take(&mut framing.bom) {
        bytes.extend_from_slice("\u{feff}".as_bytes());
    }
    for byte in &block.bytes {
        match (byte, framing.eol) {
            (b'\n', Some(Eol::Cr)) => bytes.extend_from_slice(b"\r"),
            (b'\n', Some(Eol::CrLf)) => bytes.extend_from_slice(b"\r\n"),
            _ => bytes.push(*byte),
        }
    }
    // The bytes may wait for long.
    bytes.shrink_to_fit();
    Block::of(bytes.into(), block.events)
}
