//! `examples/notify.rs`, which sends what is posted to every stream.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use sseer::event_stream::EventStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use crate::support::example::example;
use crate::support::proxy::Proxy;
use crate::support::reply::{Reply, encoded};
use crate::support::system::Signal;
use crate::support::{Binary, Client, Serves, get};

/// How many events the example keeps.
const KEPT: u64 = 1000;

fn start() -> Binary {
    let mut command = Command::new(example("notify"));
    command.env("PORT", "0");
    Binary::spawn(command)
}

/// A client that posts on one connection.
struct Poster(Client);

impl Poster {
    fn of(server: &Binary) -> Self {
        Self(Client::connect(server.address()))
    }

    /// Posts `text`, and returns the number of streams that it went to.
    #[track_caller]
    fn post(&mut self, text: &str) -> usize {
        self.post_all(&[text])[0]
    }

    /// Posts all `texts` in one write.
    #[track_caller]
    fn post_all(&mut self, texts: &[&str]) -> Vec<usize> {
        let request = |text: &&str| {
            let length = text.len();
            format!("POST /notify HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{text}")
        };
        let requests: String = texts.iter().map(request).collect();
        self.0.0.write_all(requests.as_bytes()).unwrap();
        let count = |_| {
            let head = self.0.head();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            let said = self.0.until(".\n");
            let count = said
                .strip_prefix("Sent to ")
                .and_then(|it| it.strip_suffix(".\n"));
            count.expect("how many").parse().unwrap()
        };
        texts.iter().map(count).collect()
    }
}

fn post_to(server: &Binary, target: &str, text: &str) -> Reply {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
    Reply::read(server.send(request))
}

/// A stream that resumes after the event with this id.
fn resume(server: &Binary, id: &str) -> Client {
    let mut client = server.send(format!(
        "GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {id}\r\n\r\n"
    ));
    begun(&mut client);
    client
}

/// Reads the head and the event at the beginning, and returns its id.
#[track_caller]
fn begun(client: &mut Client) -> u64 {
    client.head();
    let (id, ready) = event(client);
    assert_eq!(ready, "event: ready\ndata: ");
    id
}

/// The next event of `client`: its id, and its other lines.
fn event(client: &mut Client) -> (u64, String) {
    let chunk = String::from_utf8(client.chunk()).unwrap();
    let (mut id, mut other) = (None, Vec::new());
    for line in chunk.strip_suffix("\n\n").expect("a whole event").lines() {
        match line.strip_prefix("id: ") {
            Some(digits) => id = digits.parse().ok(),
            None => other.push(line),
        }
    }
    (id.expect("an id"), other.join("\n"))
}

/// The id before the first event.
fn beginning(server: &Binary) -> u64 {
    let (id, gap) = event(&mut resume(server, "0"));
    assert_eq!(gap, "event: gap\ndata: ");
    id
}

/// The text of the event `number`, of any length, with characters of two to four bytes.
fn text(number: u64) -> String {
    let length = usize::try_from(number * 37 % 200).unwrap();
    format!("{number} {}", "é🕒".repeat(length))
}

/// A client that reconnects whenever its connection is cut, until it has `count` events; returns their
/// ids and texts.
async fn persist(url: String, mut id: u64, count: usize) -> Vec<(u64, String)> {
    let http = reqwest::Client::new();
    let mut events = Vec::new();
    while events.len() < count {
        let request = http.get(&url).header("Last-Event-ID", id);
        let Ok(response) = request.header("Connection", "close").send().await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let mut stream = EventStream::new(response.bytes_stream());
        while events.len() < count
            && let Some(Ok(event)) = stream.next().await
        {
            id = event.id.parse().expect("an id");
            if event.event != "ready" {
                assert_eq!(event.event, "message", "{event:?}");
                events.push((id, event.data.to_string()));
            }
        }
    }
    events
}

#[test]
fn two_hundred_clients_that_are_cut_at_any_byte_miss_nothing_and_get_nothing_twice() {
    const CLIENTS: usize = 200;
    const EVENTS: u64 = 300;
    let server = start();
    let before = beginning(&server);
    let proxy = Proxy::start(server.address(), 60_000, 3);
    let url = format!("http://{}/events", proxy.address);
    let clients = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let count = usize::try_from(EVENTS).unwrap();
            let clients = (0..CLIENTS).map(|_| persist(url.clone(), before, count));
            clients.collect::<JoinSet<_>>().join_all().await
        })
    });
    let mut poster = Poster::of(&server);
    for number in 0..EVENTS {
        poster.post(&text(number));
    }
    let expected: Vec<_> = (0..EVENTS).map(|it| (before + 1 + it, text(it))).collect();
    for events in clients.join().unwrap() {
        assert_eq!(events, expected);
    }
    assert!(proxy.cuts() > CLIENTS, "{} cuts", proxy.cuts());
}

#[test]
fn a_slow_client_gets_a_gap_and_costs_no_more_than_its_share() {
    const SLOW: usize = 50;
    let server = start();
    let before = beginning(&server);
    let narrow = |_| {
        let mut client = Client::connect_narrow(server.address());
        client.0.write_all(get("/events").as_bytes()).unwrap();
        begun(&mut client);
        client
    };
    let mut slow: Vec<_> = (0..SLOW).map(narrow).collect();
    let mut fast = resume(&server, &before.to_string());
    let text = "x".repeat(4000);
    let (mut poster, mut memory, mut posts) = (Poster::of(&server), 0, 0);
    while posts < KEPT + 100 {
        poster.post_all(&[text.as_str(); 100]);
        for _ in 0..100 {
            posts += 1;
            assert_eq!(event(&mut fast).0, before + posts);
        }
        if posts == 100 {
            memory = server.memory();
        }
    }
    // The history takes 4 MiB; copies for each slow client would take 200 MiB.
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < 16 << 10, "{grown} KiB");
    // To read all of them through their narrow windows would take longer than the server waits.
    for client in slow.iter_mut().take(3) {
        let mut last = before;
        let mut gaps = 0;
        while last < before + posts {
            let (id, rest) = event(client);
            if rest.starts_with("event: gap") {
                gaps += 1;
            } else {
                assert_eq!(id, last + 1);
            }
            last = id;
        }
        assert_eq!(gaps, 1);
    }
}

#[test]
fn a_signal_ends_all_streams_within_the_drain() {
    let mut server = start();
    let mut clients: Vec<_> = (0..200).map(|_| server.send(get("/events"))).collect();
    for client in &mut clients {
        begun(client);
    }
    assert_eq!(Poster::of(&server).post("last"), clients.len());
    for client in &mut clients {
        assert_eq!(event(client).1, "data: last");
    }
    let start = Instant::now();
    server.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.rest(), "0\r\n\r\n");
    }
    assert!(server.wait().success());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_id_that_is_too_old_or_not_ours_gets_a_gap_and_then_all_that_is_kept() {
    let server = start();
    let before = beginning(&server);
    let mut poster = Poster::of(&server);
    let texts: Vec<_> = (1..=KEPT + 5).map(|number| number.to_string()).collect();
    poster.post_all(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let newest = before + KEPT + 5;
    let past = newest + 1;
    for id in ["0", "", "x", &(before + 4).to_string(), &past.to_string()] {
        let mut client = resume(&server, id);
        assert_eq!(
            event(&mut client),
            (before + 5, "event: gap\ndata: ".into())
        );
        for number in 6..=KEPT + 5 {
            assert_eq!(
                event(&mut client),
                (before + number, format!("data: {number}"))
            );
        }
    }
    for last in [before + 5, newest - 1] {
        let mut client = resume(&server, &last.to_string());
        assert_eq!(event(&mut client).0, last + 1);
    }
    // Without an id, and with the newest, only what is new.
    let mut fresh = server.send(get("/events"));
    begun(&mut fresh);
    let mut up_to_date = resume(&server, &newest.to_string());
    poster.post("new");
    for client in [&mut fresh, &mut up_to_date] {
        assert_eq!(event(client), (newest + 1, "data: new".into()));
    }
}

#[test]
fn a_client_that_is_cut_before_its_first_event_misses_nothing() {
    let server = start();
    let mut client = server.send(get("/events"));
    let id = begun(&mut client);
    drop(client);
    Poster::of(&server).post("missed");
    let mut client = resume(&server, &id.to_string());
    assert_eq!(event(&mut client), (id + 1, "data: missed".into()));
}

#[test]
fn a_client_of_the_server_before_gets_a_gap() {
    let server = start();
    let before = beginning(&server);
    drop(server);
    let server = start();
    Poster::of(&server).post("new");
    let mut client = resume(&server, &(before + 1).to_string());
    let (id, gap) = event(&mut client);
    assert_eq!(gap, "event: gap\ndata: ");
    assert_eq!(event(&mut client), (id + 1, "data: new".into()));
}

#[test]
fn a_post_names_its_event_and_is_text_of_up_to_64_kib() {
    let server = start();
    // The only client, so the count is exact.
    let mut client = resume(&server, "0");
    assert_eq!(event(&mut client).1, "event: gap\ndata: ");
    let rows = [
        ("", "a\nb", "data: a\ndata: b"),
        ("?event=kitchen", "c", "event: kitchen\ndata: c"),
    ];
    let line_end = format!("?event={}", encoded("a\nb"));
    for (query, text, lines) in rows
        .into_iter()
        .chain([(&*line_end, "d", "event: ab\ndata: d")])
    {
        let reply = post_to(&server, &format!("/notify{query}"), text);
        assert_eq!(reply.text(), "Sent to 1.\n");
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(event(&mut client).1, lines);
    }
    assert_eq!(Poster::of(&server).post(&"x".repeat(65_536)), 1);
    let reply = post_to(&server, "/notify", &"x".repeat(65_537));
    assert_eq!(
        (reply.status(), &*reply.text()),
        ("413 Payload Too Large", "Too long.\n")
    );
    let reply = post_to(&server, "/events", "");
    assert_eq!(reply.status(), "404 Not Found");
    let page = Reply::read(server.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_eq!(page.header("Content-Type"), Some("text/html"));
}

#[test]
fn a_silent_stream_gets_a_comment_after_15_seconds() {
    let server = start();
    let mut client = server.send(get("/events"));
    begun(&mut client);
    let start = Instant::now();
    assert_eq!(client.chunk(), b":\n");
    let silence = start.elapsed().as_millis();
    assert!((14_500..20_000).contains(&silence), "{silence} ms");
}
