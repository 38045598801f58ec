//! What the events of a stream say, and how the options dress it.

use std::fmt;

use bytes::Bytes;

use crate::clock::Beat;
use crate::options::Look;
use crate::sse::{Block, COMMENT, Event};
use crate::wall;

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datum {
    /// The local time of an instant, in milliseconds since the Unix epoch.
    Time(u64),
    /// The greeting of this number.
    Greeting(u64),
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => f.write_str(&wall::local_time(*at)),
            Self::Greeting(number) => write!(f, "hello from server sent events ---- [{number}]"),
        }
    }
}

impl Datum {
    fn id(self) -> u64 {
        match self {
            Self::Time(id) | Self::Greeting(id) => id,
        }
    }

    /// The event as in the Node example.
    fn plain(self) -> Bytes {
        match self {
            Self::Time(at) => wall::time_event(at),
            Self::Greeting(_) => Event::of(&self.to_string()).into(),
        }
    }

    fn dressed(self, look: &mut Look) -> Bytes {
        let own = look.data.is_none().then(|| self.to_string());
        let event = Event {
            retry: look.retry.take(),
            name: look.event.as_deref(),
            id: look.ids.then_some(self.id()),
            data: own.as_deref().or(look.data.as_deref()).unwrap_or_default(),
        };
        event.into()
    }
}

/// The block for a beat: `datum` says what a tick is about, `look` how its event looks.
pub fn block(beat: Beat, look: Option<&mut Look>, datum: impl FnOnce(u64) -> Datum) -> Block {
    match (beat, look) {
        (Beat::Silence, _) => COMMENT,
        (Beat::Tick(at), None) => Block::Event(datum(at).plain()),
        (Beat::Tick(at), Some(look)) => Block::Event(datum(at).dressed(look)),
        (Beat::Gap(left_out), look) => {
            let gap = Event {
                retry: look.and_then(|look| look.retry.take()),
                name: Some("gap"),
                data: &left_out.to_string(),
                ..Event::default()
            };
            Block::Aside(gap.into())
        }
    }
}
