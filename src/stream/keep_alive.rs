//! Comments in a stream that is silent, lest a proxy take it for dead (HTML 9.2.7).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_stream::Stream;

use super::sse::Block;

/// How long a stream may say nothing before a proxy might take it for dead.
pub const SILENCE: Duration = Duration::from_secs(15);

pin_project! {
    /// Blocks, with a comment ahead of them and after each silence.
    pub struct KeptAlive<S> {
        #[pin]
        blocks: S,
        silence: Option<Duration>,
        said: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// `blocks`, with a comment ahead of them and after each `silence`.
///
/// They come every `period`, or in twice of it when the clock was set back; where that is no
/// silence, nothing need be watched.
pub fn keep_alive<S>(blocks: S, period: Duration, silence: Duration) -> KeptAlive<S> {
    KeptAlive {
        blocks,
        silence: (2 * period > silence).then_some(silence),
        said: None,
        sleep: None,
    }
}

impl<S: Stream<Item = Block>> Stream for KeptAlive<S> {
    type Item = Block;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Block>> {
        let mut this = self.project();
        let Some(said) = this.said else {
            *this.said = Some(Instant::now());
            return Poll::Ready(Some(Block::COMMENT));
        };
        let block = this.blocks.poll_next(cx);
        let Some(silence) = *this.silence else {
            return block;
        };
        if block.is_ready() {
            *said = Instant::now();
            return block;
        }
        loop {
            let due = *said + silence;
            // What was said meanwhile has not moved the sleep: it looks again when it ends.
            if this.sleep.is_none() {
                this.sleep.set(Some(sleep_until(due)));
            }
            let mut sleep = this.sleep.as_mut().as_pin_mut().expect("it was set above");
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= due {
                *said = Instant::now();
                return Poll::Ready(Some(Block::COMMENT));
            }
            sleep.reset(due);
        }
    }
}
