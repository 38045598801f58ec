//! The script of a stream: its end after the last event, and the frames in which its bytes are sent.

use std::iter::{from_fn, once};
use std::mem;
use std::pin::pin;
use std::time::Duration;
use std::{error, fmt};

use async_stream::{stream, try_stream};
use bytes::Bytes;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tokio_stream::{Stream, StreamExt};

use super::sse::Block;
use super::time::until;
use crate::options::{End, Eol, Framing};

/// How long a stalled stream is held open.
const STALL: Duration = Duration::from_secs(600);

/// The data of a frame, so small that no large buffer stays with the connection.
static XS: [u8; 4096] = [b'x'; 4096];

/// The error of a body that is aborted on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream is aborted on request")
    }
}

impl error::Error for Aborted {}

/// Ends `blocks` as `end` says, after `count` events or after the last block.
pub fn end(
    blocks: impl Stream<Item = Block>,
    count: Option<u64>,
    end: End,
) -> impl Stream<Item = Result<Block, Aborted>> {
    stream! {
        let mut blocks = pin!(blocks);
        let mut left = count.unwrap_or(u64::MAX);
        while left > 0 && let Some(block) = blocks.next().await {
            left = left.saturating_sub(block.events);
            yield Ok(block);
        }
        match end {
            End::Clean => {}
            // The server writes the body so far, and then aborts.
            End::Abort => yield Err(Aborted),
            End::Truncate => while let Some(block) = blocks.next().await {
                if block.events > 0 {
                    yield Ok(block.half());
                    break;
                }
                yield Ok(block);
            },
            // Boxed: each stream would keep the room of the timer.
            End::Stall => Box::pin(sleep(STALL)).await,
        }
    }
}

/// Sends `blocks` with the byte order mark, the line ends and the frames of `framing`, and with the
/// data of a size. hyper joins frames that are ready at once into one write, so a split stream
/// returns `Pending` once after each frame.
pub fn frames<E>(
    blocks: impl Stream<Item = Result<Block, E>>,
    mut framing: Framing,
) -> impl Stream<Item = Result<Block, E>> {
    try_stream! {
        let mut blocks = pin!(blocks);
        let mut due = Instant::now();
        while let Some(block) = blocks.next().await {
            for frame in pieces(block?, framing) {
                until(due).await;
                due = Instant::now() + framing.pace.unwrap_or_default();
                yield frame;
                if framing.split.is_some() {
                    yield_now().await;
                }
            }
            framing.bom = false;
        }
    }
}

fn pieces(block: Block, framing: Framing) -> impl Iterator<Item = Block> {
    let mut bom = framing.bom;
    fill(block).flat_map(move |mut block| {
        block.bytes = with_line_ends(block.bytes, mem::take(&mut bom), framing.eol);
        cut(block, framing.split.unwrap_or(usize::MAX))
    })
}

/// Returns `block` with the data of an event of a size, made while it is sent.
fn fill(block: Block) -> impl Iterator<Item = Block> {
    let Block { bytes, xs, events } = block;
    let begin = Block::of(bytes, if xs == 0 { events } else { 0 });
    let filled = (0..xs).step_by(XS.len()).map(move |sent| {
        let length = usize::try_from(xs - sent).unwrap_or(usize::MAX);
        Block::uncounted(Bytes::from_static(&XS[..length.min(XS.len())]))
    });
    let end = Block::of(Bytes::from_static(b"\n\n"), events);
    let has_end = xs > 0 && events > 0;
    once(begin).chain(filled).chain(has_end.then_some(end))
}

fn with_line_ends(bytes: Bytes, bom: bool, eol: Option<Eol>) -> Bytes {
    let eol: &[u8] = match eol {
        None | Some(Eol::Lf) if !bom => return bytes,
        None | Some(Eol::Lf) => b"\n",
        Some(Eol::Cr) => b"\r",
        Some(Eol::CrLf) => b"\r\n",
    };
    let mark = if bom { "\u{feff}" } else { "" };
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    [mark.as_bytes(), &lines.join(eol)].concat().into()
}

/// Returns `block` in pieces of at most `most` bytes; its events end in the last.
fn cut(block: Block, most: usize) -> impl Iterator<Item = Block> {
    let (mut bytes, events) = (block.bytes, block.events);
    from_fn(move || {
        let piece = bytes.split_to(most.min(bytes.len()));
        let events = if bytes.is_empty() { events } else { 0 };
        (!piece.is_empty()).then(|| Block::of(piece, events))
    })
}
