//! The body of a stream, from the interval to the frames.

pub mod interval;
pub mod resume;
mod slack;
pub mod time;
pub mod sse;
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
use interval::{Interval, Source};
use keep_alive::{SILENCE, keep_alive};
use resume::{Due, resume, tick_of};
use script::{Aborted, frames};
use sse::{Block, Event, data};
use wire::wire;

/// A boxed stream.
type Boxed<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

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
            blocks = Box::pin(keep_alive(blocks, silence, Block::COMMENT));
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

/// Returns the events of `interval` as `request` changes them.
fn events(interval: Interval, request: &StreamRequest) -> Boxed<Block> {
    let script = &request.options.script;
    let (mut template, callback) = (Template::of(script), interval.callback);
    let echo = request.echo.as_deref();
    let echo = echo.map(|echo| template.uncounted("request", echo));
    let seen = request.last_event_id().filter(|_| script.ids);
    let blocks: Boxed<Block> = match (&script.wire, &interval.source) {
        (Some(bytes), _) => {
            // `setInterval` turns 0 into 1 ms, but a wire with `interval=0` is sent at once.
            let period = request.options.interval.map(Duration::from_millis);
            let whole = script.count.is_none();
            Box::pin(wire(bytes, period.unwrap_or(interval.period), whole, seen))
        }
        (None, Source::Time(now)) if script.ids => {
            let ticks = resume(interval.period, *now, seen.and_then(tick_of));
            Box::pin(ticks.map(move |due| match due {
                Due::Tick(at) => template.event(at, callback(at)),
                Due::Gap(left_out) => template.uncounted("gap", &left_out.to_string()),
            }))
        }
        _ => Box::pin(interval.map(move |tick| template.event(tick.id, tick.event))),
    };
    match echo {
        Some(echo) => Box::pin(once(echo).chain(blocks)),
        None => blocks,
    }
}

/// What each event of a stream has in addition to, or in place of, the data of the callback.
struct Template {
    retry: Option<u64>,
    event: Option<String>,
    ids: bool,
    data: Option<Bytes>,
    xs: u64,
}

impl Template {
    fn of(script: &Script) -> Self {
        let size = script.size.map(|_| Bytes::from_static(b"data: "));
        Self {
            retry: script.retry,
            event: script.event.clone(),
            ids: script.ids,
            data: size.or_else(|| script.data.as_deref().map(data)),
            xs: script.size.unwrap_or(0),
        }
    }

    /// Returns the event of the tick `id`, with `plain`, which the callback has written.
    fn event(&mut self, id: u64, plain: Bytes) -> Block {
        let event = Event::default().retry(self.retry.take());
        let event = event.event(self.event.as_deref());
        let event = if self.ids { event.id(id) } else { event };
        let bytes = event.before(self.data.clone().unwrap_or(plain));
        let (xs, events) = (self.xs, 1);
        Block { bytes, xs, events }
    }

    /// Returns an event of another type, without an id, that does not count.
    fn uncounted(&mut self, kind: &str, text: &str) -> Block {
        let event = Event::default().retry(self.retry.take()).event(kind);
        Block::uncounted(event.data(text))
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
