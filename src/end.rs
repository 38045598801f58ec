//! How a stream ends after its last event, well or not.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;

use crate::sse::Block;

/// How long a stalled stream is held open.
const STALL: Duration = Duration::from_secs(600);

/// What happens after the last event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The body ends as HTTP has it.
    #[default]
    Clean,
    /// The connection is cut without the end of the body.
    Abort,
    /// Half of another event comes, and then the end of the body.
    Truncate,
    /// Nothing more comes, for ten minutes.
    Stall,
}

/// The error of a body that is cut on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream was to be cut here")
    }
}

impl std::error::Error for Cut {}

pin_project! {
    /// A stream of blocks that ends, well or not, after so many events.
    pub struct Counted<S> {
        #[pin]
        blocks: S,
        left: u64,
        end: End,
        stall: Option<Pin<Box<Sleep>>>,
    }
}

impl End {
    /// Ends `blocks` after `count` events; never, without a count.
    pub fn after<S>(self, count: Option<u64>, blocks: S) -> Counted<S> {
        Counted {
            blocks,
            // Without a count it is longer than any stream lives.
            left: count.unwrap_or(u64::MAX),
            end: self,
            stall: None,
        }
    }
}

impl<S: Stream<Item = Block>> Stream for Counted<S> {
    type Item = Result<Block, Cut>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Block, Cut>>> {
        let this = self.project();
        if *this.left > 0 {
            let block = ready!(this.blocks.poll_next(cx));
            if let Some(Block::Event(_)) = block {
                *this.left -= 1;
            }
            return Poll::Ready(block.map(Ok));
        }
        match this.end {
            End::Clean => Poll::Ready(None),
            // The server cuts once what it has of the body has left.
            End::Abort => Poll::Ready(Some(Err(Cut))),
            End::Truncate => {
                Poll::Ready(ready!(this.blocks.poll_next(cx)).map(|block| match block {
                    Block::Event(bytes) => {
                        *this.end = End::Clean;
                        Ok(Block::Aside(bytes.slice(..bytes.len() / 2)))
                    }
                    aside @ Block::Aside(_) => Ok(aside),
                }))
            }
            End::Stall => {
                let stall = this.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
                stall.as_mut().poll(cx).map(|()| None)
            }
        }
    }
}
