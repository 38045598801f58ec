//! Random requests with every option of the server.

use std::{collections::BTreeSet, fmt, time::Duration};

use form_urlencoded::byte_serialize;
use http::{Method, Request, StatusCode, request::Builder};
use sse_clock::options::{Options, Planned, StreamRequest, location, parameters};
use sse_clock::scenario::{Plan, plan};

use super::random::Random;

const LAST_EVENT_ID: &str = "Last-Event-ID";
/// The most content that the server accepts, the time it may take, and a query length that always
/// fits into a request head.
const MAX_CONTENT: usize = 1 << 20;
const CONTENT_TIME: Duration = Duration::from_secs(10);
const MAX_QUERY: usize = 7000;

/// The number of stream keys, `k0` and so on: more than the server remembers.
pub(super) const KEYS: usize = 2000;

/// A request for a stream, with the options that the server reads from the query.
#[derive(Clone)]
pub(super) struct RandomRequest {
    pub(super) method: Method,
    pub(super) content: Vec<u8>,
    pub(super) options: Options,
    path: &'static str,
    query: String,
    origin: Option<&'static str>,
}

impl RandomRequest {
    /// Draws a request. The server may reject one in sixteen.
    pub(super) fn draw(random: &mut Random) -> Self {
        let path = random.pick(&["/events", "/events", "/events", "/stream"]);
        let may_be_rejected = random.one_in(16);
        let (query, options) = loop {
            let query = query(random);
            match read(path, &query) {
                Some(options) => break (query, options),
                None if may_be_rejected => break (query, Options::default()),
                None => {}
            }
        };
        let get = random.below(10) < 8;
        let other = [Method::POST, Method::POST, Method::POST, Method::HEAD];
        let method = if get {
            Method::GET
        } else {
            other[random.below(other.len())].clone()
        };
        let most = random.pick(&[1, 10, 1000, 1000, 50_000, 2 * MAX_CONTENT]);
        let length = if method == Method::POST {
            random.below(most)
        } else {
            0
        };
        Self {
            content: random.bytes(length),
            method,
            options,
            path,
            query,
            origin: random
                .one_in(6)
                .then(|| random.pick(&["null", "https://a.example", "x"])),
        }
    }

    /// Returns whether the ids are consecutive ticks, none of which may be missing.
    pub(super) fn has_ticks(&self) -> bool {
        self.path == "/events" && self.options.script.ids && self.options.script.wire.is_none()
    }

    /// Returns whether the stream lasts as long as its connection.
    pub(super) fn is_endless(&self) -> bool {
        self.options.script.count.is_none() && self.options.script.wire.is_none()
    }

    /// Returns whether the response is an endless stream without delay, key or planned failure.
    pub(super) fn is_simple(&self) -> bool {
        let Options {
            key,
            responses,
            then,
            head,
            ..
        } = &self.options;
        let usual = key.is_none() && responses.is_empty() && then.is_none();
        let at_once = head.delay.is_zero() && head.status.is_none() && head.redirect.is_none();
        let is_taken = self.content.len() <= MAX_CONTENT && read(self.path, &self.query).is_some();
        self.is_endless() && self.method != Method::HEAD && usual && at_once && is_taken
    }

    /// Returns the milliseconds between two ticks.
    pub(super) fn interval(&self) -> u64 {
        self.options.interval.unwrap_or(1000)
    }

    /// Returns the request head, with `last` as the last event id.
    pub(super) fn head(&self, last: Option<u64>) -> Builder {
        let target = format!("{}?{}", self.path, self.query);
        let mut head = Request::builder().method(self.method.clone()).uri(target);
        if let Some(origin) = self.origin {
            head = head.header("Origin", origin);
        }
        come_back(head, last)
    }

    /// Sends all further requests to `location`.
    pub(super) fn move_to(&mut self, location: &str) {
        let (_, query) = location.split_once('?').unwrap_or_default();
        query.clone_into(&mut self.query);
    }

    /// Returns whether `status` is a correct response after `time` to this request.
    pub(super) fn allows(&self, status: StatusCode, last: Option<u64>, time: Duration) -> bool {
        if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            return self.query.len() > MAX_QUERY;
        }
        let request = self.head(last).body(()).expect("it was sent");
        let Ok(options) = Options::of(&request) else {
            return status == StatusCode::BAD_REQUEST;
        };
        let items = match &options.responses[..] {
            [] => vec![Planned::Status(StatusCode::OK)],
            items => items.to_vec(),
        };
        let mut known = StreamRequest {
            location: Some(location(&request)),
            options,
            ..StreamRequest::default()
        };
        known.read_ids(request.headers());
        match status {
            // The client did not send its content in time.
            StatusCode::REQUEST_TIMEOUT if !self.content.is_empty() && time >= CONTENT_TIME => true,
            _ if self.content.len() > MAX_CONTENT => status == StatusCode::PAYLOAD_TOO_LARGE,
            // Clients share keys, so any item may be the next.
            _ => items.into_iter().any(|item| match plan(&known, |_| item) {
                Plan::Stream => status == StatusCode::OK,
                Plan::Status(planned, _) | Plan::Redirect(planned, _) => status == planned,
                Plan::Drop => false,
            }),
        }
    }

    /// Returns the request head for plain ticks with ids.
    pub(super) fn plain(&self, last: Option<u64>) -> Builder {
        let target = format!("/events?ids&interval={}", self.interval());
        come_back(Request::get(target), last)
    }
}

impl fmt::Display for RandomRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}?{:.300}", self.method, self.path, self.query)
    }
}

fn come_back(head: Builder, last: Option<u64>) -> Builder {
    match last {
        Some(last) => head.header(LAST_EVENT_ID, last),
        None => head,
    }
}

/// Returns the options that the server reads, unless the request is invalid.
fn read(path: &str, query: &str) -> Option<Options> {
    let request = Request::get(format!("{path}?{query}")).body(()).ok()?;
    Options::of(&request).ok()
}

/// Draws a query. Options that make a stream are more frequent than options that prevent one.
fn query(random: &mut Random) -> String {
    let mut pairs = Vec::new();
    for name in parameters().map(|parameter| parameter.name) {
        let rarity = match name {
            "interval" | "ids" => 2,
            "status" | "then" | "redirect" | "responses" | "wire" | "delay" => 40,
            "split" => 30,
            "end" | "count" | "key" => 5,
            _ => 12,
        };
        if random.one_in(rarity) {
            let value = if random.one_in(200) {
                random.bytes(20)
            } else {
                value(name, random)
            };
            let value: String = byte_serialize(&value).collect();
            pairs.push(format!("{name}={value}"));
        }
    }
    if random.one_in(100) {
        pairs.push(random.pick(&["nobody=1", "count=1", "ids", "="]).into());
    }
    pairs.join("&")
}

/// Draws a mostly valid value.
fn value(name: &str, random: &mut Random) -> Vec<u8> {
    let text = |text: &str| text.as_bytes().to_vec();
    let number = |number: u64| number.to_string().into_bytes();
    match name {
        "interval" => match random.below(8) {
            0 => number(random.between(10..=50)),
            7 => number(random.pick(&[0, 9, 15_000, 60_000, 3_600_000])),
            _ => number(random.about(50, 4000)),
        },
        "count" => number(random.about(1, 200)),
        "event" => text(random.pick(&["message", "tick", "a b", ":", "🕒", "request"])),
        "retry" => number(random.pick(&[0, 1, 1000, 3_600_000])),
        "ids" | "echo" | "credentials" => text(random.pick(&["", "", "true", "false"])),
        "lastEventId" => text(random.pick(&["", "…", "-1", "0", "1", "1763699759000", "1e9"])),
        "data" => {
            let length = random.below(1025);
            match random.below(3) {
                0 => text(&"a\r\n\nb\r".repeat(length / 8)),
                1 => text(&"x".repeat(length)),
                _ => text("id: 5\nevent: gap\ndata: 7"),
            }
        }
        "size" => {
            let usual = random.pick(&[7, 7, 7, 10, 10, 17]);
            let exponent = if random.one_in(100) { 24 } else { usual };
            number(random.about(1, 1 << exponent))
        }
        "wire" => match random.below(3) {
            0 => {
                let length = random.below(4097);
                random.bytes(length)
            }
            1 => text("id: 1\ndata: a\n\n\u{feff}id: 2\rdata\r\rdata: half"),
            _ => text(&"data: [DONE]\n\n".repeat(random.below(200))),
        },
        "split" => number(random.about(1, 1024)),
        "pace" => number(random.about(1, 1000)),
        "eol" => text(random.pick(&["lf", "cr", "crlf"])),
        "bom" => text(""),
        "comment" => number(random.pick(&[0, 50, 200, 1000, 3_600_000])),
        "header" => text(random.pick(&[
            "Content-Type:text/html",
            "Content-Type:",
            "retry-after:1\nX-Accel-Buffering:",
            "Cache-Control:no-store",
        ])),
        // Not `drop`, because the client would report a lost connection.
        "responses" => text(random.pick(&["503,200", "200,204", "500,503,200", "200", "404"])),
        "status" | "then" => number(random.pick(&[200, 204, 205, 301, 304, 404, 500, 503, 599])),
        "delay" => {
            let most = random.pick(&[50, 1000, 60_000]);
            number(random.about(1, most))
        }
        "redirect" => number(random.pick(&[301, 302, 303, 307, 308])),
        "end" => text(random.pick(&["clean", "abort", "truncate", "stall"])),
        "key" => text(&format!("k{}", random.below(KEYS))),
        other => panic!("the soak has no value for the option {other}"),
    }
}

/// Checks that valid queries with every option of the server are drawn. Runs before any soak.
pub(super) fn check() {
    let mut random = Random::of(0, 0);
    let queries = (0..20_000).map(|_| query(&mut random));
    let taken: Vec<_> = queries.filter(|it| read("/events", it).is_some()).collect();
    let pairs = taken.iter().flat_map(|query| query.split('&'));
    let drawn: BTreeSet<_> = pairs
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .collect();
    for parameter in parameters() {
        let name = parameter.name;
        assert!(drawn.contains(name), "the option {name} is never drawn");
    }
}
