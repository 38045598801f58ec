//! A body of given bytes, one block each interval.

use std::mem;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::sse::Block;
use super::time::until;

/// Sends `bytes`, one block each `interval`, and then the bytes that end no block. If `interval` is
/// zero, all come at once, as one block if `whole`. A client that saw the id `last` gets what follows
/// the last block with this id.
pub fn wire(
    bytes: &Bytes,
    interval: Duration,
    whole: bool,
    last: Option<&str>,
) -> impl Stream<Item = Block> + Send + use<> {
    let seen = last.and_then(|last| after(bytes, last)).unwrap_or(0);
    let mut rest = bytes.slice(seen..);
    stream! {
        if whole && interval.is_zero() && !rest.is_empty() {
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
    match line.strip_prefix(name.as_bytes())? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        rest => rest.is_empty().then_some(rest),
    }
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
