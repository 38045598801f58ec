//! Compares clients with their rows in `clients/results.json`: each fails the listed cases, by
//! events and by ids, and no others. The clients in Rust are run here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use sseer::reqwest::StreamEvent;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;
use tokio_stream::{Stream, StreamExt};

use crate::suite::cases::{Case, Expected, cases};
use crate::suite::reference_client::Message;
use crate::support::Server;
use crate::support::source::{ROOT, read};

/// The time limit of a case.
const CASE: Duration = Duration::from_secs(15);

/// How long a client may still be reading or wait before it reconnects, and how long a stream stays
/// open for the client.
const READS: Duration = Duration::from_millis(2500);
const HELD: Duration = Duration::from_secs(3);

/// A row of the table: the cases that a client fails, by score.
#[derive(Debug, Deserialize)]
pub struct Row {
    #[serde(skip)]
    client: String,
    release: String,
    events: BTreeSet<String>,
    ids: BTreeSet<String>,
    reconnects: BTreeSet<String>,
}

/// The server's verdict on a client that has played a case.
#[derive(Debug, Deserialize)]
pub struct Judged {
    pub name: String,
    done: bool,
    events: Option<bool>,
    ids: Option<bool>,
    why: Vec<String>,
}

impl Row {
    /// The rows of all clients, by name.
    fn all() -> BTreeMap<String, Self> {
        let table = Path::new(ROOT).join("clients/results.json");
        let table = File::open(table).expect("make clients has written it");
        serde_json::from_reader(table).unwrap()
    }

    pub fn of(client: &str) -> Self {
        let mut row = Self::all().remove(client).expect(client);
        client.clone_into(&mut row.client);
        let cases = cases();
        for name in row.scores().into_iter().flatten() {
            let is_case = cases.iter().any(|case| case.name == *name);
            assert!(is_case, "{client} fails {name}, which is no case");
        }
        row
    }

    /// The failed cases of each of the suite's three scores.
    pub fn scores(&self) -> [BTreeSet<&str>; 3] {
        let scores = [&self.events, &self.ids, &self.reconnects];
        scores.map(|names| names.iter().map(String::as_str).collect())
    }

    /// The results of a case that differ from the row.
    fn news(&self, judged: &Judged) -> Vec<String> {
        let Judged { name, why, .. } = judged;
        let scores = [
            ("events", &self.events, judged.events),
            ("ids", &self.ids, judged.ids),
        ];
        let news = scores.into_iter().filter_map(|(score, wrong, is_right)| {
            match (wrong.contains(name), is_right?) {
                (true, true) => Some(format!("{name} is right now, by its {score}")),
                (false, false) => Some(format!("{name} is wrong now, by its {score}: {why:?}")),
                _ => None,
            }
        });
        news.collect()
    }

    /// Asserts that the results are those of the row.
    pub fn assert_holds(&self, results: &[Judged]) {
        let news: Vec<_> = results.iter().flat_map(|it| self.news(it)).collect();
        let Self {
            client, release, ..
        } = self;
        assert!(
            news.is_empty(),
            "clients/results.json, which `make clients` writes, has this otherwise for {client} \
             {release}: {news:#?}"
        );
    }
}

impl Judged {
    /// Posts the events that a client received with the name of the case as its key.
    async fn by(server: &Server, name: &str, events: &[Expected]) -> Self {
        let post = json!({"name": name, "key": name, "events": events, "closed": true});
        loop {
            let request = reqwest::Client::new().post(server.url("/cases"));
            let response = request.body(post.to_string()).send().await.unwrap();
            let verdict = response.text().await.unwrap();
            let judged: Self = serde_json::from_str(&verdict).expect(&verdict);
            if judged.done {
                return judged;
            }
            // The server watches a client that was closed for a while.
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Compares a client with its row. Cases with a difference run a second time, because a busy
/// machine makes a client late.
async fn hold<S>(client: &str, open: impl Fn(String) -> S)
where
    S: Stream<Item = Message> + Send + 'static,
{
    let row = Row::of(client);
    let mut cases = cases();
    // The time of some clients grows with the square of an event: too long in a debug build.
    cases.retain(|case| !case.url.contains("?size="));
    let results = play(&cases, &open).await;
    let mut each = results.iter();
    cases.retain(|_| !row.news(each.next().expect("a result a case")).is_empty());
    row.assert_holds(&play(&cases, &open).await);
}

/// The result of each case; several cases run at once.
async fn play<S>(cases: &[Case], open: &impl Fn(String) -> S) -> Vec<Judged>
where
    S: Stream<Item = Message> + Send + 'static,
{
    let server = Arc::new(Server::start());
    let mut results = Vec::new();
    for some in cases.chunks(32) {
        let playing = some.iter().map(|case| {
            let stream = open(server.url(&format!("{}&key={}", case.url, case.name)));
            let (server, case) = (Arc::clone(&server), case.clone());
            tokio::spawn(async move {
                let events = hear(stream, &server, &case).await;
                Judged::by(&server, &case.name, &events).await
            })
        });
        for each in playing.collect::<Vec<_>>() {
            results.push(each.await.expect("a client panics in a task of its own"));
        }
    }
    results
}

async fn hear<S>(stream: S, server: &Server, case: &Case) -> Vec<Expected>
where
    S: Stream<Item = Message> + Send + 'static,
{
    let (tell, mut told) = unbounded_channel();
    let most = case.close_after.unwrap_or(usize::MAX);
    let listening = tokio::spawn(async move {
        let mut stream = pin!(stream.take(most));
        while let Some(message) = stream.next().await {
            let _ = tell.send(Expected::from(message));
        }
    });
    over(server, case).await;
    listening.abort();
    let mut heard = Vec::new();
    while let Some(event) = told.recv().await {
        heard.push(event);
    }
    heard
}

/// Waits until the client has reconnected or stopped, or until the stream is stalled.
async fn over(server: &Server, case: &Case) {
    let start = Instant::now();
    let (mut requested, mut ended, mut seen) = (None, None, 0);
    while start.elapsed() < CASE {
        let stats = server.stats_of(&case.name);
        let requests = stats.requests.map_or(0, |requests| requests.len());
        if requests > 0 {
            requested.get_or_insert_with(Instant::now);
        }
        if requests > seen {
            (ended, seen) = (None, requests);
        }
        if requests > 0 && stats.open == 0 {
            ended.get_or_insert_with(Instant::now);
        }
        let is_past = |moment: Option<Instant>, time| moment.is_some_and(|it| it.elapsed() > time);
        let is_held = case.url.contains("end=stall") && is_past(requested, HELD);
        if requests > case.later() || is_past(ended, READS) || is_held {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    // For events that were sent in the same moment.
    sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn reqwest_eventsource_fails_what_is_known() {
    use reqwest_eventsource::{Event, EventSource};
    let open = |url: String| {
        EventSource::get(url).filter_map(|event| match event {
            Ok(Event::Message(it)) => Some(Message {
                event: it.event,
                data: it.data,
                id: it.id,
            }),
            _ => None,
        })
    };
    hold("reqwest-eventsource", open).await;
}

#[tokio::test]
async fn sseer_fails_what_is_known() {
    use sseer::reqwest::EventSource;
    let open = |url: String| {
        let request = reqwest::Client::new().get(url);
        let source = EventSource::new(request).expect("a GET can be sent again");
        source.filter_map(|event| match event {
            Ok(StreamEvent::Event(it)) => Some(Message {
                event: it.event.to_string(),
                data: it.data.to_string(),
                id: it.id.to_string(),
            }),
            _ => None,
        })
    };
    hold("sseer", open).await;
}

#[test]
fn the_docs_have_the_figures_of_the_data_and_no_client_passes_every_case() {
    let rows = Row::all();
    for (client, row) in &rows {
        let failures: usize = row.scores().iter().map(BTreeSet::len).sum();
        assert!(
            failures > 0,
            "{client} passes every case: README says that none does"
        );
    }
    let figures = [("cases", cases().len()), ("clients", rows.len())];
    for file in ["README.md", "docs/suite.md", "clients/README.md"] {
        let text = read(file);
        let words: Vec<_> = text.split_whitespace().collect();
        for (what, count) in figures {
            let mut stated = words.windows(2).filter_map(|pair| {
                let number = pair[0].parse::<usize>().ok()?;
                pair[1].starts_with(what).then_some(number)
            });
            let is_right = stated.clone().all(|number| number == count);
            assert!(is_right, "{file}: there are {count} {what}");
            let is_stated = stated.next().is_some();
            assert!(
                is_stated || file == "clients/README.md",
                "{file} says nothing of {what}"
            );
        }
    }
}
