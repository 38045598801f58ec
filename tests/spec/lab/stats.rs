//! The server's own counts: `/stats`, and the counts of a server in a test.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use sse_clock::service::{Shared, respond};
use sse_clock::stats::Stats;
use sse_clock::testing;

use crate::support::reply::{Reply, come_back, encoded, frame, get, nothing};
use crate::support::{Client, Server, Serves, eventually};

fn stats(server: &Server, query: &str) -> String {
    get(server, &format!("/stats{query}")).text()
}

#[test]
fn stats_are_json_for_any_page_and_never_stored() {
    let server = Server::start();
    let reply = get(&server, "/stats");
    assert_eq!(reply.status(), "200 OK");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(reply.header("Timing-Allow-Origin"), Some("*"));
    assert_eq!(
        reply.text(),
        r#"{"open":0,"opened":0,"events":0,"closed":{"client":0,"finished":0,"shutdown":0}}"#
    );
    let head = Reply::to(&server, "HEAD /stats HTTP/1.1\r\n\r\n");
    assert_eq!((head.status(), head.bytes().len()), ("200 OK", 0));
}

#[test]
fn stats_count_every_stream_and_event() {
    let server = Server::start();
    get(&server, "/stream?interval=10&count=3");
    let (_, mut stays) = server.get("/stream?interval=60000&data=x");
    assert_eq!(stays.chunk(), b":\n\n");
    assert_eq!(stays.chunk(), b"data: x\n\n");
    let (_, mut leaves) = server.get("/stream");
    leaves.chunk();
    drop(leaves);
    eventually("the client has left", || server.stats().closed.client == 1);
    assert_eq!(
        stats(&server, ""),
        r#"{"open":1,"opened":3,"events":5,"closed":{"client":1,"finished":1,"shutdown":0}}"#
    );
}

#[test]
fn stats_of_a_key_are_those_of_its_streams() {
    let server = Server::start();
    get(&server, "/stream?count=1&key=other");
    get(&server, "/stream?interval=10&count=2&key=mine");
    come_back(&server, "/stream?interval=10&count=2&key=mine", "1");
    let json = stats(&server, "?key=mine");
    let (counts, requests) = json.split_once(r#","requests":"#).unwrap();
    assert_eq!(
        counts,
        r#"{"open":0,"opened":2,"events":4,"closed":{"client":0,"finished":2,"shutdown":0},"last_event_ids":["1"]"#
    );
    let first = r#"[{"last_event_id":null,"after_ms":null},{"last_event_id":"1","after_ms":"#;
    let after = requests
        .strip_prefix(first)
        .unwrap()
        .strip_suffix(r#"}],"redirects":0,"dropped":0}"#)
        .unwrap();
    assert!(after.parse::<u64>().unwrap() < 20_000, "{after}");
}

#[test]
fn stats_of_a_key_never_seen_are_zeros() {
    let server = Server::start();
    assert_eq!(
        stats(&server, "?key=mine"),
        r#"{"open":0,"opened":0,"events":0,"closed":{"client":0,"finished":0,"shutdown":0},"last_event_ids":[],"requests":[],"redirects":0,"dropped":0}"#
    );
}

#[test]
fn stats_take_one_key_and_nothing_else() {
    let server = Server::start();
    for (query, given) in [
        ("key=", "key: given \"\""),
        ("key=a%20b", "key: given \"a b\""),
        ("key=a&key=a", "key: given \"a\""),
        ("nope=1", "nope: given \"1\""),
    ] {
        let reply = get(&server, &format!("/stats?{query}"));
        assert_eq!(reply.status(), "400 Bad Request", "{query}");
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
        let line = format!("{given}, allowed one key: 1 to 64 of A-Z a-z 0-9 . _ -\n");
        assert_eq!(reply.text(), line);
    }
}

#[test]
fn the_last_event_ids_of_a_key_are_the_newest_hundred_in_order() {
    let server = Server::start();
    for id in 0..102 {
        come_back(&server, "/stream?status=204&key=k", &format!("id-{id}"));
    }
    let expected: Vec<_> = (2..102).map(|id| format!("id-{id}")).collect();
    assert_eq!(server.stats_of("k").last_event_ids, Some(expected));
}

#[test]
fn a_last_event_id_is_shortened_to_64_bytes_and_marked() {
    let server = Server::start();
    for id in [
        "x".repeat(63),
        "x".repeat(64),
        "x".repeat(65),
        "é".repeat(32),
        "é".repeat(33),
        format!("x{}", "é".repeat(40)),
        "🕒".repeat(17),
    ] {
        come_back(&server, "/stream?then=204&key=k", &id);
    }
    get(
        &server,
        &format!(
            "/stream?status=204&key=k&lastEventId={}",
            encoded("a\"\n\0")
        ),
    );
    assert_eq!(
        server.stats_of("k").last_event_ids.unwrap(),
        [
            "x".repeat(63),
            "x".repeat(64),
            format!("{}…", "x".repeat(61)),
            "é".repeat(32),
            format!("{}…", "é".repeat(30)),
            format!("x{}…", "é".repeat(30)),
            format!("{}…", "🕒".repeat(15)),
            "a\"\n\0".into()
        ]
    );
    assert!(stats(&server, "?key=k").contains(r#""a\"\n\u0000""#));
}

/// Opens a stream of `key`, which stays open until the returned client is dropped.
async fn open(shared: &Arc<Shared>, key: &str) -> impl Sized + use<> {
    let request = Request::get(format!("/events?key={key}"))
        .body(nothing())
        .unwrap();
    let mut body = Box::pin(respond(request, Arc::clone(shared)).await.into_body());
    assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
    body
}

fn opened(shared: &Shared, key: &str) -> u64 {
    shared.streams.stats(Some(key)).opened
}

#[tokio::test]
async fn the_oldest_key_without_an_open_stream_makes_room() {
    let shared = Arc::<Shared>::default();
    let stays = open(&shared, "0").await;
    for key in 1..1000 {
        open(&shared, &key.to_string()).await;
    }
    assert_eq!(opened(&shared, "1"), 1);
    open(&shared, "1000").await;
    assert_eq!(opened(&shared, "0"), 1, "has an open stream");
    assert_eq!(opened(&shared, "1"), 0, "made room");
    assert_eq!(opened(&shared, "2"), 1);
    assert_eq!(opened(&shared, "1000"), 1);
    drop(stays);
    open(&shared, "1001").await;
    assert_eq!(opened(&shared, "0"), 0);
    assert_eq!(opened(&shared, "2"), 1);
}

#[tokio::test]
async fn a_new_key_is_not_kept_when_all_have_an_open_stream() {
    let shared = Arc::<Shared>::default();
    let mut streams = Vec::new();
    for key in 0..1000 {
        streams.push(open(&shared, &key.to_string()).await);
    }
    let one_more = open(&shared, "1000").await;
    assert_eq!(opened(&shared, "1000"), 0);
    assert_eq!(shared.streams.stats(None).open, 1001);
    for key in 0..1000 {
        assert_eq!(opened(&shared, &key.to_string()), 1);
    }
    drop(one_more);
    assert_eq!(shared.streams.stats(None).closed.client, 1);
}

#[test]
fn a_client_that_leaves_counts_within_50_ms() {
    let server = Server::start();
    let mut times: Vec<Duration> = (1..=11)
        .map(|number| {
            let (_, mut client) = server.get("/events?interval=60000&key=k");
            assert_eq!(client.chunk(), b":\n\n");
            let left = Instant::now();
            client.0.shutdown(Shutdown::Both).unwrap();
            drop(client);
            eventually("the client has left", || {
                server.stats_of("k").closed.client == number
            });
            left.elapsed()
        })
        .collect();
    times.sort_unstable();
    assert!(times[5] < Duration::from_millis(50), "{times:?}");
}

#[test]
fn a_stream_that_ends_by_itself_is_finished_whatever_its_end() {
    let server = Server::start();
    for (number, end) in (1..).zip(["clean", "abort", "truncate"]) {
        get(
            &server,
            &format!("/stream?interval=10&count=2&end={end}&key={end}"),
        );
        eventually("it is finished", || {
            server.stats().closed.finished == number
        });
        let stats = server.stats_of(end);
        assert_eq!(
            (stats.open, stats.events, stats.closed.finished),
            (0, 2, 1),
            "{end}"
        );
    }
    assert_eq!(server.stats().closed.client, 0);
}

#[test]
fn a_stalled_stream_that_its_client_leaves_counts_as_left() {
    let server = Server::start();
    let (_, mut client) = server.get("/stream?count=1&end=stall&data=x");
    client.chunk();
    assert_eq!(client.chunk(), b"data: x\n\n");
    drop(client);
    eventually("the client has left", || server.stats().open == 0);
    assert_eq!(server.stats().closed.client, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_that_runs_to_its_end_counts_as_finished() {
    let shared = Arc::<Shared>::default();
    let request = Request::get("/stream?count=1&end=stall")
        .body(nothing())
        .unwrap();
    let mut body = Box::pin(respond(request, Arc::clone(&shared)).await.into_body());
    while frame(&mut body).await.is_some() {}
    drop(body);
    assert_eq!(shared.streams.stats(None).closed.finished, 1);
}

#[test]
fn gaps_and_halves_are_no_events() {
    let server = Server::start();
    let reply = get(
        &server,
        "/events?ids&lastEventId=0&count=1000&interval=10&end=truncate",
    );
    let events = reply.text().matches("\nid: ").count();
    assert!((1000..=1001).contains(&events), "{events}");
    assert_eq!(server.stats().events, 1000);
}

#[test]
fn streams_that_the_server_ends_by_stopping_are_counted_so() {
    let server = testing::start().unwrap();
    let url = server.url("/events?key=k");
    let streams: Vec<_> = (0..3)
        .map(|_| reqwest::blocking::get(&url).unwrap())
        .collect();
    eventually("the streams are open", || server.stats_of("k").open == 3);
    let stats: Stats = server.stop();
    assert_eq!((stats.open, stats.opened), (0, 3));
    assert_eq!(stats.closed.shutdown, 3);
    for stream in streams {
        assert_eq!(stream.text().unwrap(), ":\n\n");
    }
}

#[test]
fn another_crate_starts_the_server_and_reads_what_it_saw() {
    let server = testing::start().unwrap();
    assert!(server.address().ip().is_loopback());
    assert_eq!(server.url("/x"), format!("http://{}/x", server.address()));
    let url = server.url("/stream?interval=10&count=2&key=mine");
    reqwest::blocking::get(url).unwrap().text().unwrap();
    assert_eq!(server.stats_of("mine").closed.finished, 1);
    let other = testing::start().unwrap();
    assert_ne!(server.address(), other.address());
    assert_eq!(other.stats(), Stats::default());
    let address = server.address();
    drop(server);
    // A server of another test may get the port for a while.
    eventually("connections are refused", || {
        std::net::TcpStream::connect(address).is_err()
    });
}

/// Makes requests of `key` with ids that take the most room in JSON.
fn fill(server: &Server, key: &str) {
    let long = encoded("\u{1}".repeat(64));
    let quotes = "\"".repeat(100);
    for _ in 0..100 {
        get(
            server,
            &format!("/stream?key={key}&status=204&lastEventId={long}"),
        );
        let target = format!("/stream?key={key}&status=204");
        let ids = format!("Last-Event-ID: {quotes}\r\nLast-Event-ID: {quotes}\r\n");
        Reply::to(server, &format!("GET {target} HTTP/1.1\r\n{ids}\r\n"));
    }
}

/// The chunks of a response, joined.
fn json(client: &mut Client) -> Vec<u8> {
    let chunks = std::iter::repeat_with(|| client.chunk());
    chunks
        .take_while(|chunk| !chunk.is_empty())
        .flatten()
        .collect()
}

#[test]
fn stats_list_everything_of_a_key_in_order() {
    let server = Server::start();
    for (key, requests) in [("none", 0), ("one", 1), ("few", 3), ("many", 150)] {
        for number in 0..requests {
            let target = format!("/stream?count=1&key={key}&lastEventId={number}");
            come_back(&server, &target, &format!("\"{number}"));
        }
        let reply = get(&server, &format!("/stats?key={key}"));
        let seen = serde_json::to_string(&server.stats_of(key)).unwrap();
        assert_eq!(reply.text(), seen);
        assert!(reply.complete);
        // A response that is made at once has a Content-Length.
        let length = reply.header("Content-Length").is_some();
        assert_eq!(length, requests < 10, "{key}");
    }
    fill(&server, "full");
    let reply = get(&server, "/stats?key=full");
    let seen = serde_json::to_string(&server.stats_of("full")).unwrap();
    assert_eq!(reply.text(), seen);
    assert!(seen.len() > 40_000, "{}", seen.len());
}

#[test]
fn a_slow_reader_gets_the_complete_stats_of_a_key() {
    let server = Server::start();
    fill(&server, "full");
    let mut client = Client::connect_narrow(server.address());
    let request = "GET /stats?key=full HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n";
    client.0.write_all(request.as_bytes()).unwrap();
    client.head();
    // Half of the first part is forgotten before the client reads on.
    for _ in 0..50 {
        get(&server, "/stream?key=full&status=204&lastEventId=new");
    }
    let seen: serde_json::Value = serde_json::from_slice(&json(&mut client)).unwrap();
    for list in ["last_event_ids", "requests"] {
        let length = seen[list].as_array().unwrap().len();
        assert!((50..100).contains(&length), "{length} {list}");
    }
    // A key that is forgotten completely leaves the beginning of its list.
    let mut client = Client::connect_narrow(server.address());
    client.0.write_all(request.as_bytes()).unwrap();
    client.head();
    for other in 0..1000 {
        get(&server, &format!("/stream?key=other{other}&status=204"));
    }
    let seen: serde_json::Value = serde_json::from_slice(&json(&mut client)).unwrap();
    assert!(seen["requests"].as_array().unwrap().len() < 100);
    assert_eq!(server.stats_of("full").requests, Some(Vec::new()));
}

#[test]
fn a_slow_reader_gets_complete_stats_during_shutdown() {
    let server = Server::start();
    fill(&server, "full");
    let seen = serde_json::to_string(&server.stats_of("full")).unwrap();
    let mut client = Client::connect_narrow(server.address());
    let request = "GET /stats?key=full HTTP/1.1\r\nHost: clock\r\n\r\n";
    client.0.write_all(request.as_bytes()).unwrap();
    client.head();
    let address = server.address();
    let stopping = std::thread::spawn(move || drop(server));
    eventually("the server is stopping", || {
        std::net::TcpStream::connect(address).is_err()
    });
    assert_eq!(String::from_utf8(json(&mut client)).unwrap(), seen);
    stopping.join().unwrap();
}

#[test]
fn the_key_of_a_request_that_waits_is_not_forgotten() {
    let server = Server::start();
    let waits = server.send("GET /stream?key=waits&delay=60000 HTTP/1.1\r\nHost: clock\r\n\r\n");
    let requests = || server.stats_of("waits").requests.unwrap().len();
    eventually("it waits", || requests() == 1);
    for other in 0..1000 {
        get(&server, &format!("/stream?key=other{other}&status=204"));
    }
    assert_eq!(requests(), 1);
    drop(waits);
    let mut newer = 0;
    eventually("it is forgotten", || {
        newer += 1;
        get(&server, &format!("/stream?key=newer{newer}&status=204"));
        requests() == 0
    });
}
