//! The one table of the options: each with its bounds, its effect, and where it goes.

use std::ops::RangeInclusive;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use mediatype::MediaType;

use super::{End, Eol, Options};

/// The characters of a key.
pub(crate) const KEY: &str = "1 to 64 of A-Z a-z 0-9 . _ -";

/// A parameter of the query string.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The values that it may have.
    pub allowed: &'static str,
    /// What it does.
    pub effect: &'static str,
    /// Sets the option, unless the value is not allowed.
    pub(crate) set: fn(&mut Options, &str) -> Option<()>,
}

/// All parameters, in the order of the README's table.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "interval",
        allowed: "10 to 3600000 (ms)",
        effect: "the time between two events; 1000 without it",
        set: |options, value| number(value, 10..=3_600_000).map(|ms| options.interval = Some(ms)),
    },
    Parameter {
        name: "count",
        allowed: "1 to 1000000",
        effect: "the stream ends after that many events, replayed ones too",
        set: |options, value| number(value, 1..=1_000_000).map(|count| options.count = Some(count)),
    },
    Parameter {
        name: "event",
        allowed: "1 to 64 characters, no line end, no NUL",
        effect: "an `event:` line in each event",
        set: |options, value| {
            let fits = (1..=64).contains(&value.chars().count());
            let clean = !value.contains(['\n', '\r', '\0']);
            (fits && clean).then(|| options.event = Some(value.into()))
        },
    },
    Parameter {
        name: "retry",
        allowed: "0 to 3600000 (ms)",
        effect: "a `retry:` line at the head of the first event",
        set: |options, value| number(value, 0..=3_600_000).map(|ms| options.retry = Some(ms)),
    },
    Parameter {
        name: "ids",
        allowed: "no value, true or false",
        effect: "an `id:` line in each event, and on `/events` resuming",
        set: |options, value| flag(value).map(|ids| options.ids = ids),
    },
    Parameter {
        name: "lastEventId",
        allowed: "anything",
        effect: "the `Last-Event-ID` of a first connection; the header wins",
        set: |options, value| {
            options.last_event_id = (!value.is_empty()).then(|| value.into());
            Some(())
        },
    },
    Parameter {
        name: "data",
        allowed: "text of up to 1024 bytes",
        effect: "this text in place of each event's",
        set: |options, value| (value.len() <= 1024).then(|| options.data = Some(value.into())),
    },
    Parameter {
        name: "key",
        allowed: KEY,
        effect: "names the stream for `/stats`",
        set: |options, value| is_key(value).then(|| options.key = Some(value.into())),
    },
    Parameter {
        name: "status",
        allowed: "200 to 599",
        effect: "answers with this status; 204 tells a browser to stop, 200 is the stream",
        set: |options, value| status(value).map(|status| options.head.status = Some(status)),
    },
    Parameter {
        name: "type",
        allowed: "a media type",
        effect: "this `Content-Type` in place of `text/event-stream`",
        set: |options, value| media_type(value).map(|it| options.head.media_type = Some(it)),
    },
    Parameter {
        name: "delay",
        allowed: "0 to 60000 (ms)",
        effect: "waits before the head is sent",
        set: |options, value| {
            let delay = number(value, 0..=60_000).map(Duration::from_millis);
            delay.map(|delay| options.head.delay = delay)
        },
    },
    Parameter {
        name: "end",
        allowed: "clean, abort, truncate or stall, beside count",
        effect: "after `count` events: the end of the body; the connection cut without it; half \
                 an event, then the end; nothing more for ten minutes",
        set: |options, value| {
            let ends = [
                ("clean", End::Clean),
                ("abort", End::Abort),
                ("truncate", End::Truncate),
                ("stall", End::Stall),
            ];
            choice(value, ends).map(|end| options.end = end)
        },
    },
    Parameter {
        name: "then",
        allowed: "200 to 599",
        effect: "the `status` of a request that comes with a `Last-Event-ID`",
        set: |options, value| status(value).map(|status| options.then = Some(status)),
    },
    Parameter {
        name: "split",
        allowed: "1 to 1024 (bytes)",
        effect: "the body in frames of that size, each its own chunk and write",
        set: |options, value| {
            let most = number(value, 1..=1024).and_then(|bytes| usize::try_from(bytes).ok());
            most.map(|most| options.shape.split = Some(most))
        },
    },
    Parameter {
        name: "eol",
        allowed: "lf, cr or crlf",
        effect: "the line end",
        set: |options, value| {
            let eols = [("lf", Eol::Lf), ("cr", Eol::Cr), ("crlf", Eol::CrLf)];
            choice(value, eols).map(|eol| options.shape.eol = eol)
        },
    },
    Parameter {
        name: "bom",
        allowed: "no value",
        effect: "a byte order mark ahead of the stream",
        set: |options, value| value.is_empty().then(|| options.shape.bom = true),
    },
];

/// Whether `text` may name a stream.
pub(crate) fn is_key(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn number(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    range.contains(&number).then_some(number)
}

fn flag(text: &str) -> Option<bool> {
    choice(text, [("", true), ("true", true), ("false", false)])
}

fn choice<T, const N: usize>(text: &str, choices: [(&str, T); N]) -> Option<T> {
    let mut choices = choices.into_iter();
    choices
        .find(|(name, _)| *name == text)
        .map(|(_, value)| value)
}

fn status(text: &str) -> Option<StatusCode> {
    let code = u16::try_from(number(text, 200..=599)?).ok()?;
    StatusCode::from_u16(code).ok()
}

fn media_type(text: &str) -> Option<HeaderValue> {
    let media_type = MediaType::parse(text).ok()?;
    let is_range = media_type.ty == "*" || media_type.subty == "*";
    let value = HeaderValue::from_str(&media_type.to_string()).ok();
    value.filter(|_| !is_range)
}
