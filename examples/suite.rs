//! Plays the suite to a client: `cargo run --example suite -- SERVER [KNOWN FAILURE]...`
use reqwest_eventsource::{Event, EventSource}; // or any other
use serde_json::{Value, from_str, json};
use std::{collections::BTreeMap, time::Duration, time::Instant, time::UNIX_EPOCH};
use tokio::{sync::Semaphore, sync::mpsc::unbounded_channel, task::JoinSet, time::sleep};
use tokio_stream::StreamExt;
static TURNS: Semaphore = Semaphore::const_new(16); // a busy machine makes clients late
#[rustfmt::skip] async fn play(server: String, run: u128, case: Value) -> Value {
    let _turn = TURNS.acquire().await;
    let key = format!("{run:x}.{}", case["name"].as_str().unwrap());
    let mut source = EventSource::get(format!("{server}{}&key={key}", case["url"].as_str().unwrap())).filter_map(|event| {
        let Ok(Event::Message(it)) = event else { return None };
        let size = Some(it.data.len()).filter(|size| *size >= 5000 && it.data == "x".repeat(*size));
        Some(json!({ "event": it.event, "data": size.is_none().then(|| it.data.chars().take(5000).collect::<String>()), "size": size, "id": it.id }))
    }).take(case["close_after"].as_u64().map_or(usize::MAX, |count| count.try_into().unwrap()));
    let (tell, mut told) = unbounded_channel(); // a client that panics ends its own task, and so its case
    tokio::spawn(async move { while let Some(event) = source.next().await { let _ = tell.send(event); } });
    let (client, mut events, start) = (reqwest::Client::new(), Vec::new(), Instant::now());
    loop {
        let enough = case["later_requests"].is_null() && events.len() == case["expect"].as_array().unwrap().len();
        sleep(Duration::from_millis(500)).await; while let Ok(event) = told.try_recv() { events.push(event); }
        let closed = told.is_closed() || enough || start.elapsed().as_millis() > case["deadline_ms"].as_u64().unwrap().into();
        let post = json!({ "name": case["name"], "key": key, "events": events, "closed": closed }).to_string();
        let result: Value = from_str(&client.post(format!("{server}/cases")).body(post).send().await.unwrap().text().await.unwrap()).unwrap();
        if result["done"] == true { break result }
    }
}

#[rustfmt::skip] #[tokio::main]
async fn main() {
    let (mut arguments, run) = (std::env::args().skip(1), UNIX_EPOCH.elapsed().unwrap().as_micros());
    let (server, known) = (arguments.next().unwrap(), arguments.collect::<Vec<_>>());
    let suite: Value = from_str(&reqwest::get(format!("{server}/cases")).await.unwrap().text().await.unwrap()).unwrap();
    let playing = suite["cases"].as_array().unwrap().iter().map(|case| play(server.clone(), run, case.clone()));
    let results = playing.collect::<JoinSet<_>>().join_all().await;
    let why = |it: &Value| it["why"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let wrong = results.iter().filter(|it| it["right"] != true).map(|it| (it["name"].as_str().unwrap(), why(it))).collect::<BTreeMap<_, _>>();
    println!("right {} of {}", results.len() - wrong.len(), results.len()); for (name, why) in &wrong { println!("{name} {why}"); }
    std::process::exit(i32::from(known.len() != wrong.len() || !known.iter().all(|name| wrong.contains_key(&**name))))
}
