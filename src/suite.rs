//! The judge of the suite: what a client made of a case, beside what the case expects.

use std::fmt::Display;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::stats::{Arrival, Stats};

/// The cases as `GET /cases` sends them.
pub const CASES: &str = include_str!("../public/cases.json");

/// How long a key is quiet before a client counts as done.
const QUIET: Duration = Duration::from_secs(6);

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
}

/// A request after the first.
#[derive(Clone, Debug, Deserialize)]
struct Later {
    last_event_id: String,
    after_ms: Option<u64>,
    /// How many of the expected events come on its connection.
    events: usize,
}

/// An event as a client dispatches it. Large data that is `size` times `x` is `null`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "event")]
    kind: String,
    data: Option<String>,
    size: Option<usize>,
    id: Option<String>,
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
        serde_json::from_slice(json).map_err(|error| {
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
        case.ok_or_else(|| format!("name: no case is called {:?}\n", shown(&self.name)))
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
        let done = post.closed || all_came && quiet.is_some_and(|time| time >= QUIET);
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
            let expected = self.expected(post.reconnects);
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

    /// Returns the events for a client that reconnects, or those of the first connection alone.
    fn expected(&self, reconnects: bool) -> &[Event] {
        let later = self.later_requests.iter().flatten();
        let later = if reconnects {
            0
        } else {
            later.map(|later| later.events).sum()
        };
        &self.expect[..self.expect.len().saturating_sub(later)]
    }
}

/// Whether the types and the data of the events are those expected.
fn same_events(expected: &[Event], came: &[Event], why: &mut Vec<String>) -> bool {
    let mut is_right = expected.len() == came.len();
    if !is_right {
        let due = number(expected.len(), "event");
        why.push(format!("Expected {due}; {} came.", came.len()));
    }
    for (number, (should, is)) in (1..).zip(expected.iter().zip(came)) {
        if !should.is_like(is) {
            let [should, is] = [should, is].map(Event::shown);
            why.push(format!("Event {number}: expected {should}; {is} came."));
            is_right = false;
            break;
        }
    }
    is_right
}

/// Whether the ids are those expected; `None` if the runner left some out.
fn same_ids(expected: &[Event], came: &[Event], why: &mut Vec<String>) -> Option<bool> {
    if came.iter().any(|event| event.id.is_none()) {
        return None;
    }
    for (number, (should, is)) in (1..).zip(expected.iter().zip(came)) {
        if should.id != is.id {
            let [should, is] = [should, is].map(|event| quoted(event.id.as_deref()));
            why.push(format!(
                "Event {number}: expected the id {should}; {is} came."
            ));
            return Some(false);
        }
    }
    Some(expected.len() == came.len())
}

/// Whether the requests after the first are those expected.
fn came_back(expected: &[Later], requests: &[Arrival], why: &mut Vec<String>) -> bool {
    let (due, came) = (1 + expected.len(), requests.len());
    if due != came {
        why.push(format!("Expected {}; {came} came.", number(due, "request")));
        return false;
    }
    for (number, (should, is)) in (2..).zip(expected.iter().zip(&requests[1..])) {
        let id = is.last_event_id.as_deref().unwrap_or_default();
        if should.last_event_id != id {
            let [should, is] = [&should.last_event_id, id].map(|id| quoted(Some(id)));
            why.push(format!(
                "Request {number}: expected Last-Event-ID {should}; {is} came."
            ));
            return false;
        }
        let Some(due) = should.after_ms else { continue };
        let after = is.after_ms.unwrap_or(0);
        // A busy machine makes clients late.
        if 10 * after < 3 * due || after > 4 * due {
            why.push(format!(
                "Request {number}: expected after {due} ms; it came after {after} ms."
            ));
            return false;
        }
    }
    true
}

impl Event {
    /// Whether the types and the data are equal. Large data may come in full.
    fn is_like(&self, other: &Self) -> bool {
        let is_in_full =
            |data: &String| self.size == Some(data.len()) && data.bytes().all(|byte| byte == b'x');
        let has_same_data = (&self.data, self.size) == (&other.data, other.size);
        let is_same =
            has_same_data || other.size.is_none() && other.data.as_ref().is_some_and(is_in_full);
        self.kind == other.kind && is_same
    }

    fn shown(&self) -> String {
        let kind = shown(&self.kind);
        match self.size {
            Some(size) => format!("{kind:?} with {size} bytes"),
            None => format!("{kind:?} with the data {}", quoted(self.data.as_deref())),
        }
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or("nothing".into(), |text| format!("{:?}", shown(text)))
}

/// The beginning of a text.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
        later      | abc | 1 90, 3 9000    | 9 | true  |
        later      | abc | 1 1200, 3 0     | 0 | true  |
        later      | abc | 1 89, 3 0       | 0 | false | Request 2: expected after 300 ms; it came after 89 ms.
        later      | abc | 1 1201, 3 0     | 0 | false | Request 2: expected after 300 ms; it came after 1201 ms.
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
                data: Some(data.into()),
                size: None,
                id: Some(id.to_string()),
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
