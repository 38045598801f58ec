//! The two streams, their bytes and their timing.

use std::convert::Infallible;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sse_clock::service::{Shared, respond};
use sse_clock::stream::interval::{Interval, Source, set_interval};
use sse_clock::stream::time;
use sseer::event_stream::EventStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, advance, sleep, timeout};
use tokio_stream::StreamExt;

use crate::support::node::{greeting, is_time};
use crate::support::{Binary, Client, Server, Serves, there_is};

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn time_of(event: &[u8]) -> String {
    let event = str::from_utf8(event).expect("ASCII");
    let time = event.strip_prefix("data: ").expect("a data field");
    let time = time.strip_suffix("\n\n").expect("one event");
    assert!(is_time(time), "{event:?}");
    time.to_owned()
}

/// The handler without a server over a pipe in memory, on a clock that advances when all tasks
/// wait.
struct Pipe(DuplexStream);

impl Pipe {
    async fn request(shared: &Arc<Shared>, method: &str, path: &str) -> Self {
        let (mut client, server) = duplex(64 * 1024);
        let shared = Arc::clone(shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async { Ok::<_, Infallible>(respond(request, shared).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        let request = format!("{method} {path} HTTP/1.1\r\nHost: clock\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut pipe = Self(client);
        let head = pipe.until(b"\r\n\r\n").await;
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
        pipe
    }

    async fn get(path: &str) -> Self {
        Self::request(&Arc::default(), "GET", path).await
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.push(self.0.read_u8().await.expect("the stream goes on"));
        }
        bytes
    }

    async fn chunk(&mut self) -> Vec<u8> {
        let size = self.until(b"\r\n").await;
        let size = str::from_utf8(&size).unwrap().trim_end();
        let mut content = vec![0; usize::from_str_radix(size, 16).expect("a chunk size")];
        self.0.read_exact(&mut content).await.unwrap();
        assert_eq!(self.until(b"\r\n").await, b"\r\n");
        content
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_comes_every_second_and_first_after_one() {
    let start = Instant::now();
    let mut pipe = Pipe::get("/events").await;
    assert!(start.elapsed() < SECOND / 100, "the head leaves at once");
    for second in 1..=60 {
        time_of(&pipe.chunk().await);
        assert_eq!(
            start.elapsed().as_millis() / 10,
            second * 100,
            "second {second}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_greeting_comes_at_once_and_then_every_second() {
    let start = Instant::now();
    let mut pipe = Pipe::get("/stream").await;
    for number in 0..60_u64 {
        assert_eq!(pipe.chunk().await, greeting(number));
        assert_eq!(start.elapsed().as_millis() / 10, u128::from(number) * 100);
    }
}

#[tokio::test(start_paused = true)]
async fn all_clients_share_one_count_of_greetings() {
    let shared = Arc::default();
    let mut a = Pipe::request(&shared, "GET", "/stream").await;
    assert_eq!(a.chunk().await, greeting(0));
    sleep(SECOND / 2).await;
    let mut b = Pipe::request(&shared, "GET", "/stream").await;
    assert_eq!(b.chunk().await, greeting(1));
    assert_eq!(a.chunk().await, greeting(2));
    assert_eq!(b.chunk().await, greeting(3));
    drop(a);
    assert_eq!(
        b.chunk().await,
        greeting(4),
        "A took no number after it left"
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_request_takes_no_greeting_and_opens_no_stream() {
    let shared = Arc::default();
    let mut head = Pipe::request(&shared, "HEAD", "/stream").await;
    let more = timeout(SECOND * 5, head.0.read_u8()).await;
    assert!(more.is_err(), "nothing follows, and the connection is kept");
    assert_eq!(
        Arc::strong_count(&shared),
        2,
        "the test's and the connection's"
    );
    let mut get = Pipe::request(&shared, "GET", "/stream").await;
    assert_eq!(get.chunk().await, greeting(0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_skips_what_it_missed() {
    let start = Instant::now();
    let (mut client, server) = duplex(64);
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(respond(request, Arc::default()).await) });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let request = b"GET /stream HTTP/1.1\r\nHost: clock\r\n\r\n";
    client.write_all(request).await.unwrap();
    sleep(SECOND * 3600).await;
    let mut pipe = Pipe(client);
    pipe.until(b"\r\n\r\n").await;
    let mut waiting = 0;
    while pipe.chunk().await != *b"" && start.elapsed() < SECOND * 3601 {
        waiting += 1;
    }
    assert!(waiting < 20, "{waiting} events waited for an hour");
}

#[tokio::test(start_paused = true)]
async fn a_parser_that_is_not_ours_reads_ten_events_of_each_stream() {
    for path in ["/events", "/stream"] {
        let mut pipe = Pipe::get(path).await;
        let mut bytes = Vec::new();
        for _ in 0..10 {
            bytes.extend(pipe.chunk().await);
        }
        // Pieces that end in the middle of fields and line ends.
        let pieces = bytes.chunks(7).map(Bytes::copy_from_slice);
        let pieces: Vec<_> = pieces.map(Ok::<_, Infallible>).collect();
        let mut parsed = EventStream::new(tokio_stream::iter(pieces));
        let mut events = Vec::new();
        while let Some(event) = parsed.next().await {
            let event = event.expect("well-formed");
            assert_eq!((&*event.event, &*event.id), ("message", ""));
            events.push(event.data.to_string());
        }
        assert_eq!(events.len(), 10, "{path}");
        for (number, data) in events.iter().enumerate() {
            match path {
                "/events" => assert!(is_time(data), "{data:?}"),
                _ => assert_eq!(
                    *data,
                    format!("hello from server sent events ---- [{number}]")
                ),
            }
        }
    }
}

fn every_second() -> Interval {
    set_interval(1000, Source::Time(time::now), |_| Bytes::new())
}

#[tokio::test(start_paused = true)]
async fn the_first_tick_comes_one_interval_after_the_first_poll() {
    let mut ticks = std::pin::pin!(every_second());
    advance(SECOND * 10).await;
    let start = Instant::now();
    ticks.next().await;
    assert_eq!(start.elapsed(), SECOND);
    let mut ticks = std::pin::pin!(every_second().at_once());
    advance(SECOND * 10).await;
    let start = Instant::now();
    ticks.next().await;
    assert!(start.elapsed() < SECOND / 100);
    ticks.next().await;
    assert_eq!(start.elapsed().as_millis() / 10, 100);
}

#[tokio::test(start_paused = true)]
async fn ticks_stay_on_schedule_however_late_they_are_polled() {
    let start = Instant::now();
    let mut ticks = std::pin::pin!(every_second());
    for second in 1..=1000 {
        ticks.next().await;
        assert_eq!(start.elapsed().as_secs(), second);
        assert!(start.elapsed().subsec_millis() < 310);
        advance(Duration::from_millis(300)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_skipped_and_never_come_in_a_burst() {
    let start = Instant::now();
    let mut ticks = std::pin::pin!(every_second());
    ticks.next().await;
    advance(Duration::from_millis(3_500)).await;
    ticks.next().await;
    assert_eq!(
        start.elapsed().as_millis() / 10,
        450,
        "the late one at once"
    );
    ticks.next().await;
    assert_eq!(
        start.elapsed().as_millis() / 10,
        500,
        "the next on the second"
    );
    ticks.next().await;
    assert_eq!(start.elapsed().as_millis() / 10, 600);
}

#[test]
fn the_response_head_arrives_before_the_first_event() {
    let server = Server::start();
    let start = std::time::Instant::now();
    let (_, mut client) = server.get("/events");
    let head = std::time::Instant::now();
    time_of(&client.chunk());
    assert!(start.elapsed() >= Duration::from_millis(990));
    let between = head.elapsed();
    assert!(between > SECOND / 10, "{between:?} after the head");
}

#[test]
fn one_event_is_one_chunk_in_one_write() {
    let server = Server::start();
    for path in ["/events", "/stream"] {
        let (_, mut client) = server.get(path);
        client.chunk();
        for _ in 0..2 {
            let mut buffer = [0; 4096];
            let length = client.0.read(&mut buffer).unwrap();
            let write = str::from_utf8(&buffer[..length]).unwrap();
            let (size, event) = write.split_once("\r\n").unwrap();
            let event = event.strip_suffix("\r\n").expect("the whole chunk");
            assert_eq!(usize::from_str_radix(size, 16).unwrap(), event.len());
            assert!(event.starts_with("data: ") && event.ends_with("\n\n"));
            assert_eq!(event.matches("data: ").count(), 1, "{write:?}");
        }
    }
}

/// The output of date(1) for the times from second `from` to second `to`.
fn dates(zone: &str, from: u64, to: u64) -> Vec<String> {
    let date = |second| {
        let output = Command::new("date")
            .env("TZ", zone)
            .env("LC_ALL", "C")
            .args(["-d", &format!("@{second}"), "+%-I:%M:%S %p"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    (from..=to).map(date).collect()
}

fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn the_time_is_local_to_the_zone_of_tz_and_utc_where_there_is_none() {
    let servers = [
        ("America/New_York", "America/New_York"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("Pacific/Chatham", "Pacific/Chatham"),
        ("Nowhere/Nothing", "UTC"),
        ("", "UTC"),
    ]
    .map(|(tz, zone)| {
        let mut command = Binary::command();
        command.env("TZ", tz).args(["--port", "0"]);
        (Binary::spawn(command), tz, zone)
    });
    let from = unix_time();
    let clients = servers.map(|(server, tz, zone)| {
        let request = "GET /events HTTP/1.1\r\nHost: clock\r\n\r\n";
        let mut client = Client::send(server.address(), request);
        client.head();
        (server, client, tz, zone)
    });
    for (_server, mut client, tz, zone) in clients {
        let time = time_of(&client.chunk());
        let expected = dates(zone, from, unix_time());
        assert!(expected.contains(&time), "TZ={tz}: {time}, {expected:?}");
    }
}

struct Curl(Child);

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn curl(arguments: &[&str], url: &str, length: usize) -> Vec<u8> {
    let mut command = Command::new("curl");
    command
        .args(arguments)
        .args(["-sN", "--max-time", "20", url]);
    let mut curl = Curl(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut bytes = vec![0; length];
    let mut stdout = curl.0.stdout.take().unwrap();
    stdout.read_exact(&mut bytes).expect("the bytes come");
    bytes
}

#[test]
fn curl_receives_the_same_bytes() {
    if !there_is("curl") {
        return;
    }
    for version in ["--http1.1", "--http1.0", "--no-keepalive", "--compressed"] {
        let server = Server::start();
        let expected = [greeting(0), greeting(1)].concat();
        let received = curl(&[version], &server.url("/stream"), expected.len());
        assert_eq!(received, expected, "{version}");
    }
    let server = Server::start();
    let received = curl(&[], &server.url("/events"), "data: 1:00:00 AM\n\n".len());
    let received = String::from_utf8(received).unwrap();
    assert!(received.starts_with("data: "), "{received}");
    assert!(is_time(received["data: ".len()..].trim_end()), "{received}");
}

#[test]
fn a_text_is_shared_within_its_second_and_by_its_writer_only() {
    let text = |at: u64| time::once_a_second(at, |at| format!("written at {at}"));
    let first = text(5_000);
    assert_eq!(first.as_ptr(), text(5_999).as_ptr());
    assert_eq!(text(6_000), "written at 6000");
    assert_eq!(
        time::once_a_second(6_000, |at| format!("other at {at}")),
        "other at 6000"
    );
    assert_eq!(text(5_001), "written at 5001");
}
