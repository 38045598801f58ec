//! The table of the options: names, bounds, effects, where each value goes, and which options
//! exclude or need each other.

use super::parser::Value;
use super::{End, Eol, Options, WITHOUT_BODY};

/// The characters of a key.
pub(super) const KEY: &str = "1 to 64 of A-Z a-z 0-9 . _ -";

/// The groups of the parameters: their titles and rows, in the order of the README's tables.
#[rustfmt::skip]
pub const GROUPS: [(&str, &[Parameter]); 4] = [
    ("what the stream carries", &[
        row("interval", "10 to 3600000 (ms), 0 only with wire",
            "the time between two events; 1000 without it",
            |it, value| set(&mut it.interval, value.number(0..=HOUR).filter(|ms| *ms == 0 || *ms >= 10))),
        row("count", "1 to 1000000",
            "the stream ends after that many events, replayed ones too",
            |it, value| set(&mut it.script.count, value.number(1..=1_000_000))),
        row("event", "1 to 64 characters, no line end, no NUL",
            "an `event:` line in each event",
            |it, value| set(&mut it.script.event, value.name())),
        row("retry", "0 to 3600000 (ms)",
            "a `retry:` line, the first of the first event",
            |it, value| set(&mut it.script.retry, value.number(0..=HOUR))),
        row("ids", FLAG,
            "an `id:` line in each event, and on `/events` resuming",
            |it, value| value.flag().map(|ids| it.script.ids = ids)),
        row("lastEventId", "anything",
            "the `Last-Event-ID` of a first connection; the header wins",
            |it, value| { it.last_event_id = value.text(|id| !id.is_empty()); Some(()) }),
        row("data", "text of up to 1024 bytes",
            "this text in place of each event's",
            |it, value| set(&mut it.script.data, value.text(|text| text.len() <= 1024))),
        row("size", "1 to 16777216 (bytes), not with data",
            "that many `x` in place of each event's text",
            |it, value| set(&mut it.script.size, value.number(1..=1 << 24))),
        row("wire", "up to 4096 bytes, in place of other events",
            "these bytes are the body: a block each `interval`, or all at once with `interval=0`, \
             and then the `end`",
            |it, value| set(&mut it.script.wire, value.bytes(4096))),
        row("echo", FLAG,
            "the first event, named `request`, describes what the client has sent",
            |it, value| value.flag().map(|echo| it.script.echo = echo)),
    ]),
    ("how it travels", &[
        row("split", "1 to 1024 (bytes)",
            "the body in frames of that size, each its own chunk and write",
            |it, value| set(&mut it.script.framing.split, value.number(1..=1024))),
        row("pace", "1 to 10000 (ms), only with split",
            "the time between two frames",
            |it, value| set(&mut it.script.framing.pace, value.milliseconds(1..=10_000))),
        row("eol", "lf, cr or crlf",
            "the line end",
            |it, value| set(&mut it.script.framing.eol, value.choice([
                ("lf", Eol::Lf), ("cr", Eol::Cr), ("crlf", Eol::CrLf),
            ]))),
        row("bom", "no value",
            "a byte order mark ahead of the stream",
            |it, value| value.text.is_empty().then(|| it.script.framing.bom = true)),
        row("comment", "0, or 50 to 3600000 (ms)",
            "the silence after which a comment is sent, 15000 without it; 0 for no comment at all",
            |it, value| set(&mut it.script.comment, value.milliseconds(0..=HOUR)
                .filter(|silence| silence.is_zero() || silence.as_millis() >= 50))),
        row("header",
            "1 to 5 lines of Name:value, separated by %0A: Cache-Control, Content-Encoding, \
             Content-Type, Retry-After or X-Accel-Buffering, each once",
            "these headers in place of the stream's; an empty value removes the header",
            |it, value| value.header_lines().map(|lines| it.head.headers = lines)),
        // The response to a bad option reads `credentials` by itself, whatever else is wrong.
        row("credentials", FLAG,
            "the CORS headers that a request with credentials needs",
            |_, value| value.flag().map(drop)),
    ]),
    ("what goes wrong", &[
        row("status", STATUS,
            "sends this status, and `wire` as its body if there is one; 204 tells a browser to stop, \
             200 is the stream",
            |it, value| set(&mut it.head.status, value.status())),
        row("delay", "0 to 60000 (ms)",
            "waits before the response head is sent",
            |it, value| value.milliseconds(0..=60_000).map(|delay| it.head.delay = delay)),
        row("redirect", "301, 302, 303, 307 or 308, not with status",
            "a redirect to the same URL without this parameter",
            |it, value| set(&mut it.head.redirect, value.status()
                .filter(|_| ["301", "302", "303", "307", "308"].contains(&&*value.text)))),
        row("then", STATUS,
            "the status for a request with a `Last-Event-ID`",
            |it, value| set(&mut it.then, value.status())),
        row("end", "clean, abort, truncate or stall; only with count or wire",
            "after `count` events: the end of the body; the connection cut without it; half \
             an event, then the end; nothing more for ten minutes",
            |it, value| set(&mut it.script.end, value.choice([
                ("clean", End::Clean), ("abort", End::Abort), ("truncate", End::Truncate), ("stall", End::Stall),
            ]))),
    ]),
    ("what is remembered", &[
        row("key", KEY,
            "names the stream for `/stats`",
            |it, value| set(&mut it.key, value.text(|_| value.is_key()))),
        row("responses",
            "1 to 16 items separated by commas, each 200 to 599 or drop; with key, not with status or \
             then",
            "the n-th request of the key gets the n-th item, later ones the last: 200 is the stream, \
             `drop` closes the connection without a response",
            |it, value| value.responses().map(|responses| it.responses = responses)),
    ]),
];

/// Returns all parameters.
pub fn parameters() -> impl Iterator<Item = &'static Parameter> {
    GROUPS.into_iter().flat_map(|(_, parameters)| parameters)
}

/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;

const FLAG: &str = "no value, true or false";

const STATUS: &str = "200 to 599";

/// A parameter of the query string.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Text,
    /// The allowed values.
    pub allowed: Text,
    /// The effect.
    pub effect: Text,
    /// Sets the option; `None` if the value is not allowed.
    pub(super) set: Set,
}

type Text = &'static str;
type Set = fn(&mut Options, &Value<'_>) -> Option<()>;

/// Returns a row of the table.
const fn row(name: Text, allowed: Text, effect: Text, set: Set) -> Parameter {
    Parameter {
        name,
        allowed,
        effect,
        set,
    }
}

/// Sets `option`; `None` if there is no value.
fn set<T>(option: &mut Option<T>, value: Option<T>) -> Option<()> {
    *option = Some(value?);
    Some(())
}

const NO_WIRE: Option<&str> = Some("not with wire");

const BODY: &str = "with wire: 200 to 599 except 204, 205 and 304, which have no body";

/// A rule for some parameters: the values that are allowed, where the table does not say so, and
/// whether the options break the rule if one of the parameters is given.
type Conflict = (&'static [Text], Option<Text>, fn(&Options) -> bool);

/// All rules; the first that is broken is reported.
#[rustfmt::skip]
pub(super) const CONFLICTS: &[Conflict] = &[
    (&["interval"], None, |it| it.interval == Some(0) && !has_wire(it)),
    (&["data", "event", "retry", "eol", "bom", "size"], NO_WIRE, has_wire),
    (&["echo"], NO_WIRE, |it| has_wire(it) && it.script.echo),
    (&["comment"], Some("0 with wire"), |it| has_wire(it) && it.script.comment.is_some_and(|it| !it.is_zero())),
    (&["end"], Some("clean, abort or stall with wire"), |it| has_wire(it) && it.script.end == Some(End::Truncate)),
    (&["status"], Some(BODY), |it| has_wire(it) && it.head.status.is_some_and(|it| WITHOUT_BODY.contains(&it))),
    (&["end"], None, |it| !has_wire(it) && it.script.count.is_none()),
    (&["size"], None, |it| it.script.data.is_some()),
    (&["pace"], None, |it| it.script.framing.split.is_none()),
    (&["redirect"], None, |it| it.head.status.is_some()),
    (&["responses"], None, |it| it.key.is_none() || it.head.status.is_some() || it.then.is_some()),
];

fn has_wire(options: &Options) -> bool {
    options.script.wire.is_some()
}
