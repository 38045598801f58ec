//! What flows to one client, in the order in which it flows.

pub mod interval;

pub mod grid;

mod step;

pub mod wall;

pub mod sse;

mod events;

pub mod keep_alive;

pub mod end;

pub mod shape;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio_stream::{Stream, StreamExt};

use crate::options::Options;
use crate::stats::Record;
use end::{Cut, end};
use events::Look;
use grid::{Beat, grid, tick};
use interval::{Ids, Interval};
use keep_alive::{SILENCE, keep_alive};
use shape::shape;
use sse::Block;

type Blocks<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

pin_project! {
    /// The body of a stream; dropping it is Node's `clearInterval`.
    pub struct Flow {
        #[pin]
        source: Source,
        record: Record,
    }
}

pin_project! {
    #[project = SourceProjection]
    enum Source {
        Plain { #[pin] interval: Interval },
        Asked { blocks: Blocks<Result<Block, Cut>> },
    }
}

/// The events of `interval` as `options` ask for them, and the `record` of what becomes of them.
#[must_use]
pub fn flow(mut interval: Interval, options: &Options, record: Record) -> Flow {
    if matches!(interval.ids, Ids::Time(_)) {
        interval.first += step::wait(interval.period);
    }
    let source = if options.asked {
        let blocks = ask(interval, options);
        Source::Asked { blocks }
    } else {
        Source::Plain { interval }
    };
    Flow { source, record }
}

fn ask(interval: Interval, options: &Options) -> Blocks<Result<Block, Cut>> {
    let (mut look, period, callback) = (Look::of(options), interval.period, interval.callback);
    let blocks: Blocks<Block> = match interval.ids {
        Ids::Time(now) if options.ids => {
            let last = options.last_event_id.as_deref().and_then(tick);
            Box::pin(grid(period, now, last).map(move |beat| match beat {
                Beat::Tick(at) => look.event(at, callback(at)),
                Beat::Gap(left_out) => look.gap(left_out),
            }))
        }
        _ => Box::pin(interval.map(move |tick| look.event(tick.id, tick.event))),
    };
    let blocks = keep_alive(blocks, period, SILENCE);
    let blocks = end(blocks, options.count, options.end);
    Box::pin(shape(blocks, options.shape))
}

impl Body for Flow {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.project();
        this.record.open();
        let block = match this.source.project() {
            SourceProjection::Plain { interval } => {
                ready!(interval.poll_next(cx)).map(|tick| Ok(Block::event(tick.event)))
            }
            SourceProjection::Asked { blocks } => ready!(blocks.as_mut().poll_next(cx)),
        };
        match &block {
            Some(Ok(block)) => this.record.count(block.events),
            Some(Err(Cut)) | None => this.record.finish(),
        }
        Poll::Ready(block.map(|block| block.map(|block| Frame::data(block.bytes))))
    }
}
