//! `examples/notify_redis.rs`: replicas that share their events through Redis.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sseer::event_stream::EventStream;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;

use crate::support::example::example;
use crate::support::nginx::Nginx;
use crate::support::redis::Redis;
use crate::support::reply::Reply;
use crate::support::system::Signal;
use crate::support::{Binary, Client, Serves, eventually, get, port_of_our_own};

/// The name of the stream in Redis.
const STREAM: &str = "notifications";

/// How many events a replica keeps.
const KEPT: usize = 1000;

const AWAY: &str = ": Redis is away\n";
const BACK: &str = ": Redis is back\n";

fn start_on(port: u16, redis: &str) -> Binary {
    let mut command = Command::new(example("notify_redis"));
    command.env("PORT", port.to_string());
    command.env("REDIS_URL", redis);
    Binary::spawn(command)
}

fn start(redis: &Redis) -> Binary {
    start_on(0, &redis.url())
}

/// A POST of `text` to `/notify`, with this query and these header lines.
fn post(query: &str, headers: &str, text: &str) -> String {
    let length = text.len();
    format!(
        "POST /notify{query} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{text}"
    )
}

fn post_once(query: &str, text: &str) -> String {
    post(query, "Connection: close\r\n", text)
}

/// Posts `text`, and returns the id of its event.
#[track_caller]
fn stored(server: &Binary, text: &str) -> String {
    let reply = Reply::read(server.send(post_once("", text)));
    assert_eq!(reply.status(), "200 OK");
    reply.text().trim_end().to_owned()
}

/// Posts the numbers below `count` on one connection, and returns the ids of their events.
#[track_caller]
fn post_all(server: &Binary, count: usize) -> Vec<String> {
    let mut poster = Client::connect(server.address());
    let response = |number: usize| {
        let request = post("", "", &number.to_string());
        poster.0.write_all(request.as_bytes()).unwrap();
        let head = poster.head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        poster.until("\n").trim_end().to_owned()
    };
    (0..count).map(response).collect()
}

/// A stream that resumes after the event with this id.
fn resume(server: &Binary, id: &str) -> Client {
    let mut client = server.send(format!(
        "GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {id}\r\n\r\n"
    ));
    begun(&mut client);
    client
}

/// Reads the head, and the event at the beginning.
#[track_caller]
fn begun(client: &mut Client) {
    client.head();
    assert!(chunk(client).starts_with("event: ready\nid: "));
}

fn chunk(client: &mut Client) -> String {
    String::from_utf8(client.chunk()).unwrap()
}

/// The events that one client has received: types and ids.
type Received = Arc<Mutex<Vec<(String, String)>>>;

/// Clients that reconnect whenever their connection is cut; dropping the value ends them.
struct Clients {
    _runtime: Runtime,
    received: Vec<Received>,
}

impl Clients {
    fn listen(clients: usize, url: &str) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let received: Vec<Received> = (0..clients).map(|_| Arc::default()).collect();
        for received in &received {
            runtime.spawn(persist(url.to_owned(), Arc::clone(received)));
        }
        Self {
            _runtime: runtime,
            received,
        }
    }

    /// Waits until every client has the event with this id.
    #[track_caller]
    fn wait_for(&self, id: &str) {
        eventually("every client has the event", || {
            self.received.iter().all(|received| {
                let received = received.lock().unwrap();
                received.last().is_some_and(|(_, last)| last == id)
            })
        });
    }
}

/// A client that listens from the first event on, and resumes after each cut.
async fn persist(url: String, received: Received) {
    let http = reqwest::Client::new();
    let mut id = "0-0".to_owned();
    loop {
        let request = http.get(&url).header("Last-Event-ID", &id);
        let Ok(response) = request.header("Connection", "close").send().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let mut events = EventStream::new(response.bytes_stream());
        while let Some(Ok(event)) = events.next().await {
            id = event.id.to_string();
            if event.event != "ready" {
                let event = (event.event.to_string(), id.clone());
                received.lock().unwrap().push(event);
            }
        }
    }
}

/// Posts one text after the other, until stopped.
struct Poster {
    stop: Arc<AtomicBool>,
    stored: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<String>>,
}

impl Poster {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let [stored, refused] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        let of_thread = (stop.clone(), stored.clone(), refused.clone());
        let thread = thread::spawn(move || {
            let (stop, stored, refused) = of_thread;
            let mut ids = Vec::new();
            while !stop.load(SeqCst) {
                let text = format!("{} are stored", ids.len());
                let response = Client::send(address, post_once("", &text)).rest();
                if response.starts_with("HTTP/1.1 200 ") {
                    ids.push(response.lines().last().unwrap().to_owned());
                    stored.fetch_add(1, SeqCst);
                } else {
                    // Without a response, the replica was killed during the request.
                    let refusal = response.starts_with("HTTP/1.1 503 ");
                    assert!(refusal || response.is_empty(), "{response}");
                    refused.fetch_add(usize::from(refusal), SeqCst);
                }
                thread::sleep(Duration::from_millis(10));
            }
            ids
        });
        Self {
            stop,
            stored,
            refused,
            thread,
        }
    }

    /// Waits until 20 more texts are stored.
    #[track_caller]
    fn goes_on(&self) {
        let enough = self.stored.load(SeqCst) + 20;
        eventually("posts are stored", || self.stored.load(SeqCst) >= enough);
    }

    /// Waits until a text is refused with 503.
    #[track_caller]
    fn is_refused(&self) {
        let before = self.refused.load(SeqCst);
        eventually("a post is refused", || self.refused.load(SeqCst) > before);
    }

    /// Returns the ids of all texts that the responses called stored.
    #[track_caller]
    fn stop(self) -> Vec<String> {
        self.stop.store(true, SeqCst);
        self.thread.join().expect("every response was expected")
    }
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn two_replicas_behind_nginx_lose_nothing_when_each_and_redis_are_killed() {
    const CLIENTS: usize = 50;
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let ports = [port_of_our_own(), port_of_our_own()];
    let Some(nginx) = Nginx::start(ports) else {
        return;
    };
    let url = redis.url();
    let [mut one, mut other] = ports.map(|port| start_on(port, &url));
    let clients = Clients::listen(CLIENTS, &format!("http://{}/events", nginx.address));
    eventually("both replicas have clients", || {
        one.sockets().min(other.sockets()) > CLIENTS / 3
    });
    let poster = Poster::start(nginx.address);
    let kill_and_restart = |replica: &mut Binary| {
        poster.goes_on();
        replica.signal(Signal::KILL);
        replica.wait();
        poster.goes_on();
        *replica = start_on(replica.port, &url);
        poster.goes_on();
    };
    kill_and_restart(&mut one);
    redis.kill();
    poster.is_refused();
    redis.restart();
    kill_and_restart(&mut other);

    let stored = poster.stop();
    let expected = redis.ids(STREAM);
    assert!(expected.len() < KEPT, "{} events", expected.len());
    assert!(stored.iter().all(|id| expected.contains(id)));
    clients.wait_for(expected.last().expect("events"));
    for received in &clients.received {
        let (kinds, ids): (Vec<_>, Vec<_>) = received.lock().unwrap().iter().cloned().unzip();
        assert_eq!(ids, expected);
        assert!(kinds.iter().all(|kind| kind == "message"), "{kinds:?}");
    }
}

/// Asserts that streams and posts say that Redis is away, from `end` until `begin` is called.
#[track_caller]
fn assert_away(mut redis: Redis, end: fn(&mut Redis), begin: fn(&mut Redis)) {
    let server = start(&redis);
    let mut client = resume(&server, "0-0");
    stored(&server, "before");
    client.until("data: before\n\n");

    end(&mut redis);
    let start = Instant::now();
    let reply = Reply::read(server.send(post_once("", "lost")));
    assert_eq!(
        (reply.status(), &*reply.text()),
        ("503 Service Unavailable", "Redis is away.\n")
    );
    let time = start.elapsed();
    assert!(time < Duration::from_secs(5), "{time:?}");
    client.until(AWAY);
    let mut late = resume(&server, "0-0");
    late.until(AWAY);
    late.until("data: before\n\n");

    begin(&mut redis);
    for client in [&mut client, &mut late] {
        client.until(BACK);
    }
    stored(&server, "after");
    for client in [&mut client, &mut late] {
        client.until("data: after\n\n");
    }
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn while_redis_is_away_streams_stay_open_and_say_so_and_a_post_gets_503() {
    if let Some(redis) = Redis::start() {
        assert_away(redis, Redis::kill, Redis::restart);
    }
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn a_redis_that_hangs_is_away_too() {
    if let Some(redis) = Redis::start() {
        let stop = |redis: &mut Redis| redis.signal(Signal::STOP);
        assert_away(redis, stop, |redis| redis.signal(Signal::CONT));
    }
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn a_replica_that_starts_before_redis_listens_once_redis_is_there() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    redis.kill();
    let (port, url) = (port_of_our_own(), redis.url());
    let server = thread::spawn(move || start_on(port, &url));
    redis.restart();
    let server = server.join().unwrap();
    assert_eq!(server.first, format!("http://localhost:{port}"));
    stored(&server, "first");
    assert!(chunk(&mut resume(&server, "0-0")).ends_with("\ndata: first\n\n"));
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn an_id_older_than_the_history_gets_a_gap_and_then_all_that_is_kept() {
    const POSTS: usize = KEPT + 310;
    let Some(redis) = Redis::start() else { return };
    let server = start(&redis);
    let ids = post_all(&server, POSTS);
    let trimmed = redis.ids(STREAM);
    assert!((KEPT + 1..KEPT + 200).contains(&trimmed.len()));
    assert!(ids.ends_with(&trimmed));

    let first = POSTS - KEPT;
    let event = |number: usize| format!("id: {}\ndata: {number}\n\n", ids[number]);
    let gap = format!("event: gap\nid: {}\ndata: \n\n", ids[first - 1]);
    // The first replica saw all events, the other one reads them from Redis.
    for replica in [&server, &start(&redis)] {
        for id in ["0-0", "", "x", &ids[0], &ids[first - 2]] {
            let mut client = resume(replica, id);
            assert_eq!(chunk(&mut client), gap, "{id}");
            for number in first..POSTS {
                assert_eq!(chunk(&mut client), event(number));
            }
        }
        let mut client = resume(replica, &ids[first - 1]);
        assert_eq!(chunk(&mut client), event(first));
    }
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn a_replica_that_fell_behind_by_more_than_the_history_sends_a_gap() {
    let Some(redis) = Redis::start() else { return };
    let [one, other] = [start(&redis), start(&redis)];
    let first = stored(&one, "first");
    let mut client = resume(&other, "0-0");
    assert_eq!(chunk(&mut client), format!("id: {first}\ndata: first\n\n"));
    other.signal(Signal::STOP);
    let ids = post_all(&one, KEPT + 310);
    other.signal(Signal::CONT);

    let (mut next, mut gaps) = (0, 0);
    while next < ids.len() {
        let text = chunk(&mut client);
        if text.starts_with(':') {
            continue;
        }
        let id = text.lines().find_map(|line| line.strip_prefix("id: "));
        let place = ids.iter().position(|known| Some(known.as_str()) == id);
        let place = place.expect("the id of a post");
        if text.starts_with("event: gap\n") {
            gaps += 1;
        } else {
            assert_eq!(place, next);
        }
        next = place + 1;
    }
    assert_eq!(gaps, 1);
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn an_id_that_is_newer_than_the_history_waits_for_a_newer_event() {
    let Some(redis) = Redis::start() else { return };
    let server = start(&redis);
    let before = stored(&server, "before");
    resume(&server, "0-0").until("data: before\n\n");
    let (time, _) = before.split_once('-').unwrap();
    let mut ahead = resume(&server, &format!("{time}-1"));
    let mut fresh = server.send(get("/events"));
    begun(&mut fresh);
    let id = stored(&server, "after");
    for client in [&mut ahead, &mut fresh] {
        assert_eq!(chunk(client), format!("id: {id}\ndata: after\n\n"));
    }
}

#[test]
#[ignore = "needs Redis: make test-redis"]
fn a_post_to_one_replica_names_its_event_on_the_other() {
    let Some(redis) = Redis::start() else { return };
    let [one, other] = [start(&redis), start(&redis)];
    let mut client = resume(&other, "0-0");
    let reply = Reply::read(one.send(post_once("?event=kitchen", "a\nb")));
    let id = reply.text();
    let expected = format!("id: {id}event: kitchen\ndata: a\ndata: b\n\n");
    assert_eq!(chunk(&mut client), expected);
    let reply = Reply::read(one.send(post_once("", &"x".repeat(65_537))));
    assert_eq!(
        (reply.status(), &*reply.text()),
        ("413 Payload Too Large", "Too long.\n")
    );
    let reply = Reply::read(one.send(post_once("", &"x".repeat(65_536))));
    assert_eq!(reply.status(), "200 OK");
}
