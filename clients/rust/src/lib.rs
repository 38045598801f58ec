//! Shared by the drivers in Rust. The suite takes the cases from the runner, opens a client for
//! each, and reports the client's events. A case lasts until the runner ends it.

use std::env;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "atOnce")]
    at_once: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    url: String,
    until: String,
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
    let told: Told = serde_json::from_str(&get(&url).await).expect("the cases");
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
            heard.lock().expect("pushing does not panic").push(told);
        }
    });
    get(&case.until).await;
    listening.abort();
    let events = events.lock().expect("pushing does not panic").clone();
    println!("{}", json!({ "name": case.name, "events": events }));
}

/// Returns the content at `url`.
async fn get(url: &str) -> String {
    let answer = reqwest::get(url).await.expect("the runner answers");
    answer.text().await.expect("the runner answers")
}
