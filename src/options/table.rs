//! The one table of the options: each with its bounds, its effect, and where it goes.

use std::ops::RangeInclusive;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::value::Value;
use super::{End, Eol, Options};

/// The characters of a key.
pub(super) const KEY: &str = "1 to 64 of A-Z a-z 0-9 . _ -";

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
    pub(super) set: fn(&mut Options, &Value) -> Option<()>,
}

/// Parameters that belong together.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The parameters, in the order of the README's table.
    pub parameters: &'static [Parameter],
}

/// All parameters, in the order of the README's tables.
pub fn parameters() -> impl Iterator<Item = &'static Parameter> {
    GROUPS.iter().flat_map(|group| group.parameters)
}

/// The groups of the parameters.
pub const GROUPS: &[Group] = &[
    Group {
        title: "what the stream carries",
        parameters: CARRIES,
    },
    Group {
        title: "how it travels",
        parameters: TRAVELS,
    },
    Group {
        title: "what goes wrong",
        parameters: WRONG,
    },
    Group {
        title: "what is remembered",
        parameters: REMEMBERED,
    },
];

const CARRIES: &[Parameter] = &[
    Parameter {
        name: "interval",
        allowed: "10 to 3600000 (ms), 0 beside wire",
        effect: "the time between two events; 1000 without it",
        set: |options, value| {
            let milliseconds = number(value, 0..=3_600_000);
            let fits = milliseconds.filter(|ms| *ms == 0 || *ms >= 10);
            fits.map(|ms| options.interval = Some(ms))
        },
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
            (fits && clean).then(|| options.event = Some(value.to_string()))
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
        allowed: FLAG,
        effect: "an `id:` line in each event, and on `/events` resuming",
        set: |options, value| flag(value).map(|ids| options.ids = ids),
    },
    Parameter {
        name: "lastEventId",
        allowed: "anything",
        effect: "the `Last-Event-ID` of a first connection; the header wins",
        set: |options, value| {
            options.last_event_id = (!value.is_empty()).then(|| value.to_string());
            Some(())
        },
    },
    Parameter {
        name: "data",
        allowed: "text of up to 1024 bytes",
        effect: "this text in place of each event's",
        set: |options, value| (value.len() <= 1024).then(|| options.data = Some(value.to_string())),
    },
    Parameter {
        name: "size",
        allowed: "1 to 16777216 (bytes), not beside data",
        effect: "so many `x` in place of each event's text",
        set: |options, value| number(value, 1..=1 << 24).map(|size| options.size = Some(size)),
    },
    Parameter {
        name: "wire",
        allowed: "up to 4096 bytes, in place of other events",
        effect: "these bytes are the body: a block each `interval`, or all at once with `interval=0`, \
                 and then the `end`",
        set: |options, value| {
            let wire = (value.bytes().len() <= 4096).then(|| value.bytes().clone());
            wire.map(|wire| options.wire = Some(wire))
        },
    },
    Parameter {
        name: "echo",
        allowed: FLAG,
        effect: "the first event, named `request`, tells what the client has sent",
        set: |options, value| flag(value).map(|echo| options.echo = echo),
    },
];

const TRAVELS: &[Parameter] = &[
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
        name: "pace",
        allowed: "1 to 10000 (ms), beside split",
        effect: "the time between two frames",
        set: |options, value| {
            let pace = number(value, 1..=10_000).map(Duration::from_millis);
            pace.map(|pace| options.shape.pace = Some(pace))
        },
    },
    Parameter {
        name: "eol",
        allowed: "lf, cr or crlf",
        effect: "the line end",
        set: |options, value| {
            let eols = [("lf", Eol::Lf), ("cr", Eol::Cr), ("crlf", Eol::CrLf)];
            choice(value, eols).map(|eol| options.shape.eol = Some(eol))
        },
    },
    Parameter {
        name: "bom",
        allowed: "no value",
        effect: "a byte order mark ahead of the stream",
        set: |options, value| value.is_empty().then(|| options.shape.bom = true),
    },
    Parameter {
        name: "comment",
        allowed: "0, or 50 to 3600000 (ms)",
        effect: "the silence after which a comment is sent, 15000 without it; 0 for no comment at all",
        set: |options, value| {
            let silence = number(value, 0..=3_600_000).filter(|ms| *ms == 0 || *ms >= 50);
            silence.map(|ms| options.comment = Some(Duration::from_millis(ms)))
        },
    },
    Parameter {
        name: "type",
        allowed: "1 to 128 printable ASCII characters, no space at either end",
        effect: "this `Content-Type` in place of `text/event-stream`",
        set: |options, value| {
            let fits = (1..=128).contains(&value.len()) && value.trim_matches(' ') == &**value;
            let printable = value.bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
            let header = HeaderValue::from_str(value).ok();
            let header = header.filter(|_| fits && printable);
            header.map(|media_type| options.head.media_type = Some(media_type))
        },
    },
    Parameter {
        name: "credentials",
        allowed: FLAG,
        effect: "the CORS headers that a request with credentials needs",
        // Whatever else is wrong, they are in the answer: it reads them for itself.
        set: |_, value| flag(value).map(drop),
    },
];

const WRONG: &[Parameter] = &[
    Parameter {
        name: "status",
        allowed: STATUS,
        effect: "answers with this status; 204 tells a browser to stop, 200 is the stream",
        set: |options, value| status(value).map(|status| options.head.status = Some(status)),
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
        name: "redirect",
        allowed: "301, 302, 303, 307 or 308, not beside status",
        effect: "a redirect to the same URL without this parameter",
        set: |options, value| {
            let statuses = ["301", "302", "303", "307", "308"];
            let status = status(value).filter(|_| statuses.contains(&&**value));
            // Where it leads is known once the whole query string was read.
            let nowhere = HeaderValue::from_static("");
            status.map(|status| options.head.redirect = Some((status, nowhere)))
        },
    },
    Parameter {
        name: "then",
        allowed: STATUS,
        effect: "the `status` of a request that comes with a `Last-Event-ID`",
        set: |options, value| status(value).map(|status| options.then = Some(status)),
    },
    Parameter {
        name: "end",
        allowed: "clean, abort, truncate or stall, beside count or wire",
        effect: "after `count` events: the end of the body; the connection cut without it; half \
                 an event, then the end; nothing more for ten minutes",
        set: |options, value| {
            let ends = [
                ("clean", End::Clean),
                ("abort", End::Abort),
                ("truncate", End::Truncate),
                ("stall", End::Stall),
            ];
            choice(value, ends).map(|end| options.end = Some(end))
        },
    },
];

const REMEMBERED: &[Parameter] = &[
    Parameter {
        name: "key",
        allowed: KEY,
        effect: "names the stream for `/stats`",
        set: |options, value| is_key(value).then(|| options.key = Some(value.to_string())),
    },
    Parameter {
        name: "fail",
        allowed: "1 to 100, beside key",
        effect: "the first so many requests of the key get `status`, or 503",
        set: |options, value| number(value, 1..=100).map(|fail| options.fail = fail),
    },
    Parameter {
        name: "once",
        allowed: "no value, beside key",
        effect: "one request of the key gets the stream, later ones 204",
        set: |options, value| value.is_empty().then(|| options.once = true),
    },
];

const FLAG: &str = "no value, true or false";

const STATUS: &str = "200 to 599";

/// Whether `text` may name a stream.
pub(super) fn is_key(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn number(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    range.contains(&number).then_some(number)
}

pub(super) fn flag(text: &str) -> Option<bool> {
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
