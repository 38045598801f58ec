//! Events as the bytes of `text/event-stream`, HTML 9.2.5.

use std::fmt::{Display, Write};

use bytes::Bytes;

/// A comment, which keeps a silent connection open.
///
/// No empty line follows: some clients take one for an event.
pub const COMMENT: Bytes = Bytes::from_static(b":\n");

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

    /// [`COMMENT`] as a block.
    pub const COMMENT: Self = Self::uncounted(COMMENT);

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

/// An event, as the fields before its data.
///
/// A value is one line: line ends and NULs are removed.
///
/// # Examples
///
/// ```
/// use sse_clock::stream::sse::Event;
///
/// let event = Event::default().event("add").id(7).data("two\nlines");
/// assert_eq!(event, "event: add\nid: 7\ndata: two\ndata: lines\n\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Event(String);

impl Event {
    /// Adds the reconnection time, in milliseconds, if there is one.
    pub fn retry(self, time: impl Into<Option<u64>>) -> Self {
        self.field("retry", time.into())
    }

    /// Adds the type, if there is one; an event without a type is a `message`.
    pub fn event<'a>(self, kind: impl Into<Option<&'a str>>) -> Self {
        self.field("event", kind.into())
    }

    /// Adds the id, which a client sends back as `Last-Event-ID`.
    pub fn id(self, id: impl Display) -> Self {
        self.field("id", Some(id))
    }

    /// Returns the event with `text` as its [`data`].
    #[must_use]
    pub fn data(self, text: &str) -> Bytes {
        self.before(data(text))
    }

    /// Returns the event with these fields before `data`, which ends with the empty line.
    #[must_use]
    pub fn before(self, data: Bytes) -> Bytes {
        if self.0.is_empty() {
            return data;
        }
        [self.0.as_bytes(), &data].concat().into()
    }

    fn field(mut self, name: &str, value: Option<impl Display>) -> Self {
        let line = value.map(|value| value.to_string().replace(['\n', '\r', '\0'], ""));
        field(&mut self.0, name, line);
        self
    }
}

/// Returns an event with `text` as its data; each line, ended by LF, CR or CRLF, becomes a field.
///
/// # Examples
///
/// ```
/// assert_eq!(sse_clock::stream::sse::data("hello"), "data: hello\n\n");
/// ```
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
