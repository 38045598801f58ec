//! Counts the events of one chunked response, independent of packet boundaries.

const FIELD: &[u8] = b"data:";
/// `column` is the number of matched bytes of `data:`. This value marks a line without a match.
const OTHER: u8 = FIELD.len() as u8 + 1;
const MAX_HEAD: usize = 16 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Size,
    Extension,
    Data,
    DataEnd,
    Trailer,
    End,
}

/// The parser state of one response.
pub(crate) struct Framing {
    head: Vec<u8>,
    part: Part,
    /// The remaining bytes of the chunk, or the size parsed so far.
    left: u64,
    column: u8,
    has_data: bool,
    digest: u64,
}

impl Framing {
    pub(crate) fn new() -> Self {
        Self {
            head: Vec::new(),
            part: Part::Head,
            left: 0,
            column: 0,
            has_data: false,
            digest: 0,
        }
    }

    /// Returns whether the response head is complete and valid.
    pub(crate) fn is_open(&self) -> bool {
        self.part != Part::Head
    }

    /// Returns whether the terminating chunk has arrived.
    pub(crate) fn is_ended(&self) -> bool {
        self.part == Part::End
    }

    /// Returns the digest of the values of all `data:` lines.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Parses `bytes` and returns the number of completed events.
    ///
    /// # Errors
    /// If the response is not a chunked 200, or the chunks are malformed.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<u32, &'static str> {
        let mut events = 0;
        if self.part == Part::Head {
            bytes = self.feed_head(bytes)?;
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.part {
                Part::Data => {
                    let here = usize::try_from(self.left)
                        .map_or(bytes.len(), |left| left.min(bytes.len()));
                    let (body, after) = bytes.split_at(here);
                    events += self.count(body);
                    self.left -= here as u64;
                    if self.left == 0 {
                        self.part = Part::DataEnd;
                    }
                    bytes = after;
                    continue;
                }
                Part::Size => self.feed_size(byte)?,
                Part::Extension if byte == b'\n' => self.begin_chunk(),
                Part::DataEnd if byte == b'\n' => self.part = Part::Size,
                Part::DataEnd if byte != b'\r' => return Err("a chunk is longer than its size"),
                Part::Trailer if byte == b'\n' && self.left == 0 => self.part = Part::End,
                Part::Trailer if byte == b'\n' => self.left = 0,
                Part::Trailer if byte != b'\r' => self.left += 1,
                Part::End => return Err("bytes after the terminating chunk"),
                _ => {}
            }
            bytes = rest;
        }
        Ok(events)
    }

    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let seen = self.head.len();
        self.head.extend_from_slice(bytes);
        let from = seen.saturating_sub(3);
        let Some(at) = self.head[from..]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        else {
            return if self.head.len() < MAX_HEAD {
                Ok(&[])
            } else {
                Err("the head has no end")
            };
        };
        let length = from + at + 4;
        let head = self.head[..length].to_ascii_lowercase();
        if !head.starts_with(b"http/1.1 200 ") {
            return Err("the status is not 200");
        }
        let chunked = b"\r\ntransfer-encoding: chunked\r\n";
        if !head.windows(chunked.len()).any(|line| line == chunked) {
            return Err("the body is not chunked");
        }
        self.head = Vec::new();
        self.part = Part::Size;
        Ok(&bytes[length - seen..])
    }

    fn feed_size(&mut self, byte: u8) -> Result<(), &'static str> {
        match byte {
            b'\n' => self.begin_chunk(),
            b';' => self.part = Part::Extension,
            b'\r' => {}
            _ => {
                let digit = char::from(byte)
                    .to_digit(16)
                    .ok_or("a chunk size is no number")?;
                self.left = self.left << 4 | u64::from(digit);
                if self.left > u64::from(u32::MAX) {
                    return Err("a chunk has no sane size");
                }
            }
        }
        Ok(())
    }

    fn begin_chunk(&mut self) {
        self.part = if self.left == 0 {
            Part::Trailer
        } else {
            Part::Data
        };
    }

    /// Counts blocks with a `data:` line. A comment is not an event.
    fn count(&mut self, body: &[u8]) -> u32 {
        let mut events = 0;
        for &byte in body {
            if byte == b'\n' {
                if self.column == 0 {
                    events += u32::from(self.has_data);
                    self.has_data = false;
                } else if usize::from(self.column) == FIELD.len() {
                    self.has_data = true;
                }
                self.column = 0;
            } else if usize::from(self.column) < FIELD.len() {
                let expected = FIELD[usize::from(self.column)];
                self.column = if byte == expected {
                    self.column + 1
                } else {
                    OTHER
                };
            } else if usize::from(self.column) == FIELD.len() {
                self.digest = digest(self.digest, byte);
            }
        }
        events
    }
}

/// Returns the digest `before` with one more byte, as in FNV-1a.
pub(crate) fn digest(before: u64, byte: u8) -> u64 {
    (before ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

/// Tests every split of a response into three packets. Runs before any measurement.
pub(crate) fn check() {
    let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\n:\n\n\r\n7\r\ndata: a\r\n2;x=y\r\n\n\n\r\n\
        1a\r\nid: 7\ndata: b\ndata: c\n\n\n\n\r\n0\r\n\r\n";
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let (mut framing, mut events) = (Framing::new(), 0);
            for cut in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                events += framing.feed(cut).expect("well framed");
            }
            assert_eq!(events, 2, "cut at {first} and {second}");
            assert_eq!(framing.digest(), b" a b c".iter().copied().fold(0, digest));
            assert!(framing.is_ended(), "cut at {first} and {second}");
        }
    }
}
