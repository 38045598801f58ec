//! Shared by the drivers in Rust. The suite takes the cases from the runner, opens a client for
//! each, and posts the client's events to the runner until the runner says that the case is done.

use std::env;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

/// How often the events so far are posted.
const POSTS: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "atOnce")]
    at_once: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    url: String,
    /// The number of events after which the client is closed.
    close_after: Option<usize>,
    report: String,
}

/// The runner's response to a post.
#[derive(Deserialize)]
struct Posted {
    done: bool,
}

/// An event of a client: its type, its data and its id.
pub type Event = (String, String, String);

/// Plays every case to a client, which `open` opens for the URL of the case.
pub async fn suite<S>(open: impl Fn(String) -> S + Copy + Send + 'static)
where
    S: Stream<Item = Event> + Send + 'static,
{
    let url = env::args()
        .nth(1)
        .expect("the runner says where the cases are");
    let content = reqwest::get(&url).await.expect("the runner responds");
    let content = content.text().await.expect("the runner responds");
    let told: Told = serde_json::from_str(&content).expect("the cases");
    let cases = Arc::new(Mutex::new(told.cases.into_iter()));
    let lanes = (0..told.at_once).map(|_| {
        let cases = Arc::clone(&cases);
        let take = move || cases.lock().expect("taking does not panic").next();
        tokio::spawn(async move {
            while let Some(case) = take() {
                play(case, open).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await
            .expect("a client that panics does so in a task of its own");
    }
}

async fn play<S>(case: Case, open: impl Fn(String) -> S + Send + 'static)
where
    S: Stream<Item = Event> + Send + 'static,
{
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let listening = tokio::spawn(async move {
        let mut stream = pin!(open(case.url));
        while let Some((event, data, id)) = stream.next().await {
            let mut told = json!({ "event": event, "data": data, "id": id });
            // A mebibyte of x is reported by its length.
            if data.len() > 4096 && data.bytes().all(|byte| byte == b'x') {
                told["data"] = Value::Null;
                told["size"] = data.len().into();
            }
            let mut heard = heard.lock().expect("pushing does not panic");
            heard.push(told);
            if Some(heard.len()) == case.close_after {
                break;
            }
        }
    });
    let runner = Client::new();
    loop {
        sleep(POSTS).await;
        // Read first: a client that has ended adds no event.
        let closed = listening.is_finished();
        let events = events.lock().expect("pushing does not panic").clone();
        let played = json!({ "events": events, "closed": closed }).to_string();
        let request = runner.post(&case.report).body(played);
        let response = request.send().await.expect("the runner responds");
        let content = response.text().await.expect("the runner responds");
        let Posted { done } = serde_json::from_str(&content).expect("whether the case is done");
        if done {
            break;
        }
    }
    listening.abort();
}
