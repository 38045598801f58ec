//! Events of any size: their data is made while they are sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio_stream::Stream;

use super::sse::Block;

/// The data of a frame, so small that no large buffer stays with the connection.
static XS: [u8; 4096] = [b'x'; 4096];

pin_project! {
    /// A stream of blocks with their data filled in.
    pub struct Filled<S> {
        #[pin]
        blocks: S,
        begun: Option<Block>,
    }
}

/// Fills in the data of `blocks`: as many `x` as each says.
pub fn fill<S>(blocks: S) -> Filled<S> {
    let begun = None;
    Filled { blocks, begun }
}

impl<S: Stream<Item = Result<Block, E>>, E> Stream for Filled<S> {
    type Item = Result<Block, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let Some(block) = this.begun.take() else {
            return match ready!(this.blocks.poll_next(cx)) {
                Some(Ok(block)) if block.xs > 0 => {
                    let head = block.bytes.clone();
                    *this.begun = Some(block);
                    Poll::Ready(Some(Ok(Block::uncounted(head))))
                }
                other => Poll::Ready(other),
            };
        };
        if block.xs == 0 {
            let end = Bytes::from_static(b"\n\n");
            return Poll::Ready(Some(Ok(Block::of(end, block.events))));
        }
        let some = XS
            .len()
            .min(usize::try_from(block.xs).unwrap_or(usize::MAX));
        let xs = block.xs - some as u64;
        *this.begun = (xs > 0 || block.events > 0).then_some(Block { xs, ..block });
        Poll::Ready(Some(Ok(Block::uncounted(Bytes::from_static(&XS[..some])))))
    }
}
