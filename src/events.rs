//! What the events of a stream say, and how the options dress them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio_stream::Stream;

use crate::clock::{self, Beat, Ticks};
use crate::options::{Look, Options};
use crate::sse::{Block, COMMENT, Event};
use crate::{step, wall};

/// Where the events of a stream come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The clock on the wall: each event says the local time.
    Clock,
    /// The Express example: each event greets with the next number, which all streams share.
    Greetings(Arc<AtomicU64>),
}

pin_project! {
    /// What goes out for each beat of a stream.
    #[derive(Debug)]
    pub struct Blocks {
        #[pin]
        ticks: Ticks,
        source: Source,
        look: Option<Box<Look>>,
    }
}

impl Stream for Blocks {
    type Item = Block;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Block>> {
        let this = self.project();
        let beat = this.ticks.poll_next(cx);
        beat.map(|beat| beat.map(|beat| this.source.block(beat, this.look.as_deref_mut())))
    }
}

impl Source {
    /// The blocks that `options` ask for.
    #[must_use]
    pub fn blocks(self, options: &Options) -> Blocks {
        let look = options.look.is_custom();
        Blocks {
            ticks: self.ticks(options),
            source: self,
            look: look.then(|| Box::new(options.look.clone())),
        }
    }

    /// Greetings begin at once, and a clock with ids ticks on a grid.
    fn ticks(&self, options: &Options) -> Ticks {
        let ticks = clock::every(options.interval, wall::now).signs_of_life(options.custom);
        match self {
            Self::Clock if options.look.ids => {
                ticks.on_a_grid(options.last_event_id.as_deref().and_then(clock::tick))
            }
            Self::Clock => ticks.later(step::wait(options.interval)),
            Self::Greetings(_) => ticks.at_once(),
        }
    }

    /// What goes out for `beat`, as in the Node example where there is no `look`.
    #[must_use]
    pub fn block(&self, beat: Beat, look: Option<&mut Look>) -> Block {
        match (beat, look) {
            (Beat::Silence, _) => COMMENT,
            (Beat::Gap(left_out), look) => Block::Aside(gap(left_out, look)),
            (Beat::Tick(at), None) => Block::Event(self.plain(at)),
            (Beat::Tick(at), Some(look)) => Block::Event(self.dressed(at, look)),
        }
    }

    fn plain(&self, at: u64) -> Bytes {
        match self {
            Self::Clock => wall::time_event(at),
            Self::Greetings(next) => Event::of(&greeting(next.fetch_add(1, Relaxed))).into(),
        }
    }

    fn dressed(&self, at: u64, look: &mut Look) -> Bytes {
        let id = match self {
            Self::Clock => at,
            Self::Greetings(next) => next.fetch_add(1, Relaxed),
        };
        let data = look.data.clone().unwrap_or_else(|| match self {
            Self::Clock => wall::local_time(at),
            Self::Greetings(_) => greeting(id).into(),
        });
        let event = Event {
            retry: look.retry.take(),
            name: look.event.as_deref(),
            id: look.ids.then_some(id),
            data: &data,
        };
        event.into()
    }
}

fn greeting(number: u64) -> String {
    format!("hello from server sent events ---- [{number}]")
}

/// The event that says how many ticks were left out.
fn gap(left_out: u64, look: Option<&mut Look>) -> Bytes {
    let event = Event {
        retry: look.and_then(|look| look.retry.take()),
        name: Some("gap"),
        data: &left_out.to_string(),
        ..Event::default()
    };
    event.into()
}
