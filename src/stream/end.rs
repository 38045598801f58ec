//! How a stream ends after its last event, cleanly or not.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;

use super::sse::Block;
use crate::options::End;

/// How long a stalled stream is held open.
const STALL: Duration = Duration::from_secs(600);

/// The error of a body that is aborted on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream is aborted on request")
    }
}

impl std::error::Error for Aborted {}

pin_project! {
    /// A stream of blocks that ends after `left` events or after its last block.
    pub struct Ended<S> {
        #[pin]
        blocks: S,
        left: u64,
        end: End,
        stall: Option<Pin<Box<Sleep>>>,
    }
}

/// Ends `blocks` after `count` events or after the last block.
pub fn end<S>(blocks: S, count: Option<u64>, end: End) -> Ended<S> {
    Ended {
        blocks,
        left: count.unwrap_or(u64::MAX),
        end,
        stall: None,
    }
}

impl<S: Stream<Item = Block>> Stream for Ended<S> {
    type Item = Result<Block, Aborted>;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Block, Aborted>>> {
        let mut this = self.project();
        if *this.left > 0 {
            if let Some(block) = ready!(this.blocks.as_mut().poll_next(cx)) {
                *this.left = this.left.saturating_sub(block.events);
                return Poll::Ready(Some(Ok(block)));
            }
            *this.left = 0;
        }
        match this.end {
            End::Clean => Poll::Ready(None),
            // The server writes the body so far, and then aborts.
            End::Abort => Poll::Ready(Some(Err(Aborted))),
            End::Truncate => {
                let block = ready!(this.blocks.poll_next(cx));
                Poll::Ready(block.map(|block| {
                    if block.events == 0 {
                        return Ok(block);
                    }
                    *this.end = End::Clean;
                    Ok(block.half())
                }))
            }
            End::Stall => {
                let stall = this.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
                stall.as_mut().poll(cx).map(|()| None)
            }
        }
    }
}
