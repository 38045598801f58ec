//! Bytes that the standard allows and few expect: other line ends, a mark ahead, split frames.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::sse::Block;
use super::timers::Timer;
use crate::options::{Eol, Shape};

pin_project! {
    /// A stream of blocks, or of pieces of them.
    pub struct Shaped<S> {
        #[pin]
        blocks: S,
        shape: Shape,
        rest: Block,
        written: bool,
        pause: Option<Timer>,
    }
}

/// `blocks` in another shape.
pub fn shape<S>(blocks: S, shape: Shape) -> Shaped<S> {
    Shaped {
        blocks,
        shape,
        rest: Block::aside(Bytes::new()),
        written: true,
        pause: None,
    }
}

impl<S: Stream<Item = Result<Block, E>>, E> Stream for Shaped<S> {
    type Item = Result<Block, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if this.rest.bytes.is_empty() {
            match ready!(this.blocks.poll_next(cx)) {
                Some(Ok(block)) => *this.rest = apply(this.shape, &block),
                other => return Poll::Ready(other),
            }
        }
        if let Some(pause) = this.pause {
            ready!(pause.poll(cx));
        }
        if this.shape.split.is_some() && !std::mem::replace(this.written, false) {
            // hyper writes the frames it has, as one, when it has to wait.
            *this.written = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let pace = this.shape.pace;
        *this.pause = pace.map(|pace| Timer::new(Instant::now() + pace));
        let length = this.rest.bytes.len();
        let piece = this.shape.split.map_or(length, |most| most.min(length));
        let bytes = this.rest.bytes.split_to(piece);
        let events = if piece == length { this.rest.events } else { 0 };
        Poll::Ready(Some(Ok(Block::of(bytes, events))))
    }
}

fn apply(shape: &mut Shape, block: &Block) -> Block {
    let mut bytes = Vec::with_capacity(block.bytes.len());
    if std::mem::take(&mut shape.bom) {
        bytes.extend_from_slice("\u{feff}".as_bytes());
    }
    for byte in &block.bytes {
        match (byte, shape.eol) {
            (b'\n', Some(Eol::Cr)) => bytes.extend_from_slice(b"\r"),
            (b'\n', Some(Eol::CrLf)) => bytes.extend_from_slice(b"\r\n"),
            _ => bytes.push(*byte),
        }
    }
    // It may wait for long.
    bytes.shrink_to_fit();
    Block::of(bytes.into(), block.events)
}
