//! Parses ids and gaps from an event stream (HTML 9.2.6) that is split at any byte.

use std::mem::{replace, take};

/// Bytes kept per line. Lines with an id or a gap are short.
const KEPT: usize = 64;
const MARK: &[u8] = "\u{feff}".as_bytes();

/// The tick information of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Id(u64),
    /// That many ticks were left out.
    Gap(u64),
    /// An event without an id that is neither a gap nor the echo of a request.
    Nothing,
}

/// The parser state of one stream.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    has_lines: bool,
    after_cr: bool,
    id: Option<u64>,
    name: String,
    has_data: bool,
    number: Option<u64>,
}

impl Events {
    /// Parses `bytes` and reports each complete event.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Said)) {
        while let Some(&first) = bytes.first() {
            if take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| b"\r\n".contains(byte));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = KEPT - self.line.len();
            self.line.extend_from_slice(&part[..room.min(part.len())]);
            let Some(end) = end else {
                return;
            };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if let Some(said) = self.end_line() {
                tell(said);
            }
        }
    }

    /// Ends a line. Returns the event if the line is empty.
    fn end_line(&mut self) -> Option<Said> {
        let mut line = take(&mut self.line);
        if !replace(&mut self.has_lines, true) && line.starts_with(MARK) {
            line.drain(..MARK.len());
        }
        if line.is_empty() {
            let name = take(&mut self.name);
            let (id, number) = (self.id.take(), self.number.take());
            return match (id, &*name, number) {
                _ if !take(&mut self.has_data) => None,
                (Some(id), ..) => Some(Said::Id(id)),
                (None, "gap", Some(number)) => Some(Said::Gap(number)),
                (None, "request", _) => None,
                _ => Some(Said::Nothing),
            };
        }
        self.has_data |= line.starts_with(b"data");
        let text = String::from_utf8_lossy(&line);
        match text.split_once(": ") {
            Some(("id", id)) => self.id = id.parse().ok(),
            Some(("event", name)) => name.clone_into(&mut self.name),
            Some(("data", data)) => self.number = data.parse().ok(),
            _ => {}
        }
        None
    }
}

/// Tests the parser with every split of a stream into three packets. Runs before any soak.
pub(super) fn check() {
    let stream = "\u{feff}:\n\nretry: 5\r\nid: 10\r\ndata: 7\r\n\r\n:\r\revent: gap\rdata: 3\r\r\
        event: gap\nid: 50\ndata: 4\n\nevent: request\ndata: {}\n\nid: 1x\ndata: 1\n\n\
        event: gap\ndata: x\n\nid: 60\nevent: gap\nda";
    let said = [
        Said::Id(10),
        Said::Gap(3),
        Said::Id(50),
        Said::Nothing,
        Said::Nothing,
    ];
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let (mut events, mut result) = (Events::default(), Vec::new());
            let bytes = stream.as_bytes();
            for cut in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                events.feed(cut, |said| result.push(said));
            }
            assert_eq!(result, said, "cut at {first} and {second}");
        }
    }
}
