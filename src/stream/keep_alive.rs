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
        silence: Duration,
        may_be_silent: bool,
        said: Option<Instant>,
        sleep: Option<Pin<Box<Sleep>>>,
    }
}

/// `blocks`, with a comment ahead of them and after each `silence`; without any when that is zero.
///
/// Where they `may_be_silent` is asked only because watching them takes time.
pub fn keep_alive<S>(blocks: S, silence: Duration, may_be_silent: bool) -> KeptAlive<S> {
    KeptAlive {
        blocks,
        silence,
        may_be_silent: may_be_silent && !silence.is_zero(),
        said: silence.is_zero().then(Instant::now),
        sleep: None,
    }
}

impl<S: Stream<Item = Block>> Stream for KeptAlive<S> {
    type Item = Block;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Block>> {
        let this = self.project();
        let Some(said) = this.said else {
            *this.said = Some(Instant::now());
            return Poll::Ready(Some(Block::FIRST_COMMENT));
        };
        let block = this.blocks.poll_next(cx);
        if !*this.may_be_silent {
            return block;
        }
        if block.is_ready() {
            *said = Instant::now();
            return block;
        }
        loop {
            let due = *said + *this.silence;
            // What was said meanwhile has not moved the sleep: it looks again when it ends.
            let new = || Box::pin(sleep_until(due));
            let sleep = this.sleep.get_or_insert_with(new);
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= due {
                *said = Instant::now();
                return Poll::Ready(Some(Block::COMMENT));
            }
            sleep.as_mut().reset(due);
        }
    }
}
