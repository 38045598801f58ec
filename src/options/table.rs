//! The table of the options: names, bounds, effects, where each value goes, and which options
//! exclude or need each other.

use super::parser::Value;
use super::{End, Eol, Options, WITHOUT_BODY};

/// The characters of a key.
pub(super) const KEY: &str = "1 to 64 of A-Z a-z 0-9 . _ -";

/// The groups of the parameters: their titles and rows, in the order of `docs/options.md`.
#[rustfmt::skip]
pub const GROUPS: [(&str, &[Parameter]); 4] = [
    ("what the stream carries", &[
        row("interval", "10 to 3600000 (ms), 0 only with wire",
            "the time between two events, 1000 by default",
            |it, value| set(&mut it.interval, value.number(0..=HOUR).filter(|ms| *ms == 0 || *ms >= 10))),
        row("count", "1 to 1000000",
            "the end of the stream after that many events, replayed ones included",
            |it, value| set(&mut it.script.count, value.number(1..=1_000_000))),
        row("event", "1 to 64 characters, no line end, no NUL",
            "the type of each event",
            |it, value| set(&mut it.script.event, value.name())),
        row("retry", "0 to 3600000 (ms)",
            "a `retry:` line in the first event",
            |it, value| set(&mut it.script.retry, value.number(0..=HOUR))),
        row("ids", FLAG,
            "an `id:` line in each event; `/events` resumes after the last id of a client",
            |it, value| value.flag().map(|ids| it.script.ids = ids)),
        row("lastEventId", "anything",
            "the last id of a client that sends no `Last-Event-ID`",
            |it, value| { it.last_event_id = value.text(|id| !id.is_empty()); Some(()) }),
        row("data", "text of up to 1024 bytes",
            "the data of each event",
            |it, value| set(&mut it.script.data, value.text(|text| text.len() <= 1024))),
        row("size", "1 to 16777216 (bytes), not with data",
            "that many `x` as the data of each event",
            |it, value| set(&mut it.script.size, value.number(1..=1 << 24))),
        row("wire", "up to 4096 bytes, in place of other events",
            "these bytes as the body, a block each `interval`",
            |it, value| set(&mut it.script.wire, value.bytes(4096))),
        row("echo", FLAG,
            "a first event, named `request`, that describes the request",
            |it, value| value.flag().map(|echo| it.script.echo = echo)),
    ]),
    ("how it travels", &[
        row("split", "1 to 1024 (bytes)",
            "frames of that size, each its own chunk and write",
            |it, value| set(&mut it.script.framing.split, value.number(1..=1024))),
        row("pace", "1 to 10000 (ms), only with split",
            "the time between two frames",
            |it, value| set(&mut it.script.framing.pace, value.milliseconds(1..=10_000))),
        row("eol", "lf, cr or crlf",
            "the line ends",
            |it, value| set(&mut it.script.framing.eol, value.choice([
                ("lf", Eol::Lf), ("cr", Eol::Cr), ("crlf", Eol::CrLf),
            ]))),
        row("bom", "no value",
            "a byte order mark at the beginning",
            |it, value| value.text.is_empty().then(|| it.script.framing.bom = true)),
        row("comment", "0, or 50 to 3600000 (ms)",
            "a comment after that much silence, 15000 by default, or no comments",
            |it, value| set(&mut it.script.comment, value.milliseconds(0..=HOUR)
                .filter(|silence| silence.is_zero() || silence.as_millis() >= 50))),
        row("header",
            "1 to 5 lines of Name:value, separated by %0A: Cache-Control, Content-Encoding, \
             Content-Type, Retry-After or X-Accel-Buffering, each once",
            "response headers to set or, without a value, to remove",
            |it, value| value.header_lines().map(|lines| it.head.headers = lines)),
        // The response to a bad option reads `credentials` by itself, whatever else is wrong.
        row("credentials", FLAG,
            "the CORS headers for requests with credentials",
            |_, value| value.flag().map(drop)),
    ]),
    ("what goes wrong", &[
        row("status", STATUS,
            "this status, with `wire` as its body, in place of the stream",
            |it, value| set(&mut it.head.status, value.status())),
        row("delay", "0 to 60000 (ms)",
            "a wait before the response head",
            |it, value| value.milliseconds(0..=60_000).map(|delay| it.head.delay = delay)),
        row("redirect", "301, 302, 303, 307 or 308, not with status",
            "a redirect to the same URL without this parameter",
            |it, value| set(&mut it.head.redirect, value.status()
                .filter(|_| ["301", "302", "303", "307", "308"].contains(&&*value.text)))),
        row("then", STATUS,
            "the status for requests with a `Last-Event-ID`",
            |it, value| set(&mut it.then, value.status())),
        row("end", "clean, abort, truncate or stall; only with count or wire",
            "after the last event: a clean end, a cut, half an event, or silence",
            |it, value| set(&mut it.script.end, value.choice([
                ("clean", End::Clean), ("abort", End::Abort), ("truncate", End::Truncate), ("stall", End::Stall),
            ]))),
    ]),
    ("what is remembered", &[
        row("key", KEY,
            "a name for `/stats` and `responses`",
            |it, value| set(&mut it.key, value.text(|_| value.is_key()))),
        row("responses",
            "1 to 16 items separated by commas, each 200 to 599 or drop; with key, not with status or \
             then",
            "what the first, second, … request of the key gets; later ones get the last item",
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
