//! A body of given bytes, one block each interval.

use std::mem;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::sse::Block;
use super::time::until;

/// Sends `bytes`, one block each `interval`, or all at once if `interval` is zero, and then the
/// bytes that end no block. A client that saw the id `last` gets what follows the last block with
/// this id.
pub fn wire(
    bytes: &Bytes,
    interval: Duration,
    last: Option<&str>,
) -> impl Stream<Item = Block> + Send + use<> {
    let seen = last.and_then(|last| after(bytes, last)).unwrap_or(0);
    let mut rest = bytes.slice(seen..);
    stream! {
        if interval.is_zero() && !rest.is_empty() {
            let blocks = blocks(unmarked(&rest));
            let events = blocks.filter(|block| has_data(block)).count();
            yield Block::of(mem::take(&mut rest), events as u64);
        }
        let (mut due, mut is_first) = (Instant::now(), true);
        while !rest.is_empty() {
            until(due).await;
            due += interval;
            let next = blocks(&rest).next().map(<[u8]>::len);
            let block = rest.split_to(next.unwrap_or(rest.len()));
            let text = if mem::take(&mut is_first) { unmarked(&block) } else { &block };
            let events = u64::from(next.is_some() && has_data(text));
            yield Block::of(block, events);
        }
    }
}

/// Returns where the last block with `id` ends.
fn after(bytes: &[u8], id: &str) -> Option<usize> {
    let text = unmarked(bytes);
    let mut end = bytes.len() - text.len();
    let mut found = None;
    for block in blocks(text) {
        end += block.len();
        let ids = lines(block).filter_map(|(line, _)| value(line, "id"));
        let last = ids.filter(|id| !id.contains(&0)).last();
        if last.is_some_and(|last| String::from_utf8_lossy(last) == id) {
            found = Some(end);
        }
    }
    found
}

/// Whether a client dispatches an event for this block, HTML 9.2.6.
fn has_data(block: &[u8]) -> bool {
    lines(block).any(|(line, _)| value(line, "data").is_some())
}

/// Returns a stream without its byte order mark.
fn unmarked(stream: &[u8]) -> &[u8] {
    let mark = "\u{feff}".as_bytes();
    stream.strip_prefix(mark).unwrap_or(stream)
}

/// Returns the value of `line` if it is a field of this name.
fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name.as_bytes())?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Returns the blocks, each up to the end of its blank line; what follows the last is no block.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (_, end) = lines(rest).find(|(line, _)| line.is_empty())?;
        let (block, tail) = rest.split_at(end);
        rest = tail;
        Some(block)
    })
}

/// Returns the complete lines, ended by LF, CR or CRLF, each with the place where the next begins.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut begin = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[begin..];
        let length = rest.iter().position(|byte| b"\n\r".contains(byte))?;
        let both = rest[length..].starts_with(b"\r\n");
        begin += length + if both { 2 } else { 1 };
        Some((&rest[..length], begin))
    })
}

#[cfg(test)]
mod tests {
    use super::{after, blocks, has_data};

    #[test]
    fn a_block_ends_with_its_blank_line_whatever_the_line_end() {
        for (bytes, parts) in [
            ("", &[][..]),
            ("data: a", &[]),
            ("data: a\n", &[]),
            ("data: a\n\n", &["data: a\n\n"]),
            ("a\r\rb\r\n\r\nc\n\nd", &["a\r\r", "b\r\n\r\n", "c\n\n"]),
            ("a\r\r\nb\n", &["a\r\r\n"]),
            ("a\n\r\nb\r\n\n", &["a\n\r\n", "b\r\n\n"]),
            ("\n\n\r\r\n", &["\n", "\n", "\r", "\r\n"]),
        ] {
            let found: Vec<_> = blocks(bytes.as_bytes()).collect();
            let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(found, parts, "{bytes:?}");
        }
    }

    #[test]
    fn a_block_with_data_is_an_event() {
        for (block, is_event) in [
            ("data: a\n\n", true),
            ("data\r\r", true),
            ("\u{feff}data:\n\n", false),
            ("id: 1\ndata:a\r\n\r\n", true),
            ("datas: a\n\n", false),
            (" data: a\n\n", false),
            (":data: a\n\n", false),
            ("id: 1\n\n", false),
            ("\n", false),
        ] {
            assert_eq!(has_data(block.as_bytes()), is_event, "{block:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_counts_at_the_beginning_only() {
        let bytes = "\u{feff}id: 1\ndata: a\n\n\u{feff}id: 2\n\n".as_bytes();
        assert_eq!(after(bytes, "1"), Some(18));
        assert_eq!(after(bytes, "2"), None);
    }

    #[test]
    fn a_client_resumes_after_the_last_block_with_its_id() {
        let bytes =
            b"id: 1\ndata: a\n\nid:2\r\rid: 1\nid: 3\n\nid: 2\n\ndata: b\n\nid: 4\0\n\nid\n\n";
        for (id, rest) in [
            ("1", Some(15)),
            ("2", Some(41)),
            ("3", Some(34)),
            ("4", None),
            ("4\0", None),
            ("", Some(bytes.len())),
            ("data", None),
        ] {
            assert_eq!(after(bytes, id), rest, "{id:?}");
        }
    }
}
