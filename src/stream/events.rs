//! The events of a stream: those of its interval, with the fields that were requested, or given
//! bytes.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt, once};

use super::interval::{Interval, Source};
use super::resume::{Due, resume, tick_of};
use super::sse::{Block, Fields, data};
use super::wire::wire;
use crate::options::{Options, Script, StreamRequest};

/// A boxed stream.
pub(super) type Boxed<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// Returns the events of `interval` as `request` changes them.
pub(super) fn events(interval: Interval, request: &StreamRequest) -> Boxed<Block> {
    let Options { script, .. } = &request.options;
    let (mut template, callback) = (Template::of(script), interval.callback);
    let echo = request.echo.as_deref();
    let echo = echo.map(|echo| template.uncounted("request", echo));
    let seen = request.last_event_id().filter(|_| script.ids);
    let blocks: Boxed<Block> = match (&script.wire, &interval.source) {
        (Some(bytes), _) => {
            // `setInterval` turns 0 into 1 ms, but a wire with `interval=0` is sent at once.
            let period = request.options.interval.map(Duration::from_millis);
            Box::pin(wire(bytes, period.unwrap_or(interval.period), seen))
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
        let fields = Fields {
            retry: self.retry.take(),
            event: self.event.as_deref(),
            id: self.ids.then_some(id),
        };
        let event = fields.prefix_to(self.data.clone().unwrap_or(plain));
        let xs = self.xs;
        Block {
            xs,
            ..Block::event(event)
        }
    }

    /// Returns an event of another type, without an id, that does not count.
    fn uncounted(&mut self, event: &str, text: &str) -> Block {
        let fields = Fields {
            retry: self.retry.take(),
            event: Some(event),
            id: None,
        };
        Block::uncounted(fields.prefix_to(data(text)))
    }
}
