//! A client of HTML 9.2, written from the standard step by step, without code of the server.

use std::mem::take;

/// An event as a client dispatches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub event: String,
    pub data: String,
    pub id: String,
}

/// A parser of a stream (HTML 9.2.6).
#[derive(Debug, Default)]
pub struct EventStream {
    decoder: Decoder,
    begun: bool,
    /// The last character was a CR: an LF that follows belongs to the same line end.
    cr: bool,
    line: String,
    data_buffer: String,
    event_type_buffer: String,
    last_event_id_buffer: String,
    /// The `Last-Event-ID` of a reconnect; no header if empty.
    pub last_event_id: String,
    /// The reconnection time in milliseconds, if the stream has set one.
    pub reconnection_time: Option<u64>,
    /// The events dispatched so far.
    pub events: Vec<Message>,
}

impl EventStream {
    /// A stream of a client whose newest id is `last_event_id`; the buffer for ids begins as `buffer`.
    pub fn of_connection(last_event_id: &str, buffer: &str) -> Self {
        Self {
            last_event_id: last_event_id.into(),
            last_event_id_buffer: buffer.into(),
            ..Self::default()
        }
    }

    /// Parses more text; an incomplete event at the end of the stream is discarded.
    pub fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let (first, second) = self.decoder.decode(*byte);
            for letter in [first, second].into_iter().flatten() {
                self.letter(letter);
            }
        }
    }

    fn letter(&mut self, letter: char) {
        let begun = std::mem::replace(&mut self.begun, true);
        let after_cr = std::mem::replace(&mut self.cr, letter == '\r');
        match letter {
            '\u{feff}' if !begun => {}
            '\n' if after_cr => {}
            '\n' | '\r' => {
                let line = take(&mut self.line);
                self.line(&line);
            }
            _ => self.line.push(letter),
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        match line.split_once(':') {
            Some(("", _)) => {}
            Some((field, value)) => self.field(field, value.strip_prefix(' ').unwrap_or(value)),
            None => self.field(line, ""),
        }
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.event_type_buffer),
            "data" => {
                self.data_buffer.push_str(value);
                self.data_buffer.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_event_id_buffer),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                // The standard leaves open an empty value, and a value that no integer type holds.
                if let Ok(time) = value.parse() {
                    self.reconnection_time = Some(time);
                }
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id.clone_from(&self.last_event_id_buffer);
        let mut data = take(&mut self.data_buffer);
        let event_type = take(&mut self.event_type_buffer);
        if data.is_empty() {
            return;
        }
        if data.ends_with('\n') {
            data.pop();
        }
        let event = match event_type.as_str() {
            "" => "message".into(),
            _ => event_type,
        };
        self.events.push(Message {
            event,
            data,
            id: self.last_event_id.clone(),
        });
    }
}

/// The UTF-8 decoder of the Encoding standard, section 8.1.1, with errors replaced.
#[derive(Debug, Default)]
struct Decoder {
    code_point: u32,
    bytes_needed: u8,
    /// The valid range of the next byte, if not 80 to BF.
    boundary: Option<(u8, u8)>,
}

impl Decoder {
    /// The characters that `byte` completes: a truncated sequence, and the byte's own character.
    fn decode(&mut self, byte: u8) -> (Option<char>, Option<char>) {
        const ERROR: Option<char> = Some('\u{fffd}');
        if self.bytes_needed == 0 {
            let (needed, bits) = match byte {
                0x00..=0x7F => return (None, Some(byte.into())),
                0xC2..=0xDF => (1, byte & 0x1F),
                0xE0..=0xEF => (2, byte & 0xF),
                0xF0..=0xF4 => (3, byte & 0x7),
                _ => return (None, ERROR),
            };
            self.boundary = match byte {
                0xE0 => Some((0xA0, 0xBF)),
                0xED => Some((0x80, 0x9F)),
                0xF0 => Some((0x90, 0xBF)),
                0xF4 => Some((0x80, 0x8F)),
                _ => None,
            };
            (self.bytes_needed, self.code_point) = (needed, bits.into());
            return (None, None);
        }
        let (lower, upper) = self.boundary.take().unwrap_or((0x80, 0xBF));
        if !(lower..=upper).contains(&byte) {
            self.bytes_needed = 0;
            // The byte itself is decoded again, as the first of a sequence.
            return (ERROR, self.decode(byte).1);
        }
        self.code_point = (self.code_point << 6) | u32::from(byte & 0x3F);
        self.bytes_needed -= 1;
        match self.bytes_needed {
            0 => (None, char::from_u32(self.code_point)),
            _ => (None, None),
        }
    }
}

/// Whether a response is an event stream, by the steps of the constructor in HTML 9.2.2.
pub fn is_stream(status: u16, content_type: &str) -> bool {
    status == 200 && essence(content_type).as_deref() == Some("text/event-stream")
}

/// The type and subtype of a MIME type, "parse a MIME type" of the MIME Sniffing standard.
fn essence(text: &str) -> Option<String> {
    let is_token = |text: &str| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(token)
    };
    let whitespace = ['\n', '\r', '\t', ' '];
    let (kind, rest) = text.trim_matches(whitespace).split_once('/')?;
    let subtype = rest.split(';').next()?.trim_end_matches(whitespace);
    let valid = is_token(kind) && is_token(subtype);
    valid.then(|| format!("{kind}/{subtype}").to_ascii_lowercase())
}

/// Parses a stream that arrives in pieces of these `sizes`, repeated.
fn cut(stream: &[u8], sizes: &[usize]) -> EventStream {
    let (mut read, mut rest) = (EventStream::default(), stream);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (frame, tail) = rest.split_at((*size).min(rest.len()));
        read.read(frame);
        rest = tail;
    }
    read
}

/// A stream, its events as type, data and id, and the state after the stream.
type Row = (
    &'static [u8],
    &'static [(&'static str, &'static str, &'static str)],
    &'static str,
    Option<u64>,
);

const ROWS: &[Row] = &[
    (b"", &[], "", None),
    (b"data: a\n\n", &[("message", "a", "")], "", None),
    (b"data: a\n", &[], "", None),
    (b"data: a", &[], "", None),
    (
        b"data:a\rdata:  b\r\ndata\n\n",
        &[("message", "a\n b\n", "")],
        "",
        None,
    ),
    (
        b"data\r\rdata\r\n\r\ndata\n\n",
        &[("message", "", ""); 3],
        "",
        None,
    ),
    (
        b"data: a\n\rdata: b\n\r\ndata: c\r\n\rdata: d\r\r\n",
        &[
            ("message", "a", ""),
            ("message", "b", ""),
            ("message", "c", ""),
            ("message", "d", ""),
        ],
        "",
        None,
    ),
    (
        b"event: x\n\ndata: a\n\nevent: y\ndata: b\n\nevent: z\nevent\ndata: c\n\n",
        &[("message", "a", ""), ("y", "b", ""), ("message", "c", "")],
        "",
        None,
    ),
    (
        b"id: 1\ndata: a\n\ndata: b\n\nid: \x00\nid: 2\n\nid: 3\ndata: c\n",
        &[("message", "a", "1"), ("message", "b", "1")],
        "2",
        None,
    ),
    (
        b"id: 1\ndata: a\n\nid\ndata: b\n\n",
        &[("message", "a", "1"), ("message", "b", "")],
        "",
        None,
    ),
    (b"retry: 7\nretry: +8\nretry: 9 \n", &[], "", Some(7)),
    (b"retry: 0010\nretry\n", &[], "", Some(10)),
    (b"retry: 7", &[], "", None),
    (b":data: a\n: \n:\ndata : a\nData: a\n \n\n", &[], "", None),
    (
        b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\ndata:\xEF\xBB\xBF\n\n",
        &[("message", "a", ""), ("message", "\u{feff}", "")],
        "",
        None,
    ),
    (
        b"\xEF\xBBdata: a\n\ndata: \xF0\x9F\x92\n\ndata: \xC0\xAF\xE2\x82\xAC\n\n",
        &[
            ("message", "\u{fffd}", ""),
            ("message", "\u{fffd}\u{fffd}€", ""),
        ],
        "",
        None,
    ),
];

#[test]
fn a_stream_parses_the_same_wherever_it_is_split() {
    for (stream, events, last_event_id, reconnection_time) in ROWS {
        let events: Vec<_> = events
            .iter()
            .map(|(event, data, id)| Message {
                event: (*event).into(),
                data: (*data).into(),
                id: (*id).into(),
            })
            .collect();
        let text = stream.escape_ascii();
        for at in 0..=stream.len() {
            for sizes in [[at, stream.len() + 1], [at + 1, at + 1]] {
                let read = cut(stream, &sizes);
                assert_eq!(read.events, events, "{text} cut into {sizes:?}");
                assert_eq!(read.last_event_id, *last_event_id, "{text}");
                assert_eq!(read.reconnection_time, *reconnection_time, "{text}");
            }
        }
    }
}

#[test]
fn an_event_is_dispatched_with_the_last_byte_that_it_needs() {
    for stream in ["data: a\n\n", "data: a\r\r", "data: a\r\n\r"] {
        let (last, rest) = stream.as_bytes().split_last().unwrap();
        let mut read = EventStream::default();
        read.read(rest);
        assert_eq!(read.events, [], "{stream:?}");
        read.read(&[*last]);
        assert_eq!(read.events.len(), 1, "{stream:?}");
    }
}

#[test]
fn bad_utf_8_is_replaced_as_the_encoding_standard_says() {
    let edges = [
        0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
        0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
    ];
    for first in edges {
        for second in edges {
            for third in edges {
                for fourth in edges {
                    // The last byte ends all open lines and events.
                    let bytes = [first, second, third, fourth, b'.'];
                    let mut decoder = Decoder::default();
                    let letters = bytes.map(|byte| decoder.decode(byte));
                    let letters = letters.into_iter().flat_map(|(one, two)| [one, two]);
                    let text: String = letters.flatten().collect();
                    assert_eq!(text, String::from_utf8_lossy(&bytes), "{bytes:x?}");
                }
            }
        }
    }
}

#[test]
fn a_stream_is_known_by_its_status_and_the_essence_of_its_type() {
    for (status, content_type, stream) in [
        (200, "text/event-stream", true),
        (200, "Text/Event-STREAM", true),
        (200, "text/event-stream;", true),
        (200, "text/event-stream ; charset=utf-8", true),
        (200, "text/event-stream;bogus", true),
        (200, "text/event-streams", false),
        (200, "text/event stream", false),
        (200, "text/plain; text/event-stream", false),
        (200, "event-stream", false),
        (200, "", false),
        (204, "text/event-stream", false),
        (500, "text/event-stream", false),
    ] {
        assert_eq!(is_stream(status, content_type), stream, "{content_type:?}");
    }
}
