//! The conformance suite: the server plays every case, and the expectations follow the standard.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::ser::{Formatter, Serializer};
use url::Url;

use crate::suite::judge::judge;
use crate::suite::reference_client::{EventStream, Message, is_stream};
use crate::support::reply::{self, Reply};
use crate::support::{Server, Serves, eventually};

const SUITE: &str = include_str!("../../../public/cases.json");

/// The maximum of bytes in a `wire`.
const WIRE: usize = 4096;

/// The least length of data that is given as a size.
const LARGE: usize = 4000;

/// The shortest reconnection time that the suite judges.
const JUDGED: u64 = 300;

#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub name: String,
    section: String,
    why: String,
    pub url: String,
    pub listen: Vec<String>,
    pub expect: Vec<Expected>,
    pub later_requests: Option<Vec<Later>>,
    redirects: Option<u64>,
    pub close_after: Option<usize>,
    deadline_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Expected {
    Told {
        event: String,
        data: String,
        id: String,
    },
    Sized {
        event: String,
        data: (),
        size: usize,
        id: String,
    },
}

/// A request that has to come after the first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Later {
    last_event_id: String,
    after_ms: Option<u64>,
    /// How many of the expected events come on its connection.
    events: usize,
}

/// The content of `GET /cases`.
#[derive(Debug, Deserialize)]
struct Suite {
    version: u32,
    cases: Vec<Case>,
}

pub fn cases() -> Vec<Case> {
    let suite: Suite = serde_json::from_str(SUITE).expect("the fields of a case");
    assert_eq!(suite.version, 2);
    suite.cases
}

impl Case {
    /// Whether it judges when a request comes.
    pub fn judges_a_wait(&self) -> bool {
        let mut later = self.later_requests.iter().flatten();
        later.any(|request| request.after_ms.is_some())
    }

    /// The number of the requests after the first, at least 1.
    pub fn later(&self) -> usize {
        self.later_requests.as_ref().map_or(0, Vec::len).max(1)
    }
}

impl Expected {
    fn event(&self) -> &str {
        match self {
            Self::Told { event, .. } | Self::Sized { event, .. } => event,
        }
    }
}

impl From<Message> for Expected {
    fn from(Message { event, data, id }: Message) -> Self {
        if data.len() >= LARGE && data.bytes().all(|byte| byte == b'x') {
            let (data, size) = ((), data.len());
            return Self::Sized {
                event,
                data,
                size,
                id,
            };
        }
        Self::Told { event, data, id }
    }
}

/// Whether `text` is unchanged as the value of a header.
fn is_header_value(text: &str) -> bool {
    text.trim() == text && !text.contains(|letter: char| letter.is_ascii_control())
}

/// The parameters of a query string, decoded to bytes.
fn parameters(url: &str) -> Vec<(String, Vec<u8>)> {
    let (_, query) = url.split_once('?').expect("a query string");
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn decoded(value: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), value.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits"));
                let digits = str::from_utf8(&digits).unwrap();
                u8::from_str_radix(digits, 16).expect("two digits")
            }
            _ => byte,
        });
    }
    bytes
}

/// Plays `case` from `server` to a client that follows the standard, and compares its events and its
/// requests with the expected ones.
fn play(server: &Server, case: &Case) {
    let Case { name, url, .. } = case;
    let parameters = parameters(url);
    let value = |wanted: &str| {
        let mut values = parameters.iter().filter(|(known, _)| known == wanted);
        values.next().map(|(_, value)| value.as_slice())
    };
    let items = items(value("responses"));
    let mut client = Client::new(case);

    if value("end") == Some(b"stall") {
        let (_, mut connection) = server.get(&client.target);
        let wire = value("wire").expect("what is held is a wire");
        let mut frames: Vec<Vec<u8>> = Vec::new();
        while frames.concat().len() < wire.len() {
            frames.push(connection.chunk());
        }
        assert_eq!(frames.concat(), wire, "{name}");
        assert_eq!(server.stats_of(name).open, 1, "{name} is held");
        client.read(&frames);
        drop(connection);
    } else {
        let statuses = client.connect(server, value("redirect"));
        if items.is_empty() {
            assert_eq!(statuses, [value("status").expect("a status")], "{name}");
        } else {
            assert_eq!(statuses, items[..statuses.len()], "{name}");
        }
        // A client that reconnects after a failure would receive unexpected events.
        let (last, rest) = (statuses.last().unwrap(), items.get(statuses.len()..));
        let failed = last != b"200" && rest.is_some_and(|rest| !rest.is_empty());
        assert!(
            !failed || rest.unwrap().contains(&b"200".as_slice()),
            "{name}"
        );
    }

    assert_eq!(client.events, case.expect, "{name}");
    let is_left_open = value("end") == Some(b"stall") && case.close_after.is_none();
    let judged = (!is_left_open && is_header_value(&client.id)).then_some(client.later);
    assert_eq!(judged, case.later_requests, "{name}");
    assert!(
        case.redirects.is_none_or(|it| it == client.redirects),
        "{name}"
    );
    assert_right(server, name, &client.events);
}

/// A client that follows the standard.
struct Client {
    /// The URL of its next request.
    target: String,
    /// How many events it takes before it closes.
    most: usize,
    events: Vec<Expected>,
    later: Vec<Later>,
    redirects: u64,
    id: String,
    reconnection_time: Option<u64>,
}

impl Client {
    fn new(case: &Case) -> Self {
        Self {
            target: format!("{}&key={}", case.url, case.name),
            most: case.close_after.unwrap_or(usize::MAX),
            events: Vec::new(),
            later: Vec::new(),
            redirects: 0,
            id: String::new(),
            reconnection_time: None,
        }
    }

    /// Connects until a response or an event tells it to stop, and returns the statuses.
    fn connect(&mut self, server: &Server, redirect: Option<&[u8]>) -> Vec<Vec<u8>> {
        let mut statuses = Vec::new();
        loop {
            let mut reply = self.request(server);
            if let Some(location) = reply.header("Location") {
                assert_eq!(Some(&reply.status().as_bytes()[..3]), redirect);
                location.clone_into(&mut self.target);
                self.redirects += 1;
                reply = self.request(server);
            }
            statuses.push(reply.status().as_bytes()[..3].to_vec());
            if !is_a_stream(&reply) || !self.read(&reply.chunks) || !is_header_value(&self.id) {
                return statuses;
            }
            self.later.push(Later {
                last_event_id: self.id.clone(),
                after_ms: self.reconnection_time.filter(|time| *time >= JUDGED),
                events: 0,
            });
            let wait = self.reconnection_time.filter(|time| *time < 10_000);
            thread::sleep(Duration::from_millis(wait.unwrap_or(0)));
        }
    }

    fn request(&self, server: &Server) -> Reply {
        match self.id.as_str() {
            "" => reply::get(server, &self.target),
            id => reply::come_back(server, &self.target, id),
        }
    }

    /// Dispatches the events of a connection; returns whether the client is still open.
    fn read(&mut self, frames: &[Vec<u8>]) -> bool {
        // An event without an id of its own has none on a later connection by the standard, but all
        // engines keep the old id: no case may depend on that.
        let [stream, other] = ["", &self.id].map(|id| {
            let mut stream = EventStream::of_connection(&self.id, id);
            for frame in frames {
                stream.read(frame);
            }
            stream
        });
        assert_eq!(stream.events, other.events, "{}", self.target);
        assert_eq!(stream.last_event_id, other.last_event_id, "{}", self.target);
        let events = stream.events.into_iter().map(Expected::from);
        let before = self.events.len();
        self.events.extend(events.take(self.most - before));
        if let Some(later) = self.later.last_mut() {
            later.events = self.events.len() - before;
        }
        self.id = stream.last_event_id;
        self.reconnection_time = stream.reconnection_time.or(self.reconnection_time);
        self.events.len() < self.most
    }
}

/// Asserts that the server judges a client as right that received `events` with the name of the case
/// as its key.
fn assert_right(server: &Server, name: &str, events: &[Expected]) {
    let post = json!({"name": name, "key": name, "events": events, "closed": true});
    // A client that was closed is watched for a while.
    let mut verdict = json!(null);
    eventually("the case is done", || {
        verdict = judge(server, &post);
        verdict["done"] == true
    });
    assert_eq!(verdict["right"], true, "{verdict}");
    assert_eq!(verdict["why"], json!([]), "{verdict}");
}

/// The items of `responses`.
fn items(responses: Option<&[u8]>) -> Vec<&[u8]> {
    let items = responses.map(|items| items.split(|byte| *byte == b','));
    items.into_iter().flatten().collect()
}

fn is_a_stream(reply: &Reply) -> bool {
    let status = reply.status()[..3].parse().expect("three digits");
    is_stream(status, reply.header("Content-Type").unwrap_or_default())
}

/// The layout of the file: a changed case is a changed line in a diff.
fn laid_out(case: &Case) -> String {
    let Case {
        name,
        section,
        why,
        url,
        listen,
        expect,
        later_requests,
        redirects,
        close_after,
        deadline_ms,
    } = case;
    let [name, section, why, url] = [name, section, why, url].map(spaced);
    let mut events = spaced(expect);
    if events.len() > 88 {
        let each: Vec<_> = expect.iter().map(spaced).collect();
        events = format!("[\n  {}]", each.join(",\n  "));
    }
    let (listen, later_requests) = (spaced(listen), spaced(later_requests));
    let (redirects, close_after) = (spaced(redirects), spaced(close_after));
    format!(
        "{{\"name\": {name}, \"section\": {section},\n \"why\": {why},\n \"url\": {url},\n \
         \"listen\": {listen},\n \"expect\": {events},\n \"later_requests\": {later_requests}, \
         \"redirects\": {redirects}, \"close_after\": {close_after}, \
         \"deadline_ms\": {deadline_ms}}}"
    )
}

fn spaced(value: impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Spaced);
    value.serialize(&mut serializer).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// JSON in ASCII, so that every character is visible, with a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for letter in text.chars() {
            if letter == ' ' || letter.is_ascii_graphic() {
                write!(to, "{letter}")?;
                continue;
            }
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_case_is_one_sentence_under_a_name_of_its_own() {
    let cases = cases();
    assert!(cases.len() >= 215, "{} cases", cases.len());
    assert!(SUITE.len() < 128_000, "{} bytes", SUITE.len());
    let mut names = BTreeSet::new();
    for case in &cases {
        let Case { name, why, .. } = case;
        assert!(names.insert(name), "{name} is there twice");
        let kebab = |word: &str| {
            let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !word.is_empty() && word.bytes().all(letters)
        };
        assert!(name.len() <= 48 && name.split('-').all(kebab), "{name}");
        let sections = ["9.2.2", "9.2.3", "9.2.4", "9.2.5", "9.2.6"];
        assert!(sections.contains(&case.section.as_str()), "{name}");
        let sentences = why.matches(". ").count() + usize::from(why.ends_with('.'));
        assert!(sentences == 1 && why.len() <= 130, "{name}: {why}");
    }
}

#[test]
fn the_file_is_laid_out_by_one_rule() {
    let cases: Vec<_> = cases().iter().map(laid_out).collect();
    let layout = format!(
        "{{\"version\": 2, \"cases\": [\n{}\n]}}\n",
        cases.join(",\n")
    );
    for (line, (is, should)) in SUITE.lines().zip(layout.lines()).enumerate() {
        assert_eq!(is, should, "line {}", line + 1);
    }
    assert_eq!(SUITE.len(), layout.len());
}

#[test]
fn no_case_requests_what_the_server_rejects() {
    for Case { name, url, .. } in cases() {
        let parameters = parameters(&url);
        let value = |wanted: &str| {
            let mut values = parameters.iter().filter(|(known, _)| known == wanted);
            let value = values.next().map(|(_, value)| value.as_slice());
            assert!(values.next().is_none(), "{name}: {wanted} is there twice");
            value
        };
        let number = |wanted: &str| {
            let digits = str::from_utf8(value(wanted)?).unwrap();
            Some(digits.parse::<u64>().expect("a number"))
        };

        let path = url.split('?').next().unwrap();
        assert!(["/events", "/stream"].contains(&path), "{name}: {path}");
        assert!(url.len() < 7500, "{name}");
        // A redirect might not preserve characters that a browser would encode differently.
        let whole = format!("http://localhost{url}");
        assert_eq!(Url::parse(&whole).unwrap().as_str(), whole, "{name}");
        let known = [
            "wire",
            "interval",
            "split",
            "pace",
            "end",
            "delay",
            "header",
            "status",
            "redirect",
            "responses",
            "data",
            "size",
            "count",
            "event",
            "retry",
            "eol",
            "bom",
            "comment",
            "ids",
        ];
        for (parameter, _) in &parameters {
            assert!(known.contains(&parameter.as_str()), "{name}: {parameter}");
        }

        let wire = value("wire");
        assert!(wire.is_none_or(|wire| wire.len() <= WIRE), "{name}");
        let together = |one, others: &[&str]| {
            let other = others.iter().find(|other| value(other).is_some());
            let other = other.filter(|_| value(one).is_some());
            assert!(other.is_none(), "{name}: {one} and {other:?}");
        };
        let wires = ["data", "event", "retry", "eol", "bom", "size"];
        together("wire", &wires);
        together("size", &["data"]);
        together("redirect", &["status"]);
        together("responses", &["status"]);
        assert!(
            wire.is_none() || number("comment").unwrap_or(0) == 0,
            "{name}"
        );
        assert!(
            value("pace").is_none() || value("split").is_some(),
            "{name}"
        );
        let ends = value("end").is_none() || wire.is_some() || value("count").is_some();
        assert!(ends, "{name}");
        assert!(
            wire.is_none() || value("end") != Some(b"truncate"),
            "{name}"
        );
        let bounds = [
            ("interval", if wire.is_some() { 0 } else { 10 }, 3_600_000),
            ("split", 1, 1024),
            ("pace", 1, 10_000),
            ("size", 1, 16_777_216),
            ("comment", 50, 3_600_000),
            ("delay", 0, 60_000),
            ("status", 200, 599),
        ];
        for (parameter, least, most) in bounds {
            let within = number(parameter).is_none_or(|it| (least..=most).contains(&it));
            assert!(within, "{name}: {parameter}");
        }
        let items = items(value("responses"));
        let is_status = |item: &&[u8]| matches!(item, [b'2'..=b'5', rest @ ..] if rest.len() == 2 && rest.iter().all(u8::is_ascii_digit));
        assert!(items.len() <= 16 && items.iter().all(is_status), "{name}");
        if let Some(header) = value("header") {
            let media_type = header.strip_prefix(b"Content-Type:").expect(&name);
            let fits = media_type.len() <= 128;
            let is_printable = media_type.iter().all(|byte| matches!(byte, b' '..=b'~'));
            assert!(fits && is_printable, "{name}");
        }
        let streams = value("status").is_none();
        // The last response tells every client to stop.
        let ready = items.last().is_some_and(|last| *last != b"200") && value("interval").is_some();
        assert!(
            !streams || ready,
            "{name} does not end by itself, or not soon"
        );
    }
}

#[test]
fn a_case_expects_what_its_other_fields_allow() {
    for case in cases() {
        let listen: BTreeSet<_> = case.listen.iter().map(String::as_str).collect();
        assert_eq!(listen.len(), case.listen.len(), "{}", case.name);
        assert_eq!(case.listen[0], "message", "{}", case.name);
        let mut heard = case.expect.iter().map(Expected::event);
        assert!(heard.all(|event| listen.contains(event)), "{}", case.name);
        let later = case.later_requests.as_deref().unwrap_or_default();
        let is_whole = |it: &Later| it.last_event_id.len() <= 64;
        assert!(later.iter().all(is_whole), "{}: /stats cuts it", case.name);
        let events: usize = later.iter().map(|it| it.events).sum();
        assert!(events <= case.expect.len(), "{}", case.name);
        let closes = case
            .close_after
            .is_none_or(|it| (1..=case.expect.len()).contains(&it));
        assert!(closes, "{}", case.name);
    }
}

#[test]
fn a_case_takes_12_seconds_and_one_more_for_every_128_000_bytes() {
    for case in cases() {
        let parameters = parameters(&case.url);
        let number = |wanted: &str| {
            let value = parameters.iter().find(|(name, _)| name == wanted)?;
            str::from_utf8(&value.1).ok()?.parse::<u64>().ok()
        };
        let bytes = number("size").unwrap_or(0) * case.expect.len() as u64;
        let time = 12_000 + (bytes / 128).next_multiple_of(1000);
        assert_eq!(case.deadline_ms, time, "{}", case.name);
    }
}

#[test]
fn the_server_sends_every_case_as_it_is_described() {
    let server = Server::start();
    let cases = cases();
    let next = AtomicUsize::new(0);
    // Most of the time of a case is pauses.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    play(&server, case);
                }
            });
        }
    });
}
