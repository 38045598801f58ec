//! Events as the bytes of `text/event-stream`, HTML 9.2.5.

use std::fmt::{Display, Write};

use bytes::Bytes;

/// A part of a stream, and the number of events that end in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The bytes to send.
    pub bytes: Bytes,
    /// The number of `x` to send after the bytes, and then, if an event ends here, two line ends.
    pub xs: u64,
    /// The number of events that end here; a comment and half an event count 0.
    pub events: u64,
}

impl Block {
    /// The comment at the beginning of a stream.
    pub const FIRST_COMMENT: Self = Self::uncounted(Bytes::from_static(b":\n\n"));

    /// A comment; some clients take an empty line after it for an event.
    pub const COMMENT: Self = Self::uncounted(Bytes::from_static(b":\n"));

    /// Returns a block of `bytes` in which `events` events end.
    #[must_use]
    pub const fn of(bytes: Bytes, events: u64) -> Self {
        let xs = 0;
        Self { bytes, xs, events }
    }

    /// Returns a complete event.
    #[must_use]
    pub const fn event(bytes: Bytes) -> Self {
        Self::of(bytes, 1)
    }

    /// Returns a block that does not count as an event.
    #[must_use]
    pub const fn uncounted(bytes: Bytes) -> Self {
        Self::of(bytes, 0)
    }

    /// Returns the first half of an event, which does not count.
    #[must_use]
    pub fn half(mut self) -> Self {
        if self.xs == 0 {
            self.bytes.truncate(self.bytes.len() / 2);
        }
        self.xs /= 2;
        self.events = 0;
        self
    }
}

/// The fields of an event before its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The reconnection time in milliseconds.
    pub retry: Option<u64>,
    /// The event's type, `message` without it; line ends and NULs are removed.
    pub event: Option<&'a str>,
    /// The id, which a client sends back as `Last-Event-ID`.
    pub id: Option<u64>,
}

impl Fields<'_> {
    /// Returns the event with these fields before `data`, which ends with the empty line.
    #[must_use]
    pub fn prefix_to(&self, data: Bytes) -> Bytes {
        if *self == Self::default() {
            return data;
        }
        let mut event = String::with_capacity(64);
        let name = self.event.map(|name| name.replace(['\n', '\r', '\0'], ""));
        field(&mut event, "retry", self.retry);
        field(&mut event, "event", name);
        field(&mut event, "id", self.id);
        [event.as_bytes(), &data].concat().into()
    }
}

/// Returns an event with `text` as its data; each line, ended by LF, CR or CRLF, becomes a field.
#[must_use]
pub fn data(text: &str) -> Bytes {
    let mut event = String::with_capacity(text.len() + 16);
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        field(&mut event, "data", Some(line));
    }
    event.push('\n');
    // A stream keeps the event; many short lines leave much spare capacity.
    event.shrink_to_fit();
    event.into()
}

fn field(event: &mut String, name: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        writeln!(event, "{name}: {value}").expect("a string takes all");
    }
}
