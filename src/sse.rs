//! One event as the bytes of `text/event-stream`, HTML 9.2.5.

use std::fmt::Display;

use bytes::Bytes;

/// A part of a stream that ends with an empty line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// An event that counts as one.
    Event(Bytes),
    /// What the client gets beside its events.
    Aside(Bytes),
}

impl From<Block> for Bytes {
    fn from(block: Block) -> Self {
        match block {
            Block::Event(bytes) | Block::Aside(bytes) => bytes,
        }
    }
}

/// A comment, which a client reads and forgets.
pub const COMMENT: Block = Block::Aside(Bytes::from_static(b":\n\n"));

/// The fields of an event; the text may be any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// The reconnection time in milliseconds, from now on.
    pub retry: Option<u64>,
    /// The event's type, `message` when there is none; it loses line ends and NULs.
    pub name: Option<&'a str>,
    /// What comes back as `Last-Event-ID`.
    pub id: Option<u64>,
    /// The data; each of its lines, ended by LF, CR or CRLF, becomes a field.
    pub data: &'a str,
}

impl<'a> Event<'a> {
    /// An event of nothing but `data`.
    #[must_use]
    pub fn of(data: &'a str) -> Self {
        Self {
            data,
            ..Self::default()
        }
    }
}

impl From<Event<'_>> for Bytes {
    fn from(event: Event<'_>) -> Self {
        let mut block = String::with_capacity(event.data.len() + 64);
        let mut field = |name: &str, value: &dyn Display| {
            use std::fmt::Write;
            writeln!(block, "{name}: {value}").expect("a string takes all");
        };
        if let Some(time) = event.retry {
            field("retry", &time);
        }
        if let Some(name) = event.name {
            field("event", &name.replace(['\n', '\r', '\0'], ""));
        }
        if let Some(id) = event.id {
            field("id", &id);
        }
        for line in lines(event.data) {
            field("data", &line);
        }
        block.push('\n');
        block.into()
    }
}

/// The lines of `text`, ended by LF, CR or CRLF; one empty line when it is empty.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            return rest.take();
        };
        let (line, tail) = text.split_at(end);
        rest = Some(tail.strip_prefix("\r\n").unwrap_or(&tail[1..]));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Event};

    #[test]
    fn every_kind_of_line_end_begins_a_new_data_field() {
        for (data, block) in [
            ("9:05:07 AM", "data: 9:05:07 AM\n\n"),
            ("", "data: \n\n"),
            ("a\nb", "data: a\ndata: b\n\n"),
            ("a\rb", "data: a\ndata: b\n\n"),
            ("a\r\nb", "data: a\ndata: b\n\n"),
            ("a\n\rb", "data: a\ndata: \ndata: b\n\n"),
            ("a\n", "data: a\ndata: \n\n"),
            (" a", "data:  a\n\n"),
            (":é\0", "data: :é\0\n\n"),
        ] {
            assert_eq!(Bytes::from(Event::of(data)), block, "{data:?}");
        }
    }

    #[test]
    fn the_reconnection_time_comes_first_and_the_data_last() {
        let event = Event {
            retry: Some(5),
            name: Some("a b"),
            id: Some(7),
            data: "c",
        };
        assert_eq!(
            Bytes::from(event),
            "retry: 5\nevent: a b\nid: 7\ndata: c\n\n"
        );
    }

    #[test]
    fn a_name_cannot_end_its_line() {
        let event = Event {
            name: Some("a\r\n\0b"),
            data: "c",
            ..Event::default()
        };
        assert_eq!(Bytes::from(event), "event: ab\ndata: c\n\n");
    }
}
