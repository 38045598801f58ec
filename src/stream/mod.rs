//! What flows to one client, in the order in which it flows.

pub mod interval;

pub mod timers;

pub mod grid;

mod step;

pub mod wall;

pub mod sse;

mod events;

pub mod wire;

pub mod keep_alive;

pub mod end;

pub mod size;

pub mod shape;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio_stream::Stream;

use crate::options::{Options, Shape};
use crate::stats::Record;
use end::{Cut, end};
use events::{Blocks, events};
use interval::{Given, Interval};
use keep_alive::{SILENCE, keep_alive};
use shape::shape;
use size::fill;
use sse::Block;

pin_project! {
    /// The body of a stream; dropping it is Node's `clearInterval`.
    pub struct Flow {
        #[pin]
        events: Events,
        record: Record,
    }
}

pin_project! {
    #[project = EventsProjection]
    enum Events {
        Plain { interval: Interval, comment: bool },
        Asked { blocks: Blocks<Result<Block, Cut>> },
    }
}

/// The events of `interval` as `options` ask for them, and the `record` of what becomes of them.
#[must_use]
pub fn flow(mut interval: Interval, options: &Options, record: Record) -> Flow {
    if matches!(interval.given, Given::Time(_)) {
        interval.first += step::wait(interval.period);
    }
    let events = if options.is_of_its_interval_alone() && interval.period < SILENCE {
        let comment = options.asked;
        Events::Plain { interval, comment }
    } else {
        let blocks = ask(interval, options);
        Events::Asked { blocks }
    };
    Flow { events, record }
}

/// Only what was asked for is there, and takes room.
fn ask(interval: Interval, options: &Options) -> Blocks<Result<Block, Cut>> {
    let silence = match options.wire {
        Some(_) => Duration::ZERO,
        None => options.comment.unwrap_or(SILENCE),
    };
    // With ids the wall clock decides, which may stand still.
    let may_be_silent = options.ids || interval.period >= silence;
    let blocks = keep_alive(events(interval, options), silence, may_be_silent);
    let end = end(blocks, options.count, options.end.unwrap_or_default());
    let mut blocks: Blocks<Result<Block, Cut>> = Box::pin(end);
    if options.size.is_some() {
        blocks = Box::pin(fill(blocks));
    }
    if options.shape != Shape::default() {
        blocks = Box::pin(shape(blocks, options.shape));
    }
    blocks
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
        let block = match this.events.project() {
            EventsProjection::Plain { comment, .. } if *comment => {
                *comment = false;
                Some(Ok(Block::FIRST_COMMENT))
            }
            EventsProjection::Plain { interval, .. } => {
                ready!(Pin::new(interval).poll_next(cx)).map(|call| Ok(Block::event(call.event)))
            }
            EventsProjection::Asked { blocks } => ready!(blocks.as_mut().poll_next(cx)),
        };
        match &block {
            Some(Ok(block)) => this.record.count(block.events),
            Some(Err(Cut)) | None => this.record.finish(),
        }
        Poll::Ready(block.map(|block| block.map(|block| Frame::data(block.bytes))))
    }
}
