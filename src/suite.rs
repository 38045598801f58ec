//! The judge of the suite: what a client made of a case, beside what the case expects.

use std::fmt::{self, Display, Formatter};
use std::sync::LazyLock;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::stats::{Arrival, REMEMBERED, Stats};

/// The cases as `GET /cases` sends them.
pub const CASES: &str = include_str!("../public/cases.json");

/// How long a key is quiet before a client counts as done.
const QUIET: Duration = Duration::from_secs(6);

/// How long a key is quiet before a client that closed in a listener counts as done.
const QUIET_AFTER_CLOSE: Duration = Duration::from_secs(2);

/// The most characters of a text in a sentence.
const SHOWN: usize = 60;

/// The most characters of an error that are repeated to the client.
const REPEATED: usize = 200;

static SUITE: LazyLock<Suite> =
    LazyLock::new(|| serde_json::from_str(CASES).expect("the tests parse the cases"));

#[derive(Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

/// A case, with the fields that are judged.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    name: String,
    /// The events of all connections, in order.
    expect: Vec<Event>,
    /// What has to come after the first request; `None` if that is not judged.
    later_requests: Option<Vec<Later>>,
    /// How many redirects the server must have sent; `None` if that is not judged.
    redirects: Option<u64>,
    /// The client closes in the listener of its event of that number.
    close_after: Option<u64>,
}

/// A request after the first.
#[derive(Clone, Debug, Deserialize)]
struct Later {
    last_event_id: String,
    after_ms: Option<u64>,
    /// How many of the expected events come on its connection.
    events: usize,
}

/// An event as a client dispatches it. Data that is `size` times `x` may be `null`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "event")]
    kind: Text,
    data: Option<Text>,
    size: Option<usize>,
    id: Option<Text>,
}

/// Any JSON string: a client that decodes UTF-8 wrongly may dispatch half of a surrogate pair.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Text {
    /// Returns the length, if the text is nothing but `x`.
    fn xs(&self) -> Option<usize> {
        let all = self.0.iter().all(|byte| *byte == b'x');
        all.then_some(self.0.len())
    }
}

/// Writes the beginning of the text in quotes, and the length of a long one.
impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        let letters = text.chars().count();
        if letters <= SHOWN {
            return write!(f, "{text:?}");
        }
        let beginning = text.chars().take(SHOWN).collect::<String>();
        write!(f, "{beginning:?}… of {letters} characters")
    }
}

/// What a runner posts: what its client has dispatched so far.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// The name of the case.
    name: String,
    /// The key of the client's requests.
    pub key: String,
    events: Vec<Event>,
    /// Whether the client gave up, was closed, or ended without reconnecting, or its time is over.
    #[serde(default)]
    closed: bool,
    /// Whether the client reconnects by itself.
    #[serde(default = "yes")]
    reconnects: bool,
}

fn yes() -> bool {
    true
}

/// What is right about a client. A score is `None` while more may come, and where the case does not
/// judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    name: String,
    done: bool,
    right: Option<bool>,
    events: Option<bool>,
    ids: Option<bool>,
    reconnects: Option<bool>,
    /// A sentence for each fault: what was expected and what came.
    why: Vec<String>,
}

impl Post {
    /// Reads a post.
    ///
    /// # Errors
    ///
    /// One line, if it is no JSON of this form.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let post = serde_json::from_slice::<Self>(json);
        let post = post.and_then(|post| match post.events.iter().all(Event::has_one_size) {
            true if json.trim_ascii_start().starts_with(b"{") => Ok(post),
            true => Err(Error::custom("an object is expected")),
            false => Err(Error::custom("an event has data, or null and its size")),
        });
        post.map_err(|error| {
            // An error can repeat a name of any length and with any character.
            let letters = error.to_string().chars().take(REPEATED).collect::<String>();
            let line = letters.replace(char::is_control, "\u{fffd}");
            format!("no result of a case: {line}\n")
        })
    }

    /// Returns the case.
    ///
    /// # Errors
    ///
    /// One line, if there is none of that name.
    pub fn case(&self) -> Result<&'static Case, String> {
        let case = SUITE.cases.iter().find(|case| case.name == self.name);
        case.ok_or_else(|| format!("name: no case is called {}\n", Text::from(&*self.name)))
    }
}

impl Case {
    /// Judges a client by what it dispatched and by what the server has seen of its key: `stats`,
    /// and the time since its newest request or end, if there was a request.
    #[must_use]
    pub fn judge(&self, post: &Post, stats: &Stats, quiet: Option<Duration>) -> Verdict {
        let requests = stats.requests.as_deref().unwrap_or_default();
        let later = self.later_requests.as_deref().filter(|_| post.reconnects);
        let all_came = later.is_some_and(|later| requests.len() > later.len());
        let is_quiet = |most| quiet.is_some_and(|time| time >= most);
        let expected = self.later_requests.as_ref().map_or(0, Vec::len) + 1;
        // A client that was closed may still reconnect.
        let closed = self.close_after.is_none()
            || is_quiet(QUIET_AFTER_CLOSE)
            || requests.is_empty()
            || requests.len() > expected;
        let done = if post.closed {
            closed
        } else {
            all_came && is_quiet(QUIET)
        };
        let sent = stats.redirects.unwrap_or(0);
        let mut why = Vec::new();
        let scores = if !done {
            [None; 3]
        } else if requests.is_empty() {
            let no_request = format!("No request with the key {} came.", post.key);
            let sent = Some(sent).filter(|sent| *sent > 0);
            why.push(sent.map_or(no_request, |sent| {
                let sent = number(sent, "redirect");
                format!("The server sent {sent}; no request followed.")
            }));
            [Some(false); 3]
        } else {
            let expected = self.expected(if post.reconnects {
                usize::MAX
            } else {
                requests.len()
            });
            let events = same_events(expected, &post.events, &mut why);
            let ids = same_ids(expected, &post.events, &mut why);
            let mut reconnects = later.map(|later| came_back(later, requests, &mut why));
            let due = self.redirects.filter(|due| post.reconnects && *due != sent);
            if let Some(due) = due {
                let due = number(due, "redirect");
                why.push(format!("Expected {due}; the server sent {sent}."));
                reconnects = Some(false);
            }
            [Some(events), ids, reconnects]
        };
        let [events, ids, reconnects] = scores;
        Verdict {
            name: self.name.clone(),
            done,
            right: done.then(|| !scores.contains(&Some(false))),
            events,
            ids,
            reconnects,
            why,
        }
    }

    /// Returns the events of the first `connections`.
    fn expected(&self, connections: usize) -> &[Event] {
        let later = self.later_requests.iter().flatten();
        let later: usize = later.skip(connections - 1).map(|later| later.events).sum();
        &self.expect[..self.expect.len().saturating_sub(later)]
    }
}

/// Whether the types and the data of the events are those expected.
fn same_events(expected: &[Event], came: &[Event], why: &mut Vec<String>) -> bool {
    let faults = why.len();
    if expected.len() != came.len() {
        let due = number(expected.len(), "event");
        why.push(format!("Expected {due}; {} came.", came.len()));
    }
    let mut pairs = (1..).zip(expected.iter().zip(came));
    if let Some((number, (should, is))) = pairs.find(|(_, (should, is))| !should.is_like(is)) {
        why.push(format!("Event {number}: expected {should}; {is} came."));
    }
    why.len() == faults
}

/// Whether the ids are those expected; `None` if the runner left some out.
fn same_ids(expected: &[Event], came: &[Event], why: &mut Vec<String>) -> Option<bool> {
    let mut pairs = (1..).zip(expected.iter().zip(came));
    let wrong = pairs.find(|(_, (should, is))| is.id.is_some() && should.id != is.id);
    if let Some((number, (should, is))) = wrong {
        let [should, is] = [should, is].map(|event| or_none(event.id.as_ref(), "no id"));
        why.push(format!(
            "Event {number}: expected the id {should}; {is} came."
        ));
        return Some(false);
    }
    let all = came.iter().all(|event| event.id.is_some());
    all.then_some(expected.len() == came.len())
}

/// Whether the requests after the first are those expected.
fn came_back(expected: &[Later], requests: &[Arrival], why: &mut Vec<String>) -> bool {
    let faults = why.len();
    let (due, came) = (1 + expected.len(), requests.len());
    if due != came {
        let more = if came < REMEMBERED { "" } else { " or more" };
        why.push(format!(
            "Expected {}; {came}{more} came.",
            number(due, "request")
        ));
    }
    // The oldest requests of a key that made more are gone.
    let later = if came < REMEMBERED { requests } else { &[] };
    for (number, (should, is)) in (2..).zip(expected.iter().zip(later.iter().skip(1))) {
        let [id, came] = [Some(&should.last_event_id), is.last_event_id.as_ref()]
            .map(|id| Text::from(id.map_or("", String::as_str)));
        if id != came {
            why.push(format!(
                "Request {number}: expected Last-Event-ID {id}; {came} came."
            ));
        }
        let Some(due) = should.after_ms else { continue };
        // A clock may be coarse, and a busy machine makes clients late.
        let (least, most) = (9 * due / 10, 4 * due);
        if !is
            .after_ms
            .is_some_and(|after| (least..=most).contains(&after))
        {
            let end = "the end of the stream";
            let after = is
                .after_ms
                .map_or(format!("before {end}"), |ms| format!("after {ms} ms"));
            why.push(format!(
                "Request {number}: expected {least} to {most} ms after {end}; it came {after}."
            ));
        }
    }
    why.len() == faults
}

impl Event {
    /// Whether the event has data, or `null` and the size of what it would be.
    fn has_one_size(&self) -> bool {
        match &self.data {
            Some(data) => self.size.is_none_or(|size| size == data.0.len()),
            None => self.size.is_some(),
        }
    }

    /// Whether the types and the data are equal.
    fn is_like(&self, other: &Self) -> bool {
        let xs = |event: &Self| event.data.as_ref().map_or(event.size, Text::xs);
        let same = match (xs(self), xs(other)) {
            (Some(one), Some(other)) => one == other,
            _ => self.data == other.data,
        };
        self.kind == other.kind && same
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.data {
            Some(data) => write!(f, "{} with the data {data}", self.kind),
            None => write!(f, "{} with {} times x", self.kind, self.size.unwrap_or(0)),
        }
    }
}

fn or_none(text: Option<&Text>, none: &str) -> String {
    text.map_or(none.to_owned(), Text::to_string)
}

fn number<N: Copy + Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [&str; 3] = [
        r#"{"name": "redirected", "expect": [{"event": "e", "data": "a", "id": "1"}],
        "later_requests": [{"last_event_id": "1", "after_ms": null, "events": 0}], "redirects": 2}"#,
        r#"{"name": "later", "expect": [{"event": "e", "data": "a", "id": "1"},
        {"event": "e", "data": "b", "id": "2"}, {"event": "e", "data": "c", "id": "3"}],
        "later_requests": [{"last_event_id": "1", "after_ms": 300, "events": 2},
        {"last_event_id": "3", "after_ms": null, "events": 0}], "redirects": null}"#,
        r#"{"name": "unjudged", "expect": [], "later_requests": null, "redirects": 1}"#,
    ];

    /// A case, the data of the events, the later requests as id and wait, the redirects, the score,
    /// and why.
    const ROWS: &str = r#"
        redirected | a   | 1 0             | 2 | true  |
        redirected | a   | 1 0             | 1 | false | Expected 2 redirects; the server sent 1.
        redirected | a   |                 | 0 | first |
        unjudged   |     | 1 0, 1 0        | 1 | none  |
        unjudged   |     |                 | 2 | false | Expected 1 redirect; the server sent 2.
        later      | abc | 1 300, 3 0      | 0 | true  |
        later      | abc | 1 270, 3 9000   | 9 | true  |
        later      | abc | 1 1200, 3 0     | 0 | true  |
        later      | abc | 1 269, 3 0      | 0 | false | Request 2: expected 270 to 1200 ms after the end of the stream; it came after 269 ms.
        later      | abc | 1 1201, 3 0     | 0 | false | Request 2: expected 270 to 1200 ms after the end of the stream; it came after 1201 ms.
        later      | abc | 1 300, 1 0      | 0 | false | Request 3: expected Last-Event-ID "3"; "1" came.
        later      | abc | 2 300, 3 0      | 0 | false | Request 2: expected Last-Event-ID "1"; "2" came.
        later      | abc | 1 300           | 0 | false | Expected 3 requests; 2 came.
        later      | abc | 1 300, 3 0, 3 0 | 0 | false | Expected 3 requests; 4 came.
        later      | a   |                 | 0 | first |
    "#;

    #[test]
    fn each_later_request_and_all_redirects_are_judged() {
        for row in ROWS.trim().lines() {
            let columns: Vec<_> = row.split('|').map(str::trim).collect();
            let [name, data, later, redirects, score, why] = columns[..] else {
                panic!("{row}");
            };
            let cases = CASES.map(|case| serde_json::from_str::<Case>(case).unwrap());
            let case = cases.iter().find(|case| case.name == name).unwrap();
            let event = |(id, data): (usize, char)| Event {
                kind: "e".into(),
                data: Some(data.to_string().as_str().into()),
                size: None,
                id: Some(id.to_string().as_str().into()),
            };
            let post = Post {
                name: name.into(),
                key: "k".into(),
                events: (1..).zip(data.chars()).map(event).collect(),
                closed: true,
                reconnects: score != "first",
            };
            let later = later.split(", ").filter_map(|request| {
                let (id, after) = request.split_once(' ')?;
                let (last_event_id, after_ms) = (Some(id.into()), after.parse().ok());
                Some(Arrival {
                    last_event_id,
                    after_ms,
                })
            });
            let stats = Stats {
                requests: Some([Arrival::default()].into_iter().chain(later).collect()),
                redirects: redirects.parse().ok(),
                ..Stats::default()
            };
            let verdict = case.judge(&post, &stats, None);
            assert_eq!(verdict.reconnects, score.parse().ok(), "{row}");
            assert_eq!(verdict.why.join(" "), why, "{row}");
            let others = (verdict.events, verdict.ids, verdict.right);
            assert_eq!(
                others,
                (Some(true), Some(true), Some(why.is_empty())),
                "{row}"
            );
        }
    }
}
