//! Reads the ids and the gaps out of a stream (HTML 9.2.6), however it is cut, and keeps no text.

/// The bytes of a line that are kept: an id and a gap are short.
const KEPT: usize = 64;
const MARK: &[u8] = "\u{feff}".as_bytes();

/// What an event says of the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Id(u64),
    /// So many ticks were left out.
    Gap(u64),
}

/// One stream, as far as it has come.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    has_lines: bool,
    after_cr: bool,
    id: Option<u64>,
    is_gap: bool,
    number: Option<u64>,
}

impl Events {
    /// Takes what has come, and tells what whole events say.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Said)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
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

    /// A line is whole: what it says with those before it, if it is the empty one.
    fn end_line(&mut self) -> Option<Said> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.has_lines, true) && line.starts_with(MARK) {
            line.drain(..MARK.len());
        }
        if line.is_empty() {
            let said = match (self.id.take(), self.number.take()) {
                (Some(id), _) => Some(Said::Id(id)),
                (None, Some(number)) if self.is_gap => Some(Said::Gap(number)),
                _ => None,
            };
            self.is_gap = false;
            return said;
        }
        let text = String::from_utf8_lossy(&line);
        match text.split_once(": ") {
            Some(("id", id)) => self.id = id.parse().ok(),
            Some(("event", name)) => self.is_gap = name == "gap",
            Some(("data", data)) => self.number = data.parse().ok(),
            _ => {}
        }
        None
    }
}

/// Proves it over every cut of a stream into three packets; run before any soak.
pub(super) fn check() {
    let stream = "\u{feff}:\n\nretry: 5\r\nid: 10\r\ndata: 7\r\n\r\n:\r\revent: gap\rdata: 3\r\r\
        event: gap\nid: 50\ndata: 4\n\nid: 60\nevent: gap\nda";
    let said = [Said::Id(10), Said::Gap(3), Said::Id(50)];
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let (mut events, mut heard) = (Events::default(), Vec::new());
            let bytes = stream.as_bytes();
            for cut in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                events.feed(cut, |said| heard.push(said));
            }
            assert_eq!(heard, said, "cut at {first} and {second}");
        }
    }
}
