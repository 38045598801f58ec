//! The body of a stream, from the interval to the frames.

pub mod interval;
pub mod resume;
mod slack;
pub mod time;
pub mod sse;
mod events;
pub mod wire;
pub mod keep_alive;
pub mod script;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio_stream::{Stream, StreamExt, once};

use crate::options::{Framing, Script, StreamRequest};
use crate::stats::StreamGuard;
use events::{Boxed, events};
use interval::{Interval, Source};
use keep_alive::{SILENCE, keep_alive};
use script::{Aborted, frames};
use sse::Block;

pin_project! {
    /// The body of a stream; dropping it is Node's `clearInterval`.
    pub struct EventBody {
        #[pin]
        events: Events,
        guard: StreamGuard,
    }
}

pin_project! {
    #[project = EventsProjection]
    enum Events {
        Plain { #[pin] interval: Interval, comment: bool },
        Scripted { blocks: Boxed<Result<Block, Aborted>> },
    }
}

/// Returns the events of `interval` as `request` changes them; `guard` counts them.
#[must_use]
pub fn event_body(
    mut interval: Interval,
    request: &StreamRequest,
    guard: StreamGuard,
) -> EventBody {
    if matches!(interval.source, Source::Time(_)) {
        interval.first += slack::wait(interval.period);
    }
    let options = &request.options;
    let events = if options.script == Script::default() && interval.period < SILENCE {
        let comment = options.any;
        Events::Plain { interval, comment }
    } else {
        let blocks = scripted(interval, request);
        Events::Scripted { blocks }
    };
    EventBody { events, guard }
}

/// Adds only the layers that the script needs, because each takes memory.
fn scripted(interval: Interval, request: &StreamRequest) -> Boxed<Result<Block, Aborted>> {
    let script = &request.options.script;
    let silence = match script.wire {
        Some(_) => Duration::ZERO,
        None => script.comment.unwrap_or(SILENCE),
    };
    // With ids the wall clock decides, which may stand still.
    let may_be_silent = script.ids || interval.period >= silence;
    let mut blocks = events(interval, request);
    if !silence.is_zero() {
        if may_be_silent {
            blocks = Box::pin(keep_alive(blocks, silence));
        }
        blocks = Box::pin(once(Block::FIRST_COMMENT).chain(blocks));
    }
    let end = script.end.unwrap_or_default();
    let blocks = Box::pin(script::end(blocks, script.count, end));
    if script.size.is_some() || script.framing != Framing::default() {
        Box::pin(frames(blocks, script.framing))
    } else {
        blocks
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = self.project();
        this.guard.begin();
        let block = match this.events.project() {
            EventsProjection::Plain { comment, .. } if *comment => {
                *comment = false;
                Some(Ok(Block::FIRST_COMMENT))
            }
            EventsProjection::Plain { interval, .. } => {
                ready!(interval.poll_next(cx)).map(|tick| Ok(Block::event(tick.event)))
            }
            EventsProjection::Scripted { blocks } => ready!(blocks.as_mut().poll_next(cx)),
        };
        match &block {
            Some(Ok(block)) => this.guard.count(block.events),
            Some(Err(Aborted)) | None => this.guard.finish(),
        }
        Poll::Ready(block.map(|block| block.map(|block| Frame::data(block.bytes))))
    }
}
