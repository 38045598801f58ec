//! What a stream says: the events of its interval as they were asked for, or other bytes.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt};

use super::grid::{Beat, grid, tick_of};
use super::interval::{Given, Interval};
use super::sse::{Block, Fields, data};
use super::wire::wire;
use crate::options::Options;

/// A stream of any kind.
pub(super) type Blocks<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// The events of `interval` as `options` ask for them.
pub(super) fn events(interval: Interval, options: &Options) -> Blocks<Block> {
    let (mut look, period, callback) = (Look::of(options), interval.period, interval.callback);
    let request = options.request.as_deref();
    let request = request.map(|request| look.aside("request", request));
    let seen = options.last_event_id.as_deref();
    let blocks: Blocks<Block> = match (&options.wire, &interval.given) {
        (Some(bytes), _) => {
            let period = options.interval.map_or(period, Duration::from_millis);
            Box::pin(wire(bytes, period, seen.filter(|_| options.ids)))
        }
        (None, Given::Time(now)) if options.ids => {
            let beats = grid(period, *now, seen.and_then(tick_of));
            Box::pin(beats.map(move |beat| match beat {
                Beat::Tick(at) => look.event(at, callback(at)),
                Beat::Gap(left_out) => look.aside("gap", &left_out.to_string()),
            }))
        }
        _ if look == Look::default() => Box::pin(interval.map(|call| Block::event(call.event))),
        _ => Box::pin(interval.map(move |call| look.event(call.id, call.event))),
    };
    match request {
        Some(request) => Box::pin(tokio_stream::once(request).chain(blocks)),
        None => blocks,
    }
}

/// How the events of one stream look; by default as the callback writes them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    retry: Option<u64>,
    event: Option<String>,
    ids: bool,
    data: Option<Bytes>,
    xs: u64,
}

impl Look {
    fn of(options: &Options) -> Self {
        let data = match options.size {
            Some(_) => Some(Bytes::from_static(b"data: ")),
            None => options.data.as_deref().map(data),
        };
        Self {
            retry: options.retry,
            event: options.event.clone(),
            ids: options.ids,
            data,
            xs: options.size.unwrap_or(0),
        }
    }

    /// The event of a tick, which was written as in the example.
    fn event(&mut self, id: u64, plain: Bytes) -> Block {
        let data = self.data.clone().unwrap_or(plain);
        let fields = Fields {
            retry: self.retry.take(),
            event: self.event.as_deref(),
            id: self.ids.then_some(id),
        };
        let event = Block::event(fields.before(data));
        let xs = self.xs;
        Block { xs, ..event }
    }

    /// An event of another name, without an id, that does not count.
    fn aside(&mut self, event: &str, text: &str) -> Block {
        let fields = Fields {
            retry: self.retry.take(),
            event: Some(event),
            id: None,
        };
        Block::aside(fields.before(data(text)))
    }
}
