//! The suite: every case can be asked for, and expects what the standard makes of its answer.

use std::collections::BTreeSet;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use url::Url;

use crate::standard::{EventStream, Message, is_stream};

const SUITE: &str = include_str!("../../public/cases.json");

/// The most bytes of a `wire`.
const WIRE: usize = 4096;

/// The least reconnection time that is judged.
const JUDGED: u64 = 300;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    section: String,
    why: String,
    url: String,
    listen: Vec<String>,
    expect: Vec<Expected>,
    reconnect: Option<Reconnect>,
}

#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
enum Expected {
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

#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
enum Reconnect {
    Never(bool),
    Back {
        last_event_id: String,
        after_ms: Option<u64>,
    },
}

/// What the first request of a case is answered, redirects followed.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
    /// Whether the body never ends.
    held: bool,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(SUITE).expect("the fields of a case")
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
        // No `wire` has room for so much.
        if data.len() > WIRE && data.bytes().all(|byte| byte == b'x') {
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

impl Answer {
    /// What a client that follows the standard dispatches, and what it comes back with.
    fn read(&self, frame: usize) -> (Vec<Expected>, Option<Reconnect>) {
        if !is_stream(self.status, &self.content_type) {
            return (Vec::new(), Some(Reconnect::Never(false)));
        }
        let mut stream = EventStream::default();
        for bytes in self.body.chunks(frame) {
            stream.read(bytes);
        }
        let back = Reconnect::Back {
            last_event_id: stream.last_event_id.clone(),
            after_ms: stream.reconnection_time.filter(|time| *time >= JUDGED),
        };
        let judged = !self.held && is_header_value(&stream.last_event_id);
        let events = stream.events.into_iter().map(Expected::from);
        (events.collect(), judged.then_some(back))
    }
}

/// Whether `text` survives as the value of a header.
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

/// What the server answers to `url` by its table of options.
fn answer(url: &str) -> Answer {
    let parameters = parameters(url);
    let bytes = |name: &str| {
        let mut values = parameters.iter().filter(|(known, _)| known == name);
        values.next().map(|(_, value)| value.clone())
    };
    let text = |name| bytes(name).map(|value| String::from_utf8(value).expect("UTF-8"));
    let number = |name| text(name).map(|value| value.parse::<usize>().expect("a number"));

    let status = text("status").map(|status| status.parse().expect("a status"));
    let body = bytes("wire").unwrap_or_else(|| {
        let mut body = String::from(":\n\n");
        let data = match number("size") {
            Some(size) => "x".repeat(size),
            None => text("data").unwrap_or_default(),
        };
        for count in 0..number("count").unwrap_or_default() {
            let retry = text("retry").filter(|_| count == 0);
            body += &retry.map_or(String::new(), |time| {
                format!(
                    "retry: {time}
"
                )
            });
            body += &block(text("event"), &data);
        }
        if text("end").as_deref() == Some("truncate") {
            let block = block(text("event"), &data);
            body += &block[..block.len() / 2];
        }
        let body = match text("eol").as_deref() {
            Some("cr") => body.replace('\n', "\r"),
            Some("crlf") => body.replace('\n', "\r\n"),
            _ => body,
        };
        let bom = text("bom").map_or("", |_| "\u{feff}");
        [bom, &body].concat().into()
    });
    Answer {
        status: status.unwrap_or(if text("fail").is_some() { 503 } else { 200 }),
        content_type: text("type").unwrap_or_else(|| "text/event-stream".into()),
        body,
        held: text("end").as_deref() == Some("stall"),
    }
}

fn block(event: Option<String>, data: &str) -> String {
    let event = event.map(|event| format!("event: {event}\n"));
    let data = data.split('\n').map(|line| format!("data: {line}\n"));
    event.into_iter().chain(data).collect::<String>() + "\n"
}

/// The layout of the file, in which a change of a case shows as a change of its lines.
fn laid_out(case: &Case) -> String {
    let Case {
        name,
        section,
        why,
        url,
        listen,
        expect,
        reconnect,
    } = case;
    let [name, section, why, url] = [name, section, why, url].map(json);
    let mut events = json(expect);
    if events.len() > 88 {
        let each: Vec<_> = expect.iter().map(json).collect();
        events = format!("[\n  {}]", each.join(",\n  "));
    }
    let (listen, reconnect) = (json(listen), json(reconnect));
    format!(
        "{{\"name\": {name}, \"section\": {section},\n \"why\": {why},\n \"url\": {url},\n \
         \"listen\": {listen},\n \"expect\": {events},\n \"reconnect\": {reconnect}}}"
    )
}

fn json(value: impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Spaced);
    value.serialize(&mut serializer).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// JSON in ASCII, so that nothing of it is invisible, with a space after each comma and colon.
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
    assert!(cases.len() >= 140, "{} cases", cases.len());
    assert!(SUITE.len() < 90_000, "{} bytes", SUITE.len());
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
    let layout = format!("[\n{}\n]\n", cases.join(",\n"));
    for (line, (is, should)) in SUITE.lines().zip(layout.lines()).enumerate() {
        assert_eq!(is, should, "line {}", line + 1);
    }
    assert_eq!(SUITE.len(), layout.len());
}

#[test]
fn no_case_asks_for_what_the_server_refuses() {
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
        // What a browser would write in another way, a redirect might not give back.
        let whole = format!("http://localhost{url}");
        assert_eq!(Url::parse(&whole).unwrap().as_str(), whole, "{name}");
        let known = [
            "wire", "interval", "split", "pace", "end", "delay", "type", "status", "redirect",
            "fail", "then", "once", "data", "size", "count", "event", "retry", "eol", "bom",
            "comment",
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
        let wires = ["data", "event", "retry", "eol", "bom", "size", "count"];
        together("wire", &wires);
        together("size", &["data"]);
        together("redirect", &["status"]);
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
            ("then", 200, 599),
            ("fail", 1, 100),
        ];
        for (parameter, least, most) in bounds {
            let within = number(parameter).is_none_or(|it| (least..=most).contains(&it));
            assert!(within, "{name}: {parameter}");
        }
        let streams = value("status").is_none() || value("fail").is_some();
        let ready = value("once") == Some(b"") && value("interval").is_some();
        assert!(
            !streams || ready,
            "{name} does not end by itself, or not soon"
        );
    }
}

#[test]
fn a_case_listens_to_all_that_it_expects() {
    for case in cases() {
        let listen: BTreeSet<_> = case.listen.iter().map(String::as_str).collect();
        assert_eq!(listen.len(), case.listen.len(), "{}", case.name);
        assert_eq!(case.listen[0], "message", "{}", case.name);
        let mut heard = case.expect.iter().map(Expected::event);
        assert!(heard.all(|event| listen.contains(event)), "{}", case.name);
        if let Some(Reconnect::Back { last_event_id, .. }) = case.reconnect {
            assert!(last_event_id.len() <= 64, "{}: /stats cuts it", case.name);
        }
    }
}

#[test]
fn a_case_expects_what_the_standard_makes_of_its_options() {
    for case in cases() {
        let answer = answer(&case.url);
        let frames: &[usize] = match answer.body.len() {
            0..=100_000 => &[1, 2, 3, 100_000],
            _ => &[4093],
        };
        for frame in frames {
            let (events, reconnect) = answer.read(*frame);
            let Case { name, .. } = &case;
            assert_eq!(events, case.expect, "{name}, {frame} bytes a frame");
            assert_eq!(reconnect, case.reconnect, "{name}");
        }
    }
}
