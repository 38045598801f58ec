//! Comments in silence, so that no proxy closes the stream (HTML 9.2.7).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::sse::Block;
use super::timers::Timer;

/// The silence after which a comment is sent, well below the idle timeouts of proxies.
pub const SILENCE: Duration = Duration::from_secs(15);

pin_project! {
    /// Blocks, with a comment ahead of them and after each silence.
    pub struct KeptAlive<S> {
        #[pin]
        blocks: S,
        silence: Duration,
        may_be_silent: bool,
        begun: bool,
        since: Option<Instant>,
        timer: Option<Timer>,
    }
}

/// Adds a comment before `blocks` and after each `silence`, or none if `silence` is zero.
///
/// Blocks that never pause as long as that need no timer: `may_be_silent` is false.
pub fn keep_alive<S>(blocks: S, silence: Duration, may_be_silent: bool) -> KeptAlive<S> {
    KeptAlive {
        blocks,
        silence,
        may_be_silent: may_be_silent && !silence.is_zero(),
        begun: silence.is_zero(),
        since: None,
        timer: None,
    }
}

impl<S: Stream<Item = Block>> Stream for KeptAlive<S> {
    type Item = Block;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Block>> {
        let this = self.project();
        if !std::mem::replace(this.begun, true) {
            return Poll::Ready(Some(Block::FIRST_COMMENT));
        }
        let block = this.blocks.poll_next(cx);
        if block.is_ready() || !*this.may_be_silent {
            *this.since = None;
            return block;
        }
        let since = *this.since.get_or_insert_with(Instant::now);
        loop {
            let due = since + *this.silence;
            // Blocks do not reset the timer; an elapsed timer is set anew.
            let timer = this.timer.get_or_insert_with(|| Timer::new(due));
            ready!(timer.poll(cx));
            if timer.due() >= due {
                *this.since = None;
                return Poll::Ready(Some(Block::COMMENT));
            }
            timer.reset(due);
        }
    }
}
