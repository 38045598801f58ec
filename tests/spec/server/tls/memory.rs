//! The memory of a client that does not read over HTTP/2, per connection and per stream.

use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::support::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE,
    Peer, frame, head, narrow, settings, window,
};
use crate::support::reply::now;
use crate::support::tls::handshake_over;
use crate::support::{Binary, Serves};

/// How a client blocks the server's writes.
#[derive(Clone, Copy, Debug)]
enum Shut {
    /// The window of each stream.
    Streams,
    /// The window of the connection.
    Connection,
    /// The socket: the client does not read.
    Socket,
}

struct Stuck<'a> {
    shut: Shut,
    method: &'a str,
    path: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    /// A path that each client requests first.
    first: Option<&'a str>,
    /// DATA frames on a stream that stays open; none if the request ends the stream.
    content: Vec<&'a [u8]>,
}

fn get(shut: Shut, path: &str) -> Stuck<'_> {
    Stuck {
        shut,
        method: "GET",
        path,
        fields: Vec::new(),
        first: None,
        content: Vec::new(),
    }
}

/// The clients that pay for shared allocations, and the clients that are measured.
const FIRST: usize = 2;
const COUNT: usize = 20;
const STREAMS: u32 = 100;
const OTHERS: u32 = 28;

/// Asserts that each client costs less than 64 KiB, plus less than `most` for each stream.
async fn assert_cost(what: &str, stuck: Stuck<'_>, most: usize) {
    let server = Binary::start(&["--tls"]);
    let mut bytes = Vec::new();
    if let Some(first) = stuck.first {
        bytes.extend((0..OTHERS).flat_map(|other| frames::get(2 * other + 1, first)));
    }
    for stream in (0..STREAMS).map(|stream| 2 * (OTHERS + stream) + 1) {
        let block = head(stuck.method, stuck.path, stuck.fields.iter().copied());
        let end = if stuck.method == "GET" { END_STREAM } else { 0 };
        bytes.extend(frame(HEADERS, END_HEADERS | end, stream, block));
        for content in &stuck.content {
            bytes.extend(frame(DATA, 0, stream, content));
        }
    }
    let mut clients = Vec::new();
    let (mut before, mut peak) = (0, 0);
    for number in 0..FIRST + COUNT {
        if number == FIRST {
            sleep(Duration::from_millis(200)).await;
            before = server.memory();
        }
        let address = server.address();
        let mut client = match stuck.shut {
            Shut::Streams => Peer::connect(address, &[(INITIAL_WINDOW_SIZE, 0)]).await,
            Shut::Connection => Peer::connect(address, &[(INITIAL_WINDOW_SIZE, 1 << 30)]).await,
            Shut::Socket => {
                let open = [(INITIAL_WINDOW_SIZE, 1 << 30)];
                let mut client = Peer::connect_narrow(address, &open).await;
                client.send(window(0, 1 << 30)).await;
                client
            }
        };
        client.try_to_send(&bytes, Duration::from_secs(5)).await;
        clients.push(client);
        peak = peak.max(server.memory());
    }
    // The memory grows as long as ticks come.
    let start = Instant::now();
    let mut grown = start;
    while grown.elapsed() < Duration::from_millis(300) && start.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(10)).await;
        let now = server.memory();
        if now > peak {
            (peak, grown) = (now, Instant::now());
        }
    }
    let each = (peak - before) / COUNT;
    let stream = each.saturating_sub(64) * 1024 / usize::try_from(STREAMS).unwrap();
    println!("{what}: {each} KiB a connection, {stream} bytes a stream beyond 64 KiB");
    assert!(stream <= most, "{what}: {stream} bytes a stream");
    drop(clients);
}

#[tokio::test]
async fn a_stuck_stream_costs_less_than_8_kib_however_it_is_stuck() {
    let data = format!("/events?interval=10&data={}", "d".repeat(1024));
    let many: Vec<_> = (0..185).map(|number| format!("x{number:03}")).collect();
    let fields = || many.iter().map(|name| (name.as_str(), "")).collect();
    let origin = format!("http://{}", "o".repeat(6000));
    let fill = format!("/stream?key=k&status=204&lastEventId={}", "%01".repeat(64));
    let missed = format!("/events?ids&interval=10&lastEventId={}", now() - 9990);
    let missed_long = format!("{missed}&data={}", "d".repeat(950));
    for (what, stuck) in [
        ("ticks", get(Shut::Streams, "/events?interval=10")),
        (
            "short frames unread",
            get(Shut::Socket, "/events?interval=10"),
        ),
        ("ticks that were missed", get(Shut::Streams, &missed)),
        ("ticks that were missed unread", get(Shut::Socket, &missed)),
        (
            "long ticks that were missed",
            get(Shut::Streams, &missed_long),
        ),
        (
            "long ticks that were missed unread",
            get(Shut::Socket, &missed_long),
        ),
        ("long ticks", get(Shut::Streams, &data)),
        ("long ticks unread", get(Shut::Socket, &data)),
        (
            "events of 16 MiB",
            get(
                Shut::Connection,
                "/events?interval=10&size=16777216&eol=crlf&bom",
            ),
        ),
        (
            "events of 16 MiB unread",
            get(Shut::Socket, "/events?interval=10&size=16777216"),
        ),
        ("the page", get(Shut::Connection, "/")),
        ("the page unread", get(Shut::Socket, "/")),
        ("the page of shut streams", get(Shut::Streams, "/")),
        ("the suite", get(Shut::Streams, "/cases")),
        ("the suite unread", get(Shut::Socket, "/cases")),
        ("stats", get(Shut::Streams, "/stats")),
        ("stats unread", get(Shut::Socket, "/stats")),
        (
            "stats of a key",
            Stuck {
                first: Some(&fill),
                ..get(Shut::Streams, "/stats?key=k")
            },
        ),
        (
            "stats of a key unread",
            Stuck {
                first: Some(&fill),
                ..get(Shut::Socket, "/stats?key=k")
            },
        ),
        ("a greeting", get(Shut::Streams, "/stream?interval=10")),
        ("no route", get(Shut::Streams, "/nowhere")),
        (
            "a long origin",
            Stuck {
                fields: vec![("origin", &origin)],
                ..get(Shut::Socket, "/events?credentials&interval=10")
            },
        ),
        (
            "content that does not end",
            Stuck {
                method: "POST",
                fields: fields(),
                content: vec![&[b'z'; 300]],
                ..get(Shut::Streams, "/events?interval=10")
            },
        ),
    ] {
        assert_cost(what, stuck, 8 * 1024).await;
    }
}

#[tokio::test]
async fn a_stream_that_waits_costs_less_than_8_kib_whatever_its_request_head() {
    let many: Vec<_> = (0..185).map(|number| format!("x{number:03}")).collect();
    let fields = || many.iter().map(|name| (name.as_str(), "")).collect();
    let long = "y".repeat(7800);
    for (what, stuck) in [
        (
            "a long id and a delay",
            Stuck {
                fields: vec![("last-event-id", &long)],
                ..get(Shut::Streams, "/events?delay=60000")
            },
        ),
        (
            "a long id, a redirect and a delay",
            Stuck {
                fields: vec![("last-event-id", &long)],
                ..get(Shut::Streams, "/events?redirect=307&delay=60000")
            },
        ),
        (
            "many fields and a delay",
            Stuck {
                fields: fields(),
                ..get(Shut::Streams, "/events?delay=60000")
            },
        ),
        (
            "a long head and a delay",
            Stuck {
                fields: vec![("x", &long)],
                ..get(Shut::Streams, "/events?delay=60000")
            },
        ),
    ] {
        assert_cost(what, stuck, 8 * 1024).await;
    }
}

#[tokio::test]
async fn a_stuck_stream_costs_less_than_16_kib_with_a_wire_an_echo_many_lines_or_a_result() {
    let wire = format!("/events?interval=0&wire={}", "a".repeat(4096));
    let delayed = format!("/events?status=500&delay=60000&wire={}", "a".repeat(4096));
    let status = format!("/events?status=500&wire={}", "a".repeat(4096));
    let wire_later = format!("{wire}&delay=60000");
    let wire_redirect = format!("{wire_later}&redirect=307");
    let id = "i".repeat(3700);
    let escapes = "%0a".repeat(2500);
    let paced = format!("/events?interval=0&split=1&pace=10000&wire={escapes}");
    let many: Vec<_> = (0..185).map(|number| format!("x{number:03}")).collect();
    let fields = || many.iter().map(|name| (name.as_str(), "")).collect();
    let long = "y".repeat(7793);
    let lines = format!("/events?interval=10&data={}", "%0a".repeat(1024));
    for (what, stuck) in [
        // Each of 1,024 line ends becomes seven bytes.
        ("ticks of many lines unread", get(Shut::Socket, &lines)),
        ("a wire", get(Shut::Streams, &wire)),
        ("a wire unread", get(Shut::Socket, &wire)),
        ("a wire byte by byte", get(Shut::Streams, &paced)),
        (
            "a status with a wire and a delay",
            get(Shut::Streams, &delayed),
        ),
        ("a status with a wire", get(Shut::Streams, &status)),
        (
            "a long id, a wire and a delay",
            Stuck {
                fields: vec![("last-event-id", &id)],
                ..get(Shut::Streams, &wire_later)
            },
        ),
        (
            "a long id, an echo and a delay",
            Stuck {
                fields: vec![("last-event-id", &long)],
                ..get(Shut::Streams, "/events?echo&delay=60000")
            },
        ),
        (
            "a redirect of a wire and a delay",
            Stuck {
                fields: vec![("last-event-id", &id)],
                ..get(Shut::Streams, &wire_redirect)
            },
        ),
        ("a status with a wire unread", get(Shut::Socket, &status)),
        (
            "an echo of a long head",
            Stuck {
                fields: vec![("x-test-x", &long)],
                ..get(Shut::Streams, "/events?echo&interval=10")
            },
        ),
        (
            "an echo of many fields",
            Stuck {
                fields: fields(),
                ..get(Shut::Socket, "/events?echo&interval=10")
            },
        ),
        (
            "an echo of content that does not end",
            Stuck {
                method: "POST",
                fields: fields(),
                content: vec![&[b'z'; 600]],
                ..get(Shut::Streams, "/events?echo&interval=10")
            },
        ),
        // Content that waits keeps the buffer in which it came.
        (
            "a result that does not end",
            Stuck {
                method: "POST",
                fields: fields(),
                content: vec![&[b' '; 600]],
                ..get(Shut::Streams, "/cases")
            },
        ),
    ] {
        assert_cost(what, stuck, 16 * 1024).await;
    }
}

#[tokio::test]
async fn a_connection_without_streams_costs_less_than_64_kib() {
    // A ClientHello of 64 KiB without its last bytes: records of 16 KiB, then the rest.
    let hello = [b"\x01\x00\xff\xf0", &vec![0; 0xfff0][..]].concat();
    let mut half_a_hello = Vec::new();
    for part in hello[..65_000].chunks(16_384) {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        half_a_hello.extend([b"\x16\x03\x01", &length[..], part].concat());
    }
    let start = [PREFACE, &settings(&[])].concat();
    let half_a_head = frame(HEADERS, END_STREAM, 1, head("GET", "/", [("x", "y")]));
    let mut continued = half_a_head.clone();
    let field = frames::fields([("x-more", "z".repeat(1000).as_str())]);
    for _ in 0..4 {
        continued.extend(frame(CONTINUATION, 0, 1, field.repeat(3)));
    }
    let mut half_a_frame = frame(DATA, 0, 1, [0; 16_384]);
    half_a_frame.pop();
    for (what, protocol, bytes) in [
        (
            "half a long ClientHello",
            None,
            half_a_hello[..32_000].to_vec(),
        ),
        ("half a ClientHello of 64 KiB", None, half_a_hello),
        (
            "half a head",
            Some("h2"),
            [&start[..], &half_a_head].concat(),
        ),
        (
            "more of a head",
            Some("h2"),
            [&start[..], &continued].concat(),
        ),
        (
            "half a frame",
            Some("h2"),
            [&start[..], &half_a_frame].concat(),
        ),
    ] {
        let each = cost_of_what_is_sent(protocol, &bytes).await;
        println!("{what}: {each} KiB a connection");
        assert!(each <= 64, "{what}: {each} KiB a connection");
    }
}

/// rustls holds a record of 16 KiB twice, encrypted and decrypted.
#[tokio::test]
async fn a_connection_that_lets_requests_pile_up_costs_less_than_100_kib() {
    let pings = frame(PING, 0, 0, [0; 8]).repeat(10_000);
    let pings = [PREFACE, &settings(&[]), &pings].concat();
    let heads = crate::support::get("/").repeat(4000).into_bytes();
    for (what, protocol, bytes) in [
        ("pings unread", Some("h2"), pings),
        ("pages of HTTP/1.1 unread", Some("http/1.1"), heads),
    ] {
        let each = cost_of_what_is_sent(protocol, &bytes).await;
        println!("{what}: {each} KiB a connection");
        assert!(each <= 100, "{what}: {each} KiB a connection");
    }
}

/// The memory in KiB of each connection that sends `bytes` and reads nothing. With a `protocol`,
/// a TLS handshake comes first.
async fn cost_of_what_is_sent(protocol: Option<&str>, bytes: &[u8]) -> usize {
    const COUNT: usize = 40;
    let server = Binary::start(&["--tls"]);
    let mut first = Peer::connect(server.address(), &[]).await;
    first.send(frames::get(1, "/")).await;
    first.until(HEADERS, 1).await;
    let before = server.memory();
    let mut clients: Vec<Box<dyn AsyncWrite + Unpin>> = Vec::new();
    for _ in 0..COUNT {
        let io = narrow(server.address());
        let mut client: Box<dyn AsyncWrite + Unpin> = match protocol {
            Some(protocol) => Box::new(handshake_over(io, protocol).await),
            None => Box::new(io),
        };
        let sending = client.write_all(bytes);
        let _ = timeout(Duration::from_millis(30), sending).await;
        clients.push(client);
    }
    let (start, mut peak) = (Instant::now(), before);
    while start.elapsed() < Duration::from_millis(300) {
        peak = peak.max(server.memory());
        sleep(Duration::from_millis(10)).await;
    }
    (peak - before) / COUNT
}
