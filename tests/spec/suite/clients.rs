//! Third-party clients and a third-party parser.

use std::convert::Infallible;
use std::process::Command;

use reqwest_eventsource::{Event, EventSource};
use serde_json::Value;
use sseer::event_stream::EventStream;
use tokio::time::timeout;
use tokio_stream::StreamExt;

use crate::support::reply::{body_of, frame};
use crate::support::{DEADLINE, Server, eventually, npm};

const COUNT: usize = 10;

/// Three events per connection, so that ten need three more.
fn target(key: &str) -> String {
    format!("/events?ids&interval=20&count=3&retry=10&event=tick&data=one%0Atwo&key={key}")
}

/// The expected result in every client: events by name, id and data, across reconnects.
#[track_caller]
fn assert_read(server: &Server, key: &str, events: &[(String, String, String)]) {
    assert_eq!(events.len(), COUNT);
    let ids: Vec<u64> = events
        .iter()
        .map(|(_, id, _)| id.parse().unwrap())
        .collect();
    for (name, _, data) in events {
        assert_eq!((name.as_str(), data.as_str()), ("tick", "one\ntwo"));
    }
    assert!(
        ids.windows(2).all(|pair| pair[1] == pair[0] + 20),
        "{ids:?}"
    );
    eventually("the client has left", || server.stats_of(key).open == 0);
    let stats = server.stats_of(key);
    assert_eq!(stats.opened, 4);
    assert_eq!(
        stats.last_event_ids.unwrap(),
        [ids[2], ids[5], ids[8]].map(|id| id.to_string())
    );
}

#[tokio::test]
async fn a_rust_client_reads_events_and_reconnects_for_more() {
    let server = Server::start();
    let mut source = EventSource::get(server.url(&target("rust")));
    let mut events = Vec::new();
    let reading = async {
        while events.len() < COUNT {
            match source.next().await.expect("it goes on") {
                Ok(Event::Open) | Err(reqwest_eventsource::Error::StreamEnded) => {}
                Ok(Event::Message(event)) => events.push((event.event, event.id, event.data)),
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(DEADLINE, reading).await.expect("the events come");
    source.close();
    drop(source);
    assert_read(&server, "rust", &events);
}

#[test]
fn a_node_client_reads_events_and_reconnects_for_more() {
    let Some(folder) = npm("eventsource") else {
        return;
    };
    let server = Server::start();
    let output = Command::new("node")
        .arg(folder.join("client.js"))
        .args([&server.url(&target("node")), "tick", &COUNT.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let events: Vec<_> = lines
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            (text("type"), text("id"), text("data"))
        })
        .collect();
    assert_read(&server, "node", &events);
}

#[tokio::test(start_paused = true)]
async fn a_parser_reads_every_line_end_mark_and_split() {
    for eol in ["lf", "cr", "crlf"] {
        for bom in ["", "&bom"] {
            for split in 1..=16 {
                let shape = format!("eol={eol}{bom}&split={split}");
                let target = format!(
                    "/stream?ids&interval=10&count=3&end=truncate&retry=5&event=%C3%A9v%C3%A9nement\
                     &data=%C3%A9%0A%F0%9F%95%92%0A%0A:x&{shape}"
                );
                let mut body = body_of(&target).await;
                let mut frames = Vec::new();
                while let Some(bytes) = frame(&mut body).await {
                    assert!((1..=split).contains(&bytes.len()), "{shape}");
                    frames.push(Ok::<_, Infallible>(bytes));
                }
                let mut events = EventStream::new(tokio_stream::iter(frames));
                let mut ids = Vec::new();
                while let Some(event) = events.next().await {
                    let event = event.unwrap_or_else(|error| panic!("{shape}: {error}"));
                    assert_eq!(event.event, "événement", "{shape}");
                    assert_eq!(event.data, "é\n🕒\n\n:x", "{shape}");
                    ids.push(event.id);
                }
                assert_eq!(ids, ["0", "1", "2"], "{shape}");
            }
        }
    }
}
