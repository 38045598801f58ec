//! The limits over TLS and HTTP/2: time, streams, request head and connections. Also bytes that are
//! neither TLS nor HTTP/2.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use longhaul::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, PING, PREFACE, Peer, RST_STREAM, SETTINGS, frame, get, head, reset,
    settings, window,
};
use crate::support::tls::{self, handshake, handshake_over, http2, try_handshake};
use crate::support::{Binary, DEADLINE, Random, Server, Serves};

/// The first half of a TLS 1.3 handshake.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half of it";

/// A whole `ClientHello` of TLS 1.2 only.
fn hello_of_tls_1_2() -> Vec<u8> {
    let suites = b"\x00\x02\xc0\x2f";
    let groups = b"\x00\x0a\x00\x04\x00\x02\x00\x1d";
    let algorithms = b"\x00\x0d\x00\x04\x00\x02\x04\x03";
    let extensions = [&groups[..], algorithms].concat();
    let length = u8::try_from(extensions.len()).unwrap();
    let body = [
        b"\x03\x03",
        &[7; 32][..],
        b"\x00",
        suites,
        b"\x01\x00",
        &[0, length],
        &extensions,
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [b"\x01\x00\x00", &[length][..], &body].concat();
    [b"\x16\x03\x01\x00", &[length + 4][..], &hello].concat()
}

/// Reads to the end of the connection, orderly or not.
async fn rest(mut io: impl AsyncReadExt + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = async { drop(io.read_to_end(&mut bytes).await) };
    timeout(DEADLINE, reading).await.expect("it ends");
    bytes
}

#[tokio::test]
async fn a_handshake_the_preface_and_the_first_request_share_one_deadline() {
    let head_timeout = Duration::from_secs(3);
    let mut limits = Limits::default();
    limits.head_timeout = head_timeout;
    let server = Server::start_tls_with(limits);
    // Late, but in time: with a separate time limit the end would come far later.
    let begin = async || {
        let io = TcpStream::connect(server.address()).await.unwrap();
        sleep(head_timeout * 5 / 6).await;
        io
    };
    let start = Instant::now();
    let ended = async |what: &str| {
        let time = start.elapsed();
        assert!(time >= head_timeout, "{what}: ended after {time:?}");
        let most = head_timeout * 10 / 6;
        assert!(time < most, "{what}: ended after {time:?}");
    };
    tokio::join!(
        async {
            rest(begin().await).await;
            ended("silence").await;
        },
        async {
            let mut io = begin().await;
            io.write_all(HALF_A_HELLO).await.unwrap();
            rest(io).await;
            ended("half a handshake").await;
        },
        async {
            rest(handshake_over(begin().await, "h2").await).await;
            ended("no preface").await;
        },
        async {
            let mut io = handshake_over(begin().await, "h2").await;
            io.write_all(&PREFACE[..10]).await.unwrap();
            rest(io).await;
            ended("half a preface").await;
        },
        async {
            let mut io = handshake_over(begin().await, "h2").await;
            let half = frame(HEADERS, END_STREAM, 1, head("GET", "/events", []));
            let bytes = [PREFACE, &settings(&[]), &half].concat();
            io.write_all(&bytes).await.unwrap();
            rest(io).await;
            ended("half a head").await;
        },
        async {
            let mut io = handshake_over(begin().await, "h2").await;
            let mut bytes = [PREFACE, &settings(&[])].concat();
            while io.write_all(&bytes).await.is_ok() {
                bytes = frame(PING, 0, 0, [0; 8]);
                let _ = timeout(Duration::from_millis(50), io.read(&mut [0; 4096])).await;
                sleep(Duration::from_millis(10)).await;
            }
            ended("pings and no request").await;
        },
        async {
            rest(handshake_over(begin().await, "http/1.1").await).await;
            ended("no head of HTTP/1.1").await;
        },
        async {
            let mut io = handshake_over(begin().await, "http/1.1").await;
            io.write_all(b"GET / HTTP/1.1\r\nHost: cl").await.unwrap();
            rest(io).await;
            ended("half a head of HTTP/1.1").await;
        },
    );
}

#[tokio::test]
async fn a_connection_is_closed_the_head_timeout_after_its_last_stream() {
    let head_timeout = Duration::from_secs(1);
    let mut limits = Limits::default();
    limits.head_timeout = head_timeout;
    let server = Server::start_tls_with(limits);
    let over_http2 = async {
        let mut peer = Peer::connect(server.address(), &[]).await;
        // Longer than the head timeout, without a request.
        peer.send(get(1, "/events?interval=300&count=6")).await;
        for _ in 0..6 {
            peer.until(DATA, 1).await;
        }
        let start = Instant::now();
        while let Some(frame) = peer.next().await {
            if frame.kind == GOAWAY {
                break;
            }
            // Neither is a request.
            sleep(Duration::from_millis(20)).await;
            let _ = peer.try_to_send(frame_of_ping(), DEADLINE).await;
        }
        peer.rest().await;
        start.elapsed()
    };
    let over_http1 = async {
        let mut io = handshake(server.address(), "http/1.1").await;
        let request = "GET /events?interval=300&count=6 HTTP/1.1\r\nHost: clock\r\n\r\n";
        io.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"0\r\n\r\n") {
            bytes.push(io.read_u8().await.expect("it goes on"));
        }
        let start = Instant::now();
        rest(io).await;
        start.elapsed()
    };
    let (by_http2, by_http1) = tokio::join!(over_http2, over_http1);
    for (what, time) in [("HTTP/2", by_http2), ("HTTP/1.1", by_http1)] {
        let times = head_timeout.mul_f32(0.8)..head_timeout * 3;
        assert!(times.contains(&time), "{what}: closed after {time:?}");
    }
}

fn frame_of_ping() -> Vec<u8> {
    frame(PING, 0, 0, [0; 8])
}

#[tokio::test]
async fn a_request_that_crosses_the_close_of_its_idle_connection_gets_its_whole_response() {
    let mut limits = Limits::default();
    limits.head_timeout = Duration::from_millis(300);
    let server = Server::start_tls_with(limits);
    let mut peer = Peer::connect(server.address(), &[]).await;
    peer.until(GOAWAY, 0).await;
    // The server does not acknowledge the ping in the same packet, as if the ping came earlier.
    peer.send(get(1, "/events?interval=20&count=75")).await;
    let frames = peer.rest().await;
    let ticks = frames
        .iter()
        .filter(|frame| frame.payload.starts_with(b"data"));
    assert_eq!(ticks.count(), 75);
    let ends = |frame: &Frame| frame.kind == DATA && frame.flags & END_STREAM != 0;
    assert!(frames.iter().any(ends), "{frames:?}");
}

/// Short time limits, within which a stream can get stuck.
fn hasty(stuck_timeout: Duration) -> Limits {
    let mut limits = Limits::default();
    limits.stuck_timeout = stuck_timeout;
    limits.head_timeout = Duration::from_millis(500);
    limits
}

#[tokio::test]
async fn a_stream_with_a_closed_window_is_reset_and_no_other() {
    let stuck_timeout = Duration::from_secs(1);
    let server = Server::start_tls_with(hasty(stuck_timeout));
    let mut peer = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let start = Instant::now();
    peer.send(get(1, "/events?interval=10&key=shut")).await;
    peer.send(get(3, "/events?interval=10&key=open")).await;
    // The stream has nothing to send after its first comment.
    peer.send(get(5, "/events?interval=60000&key=quiet")).await;
    peer.send([window(3, 1 << 20), window(5, 100)].concat())
        .await;
    peer.until(RST_STREAM, 1).await;
    let time = start.elapsed();
    assert!(time >= stuck_timeout, "reset after {time:?}");
    assert!(time < 4 * stuck_timeout, "reset after {time:?}");
    for _ in 0..50 {
        peer.until(DATA, 3).await;
    }
    assert_eq!(server.stats_of("shut").open, 0);
    assert_eq!(server.stats_of("open").open, 1);
    assert_eq!(server.stats_of("quiet").open, 1);
}

#[tokio::test]
async fn a_window_that_opens_little_by_little_keeps_its_stream() {
    let stuck_timeout = Duration::from_secs(1);
    let server = Server::start_tls_with(hasty(stuck_timeout));
    let mut peer = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    peer.send(get(1, "/events?interval=10&size=10000")).await;
    let start = Instant::now();
    while start.elapsed() < 3 * stuck_timeout {
        peer.send(window(1, 1)).await;
        let byte = peer.until(DATA, 1).await;
        assert_eq!(byte.payload.len(), 1);
        sleep(stuck_timeout / 5).await;
    }
    peer.until(RST_STREAM, 1).await;
}

#[tokio::test]
async fn a_connection_with_a_closed_window_or_no_reader_loses_its_streams_and_its_permit() {
    let mut limits = hasty(Duration::from_secs(1));
    limits.max_connections = 1;
    let server = Server::start_tls_with(limits);
    let open = [(INITIAL_WINDOW_SIZE, 1 << 30)];
    let mut peer = Peer::connect(server.address(), &open).await;
    for stream in [1, 3, 5] {
        peer.send(get(stream, "/events?interval=10&size=100000"))
            .await;
    }
    let frames = peer.rest().await;
    let sent: usize = frames
        .iter()
        .filter(|frame| frame.kind == DATA)
        .map(|frame| frame.payload.len())
        .sum();
    assert_eq!(sent, 65_535);
    for stream in [1, 3, 5] {
        let is_reset = |it: &&Frame| (it.kind, it.stream) == (RST_STREAM, stream);
        assert!(frames.iter().any(|it| is_reset(&it)), "{stream}");
    }

    let mut peer = Peer::connect_narrow(server.address(), &open).await;
    peer.send(window(0, 1 << 30)).await;
    peer.send(get(1, "/events?interval=10&size=1000000")).await;
    // The connection is accepted once the other one has closed.
    let mut next = timeout(DEADLINE, Peer::connect(server.address(), &[]))
        .await
        .expect("the place is free");
    next.send(get(1, "/")).await;
    next.until(HEADERS, 1).await;
    drop(peer);
}

#[tokio::test]
async fn the_129th_stream_of_a_connection_gets_refused_stream_and_nothing_else_is_harmed() {
    let server = Server::start_tls();
    let mut peer = Peer::connect(server.address(), &[]).await;
    let announced = peer.until(SETTINGS, 0).await.payload;
    let announced: Vec<_> = announced
        .chunks(6)
        .filter(|one| one[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes())
        .map(|one| u32::from_be_bytes(one[2..].try_into().unwrap()))
        .collect();
    assert_eq!(announced, [128]);
    let stream = |number: u32| 2 * number - 1;
    for number in 1..=128 {
        peer.send(get(stream(number), "/events?interval=100&key=many"))
            .await;
    }
    peer.send(get(stream(129), "/events?interval=100")).await;
    let refused = peer.until(RST_STREAM, stream(129)).await;
    let reason = u32::from_be_bytes(refused.payload.try_into().unwrap());
    assert_eq!(Reason::from(reason), Reason::REFUSED_STREAM);
    for number in 1..=128 {
        peer.until(DATA, stream(number)).await;
    }
    assert_eq!(server.stats_of("many").open, 128);
    peer.send(reset(stream(1))).await;
    peer.send(get(stream(130), "/events?interval=100")).await;
    peer.until(DATA, stream(130)).await;
    peer.until(DATA, stream(2)).await;
}

/// A GET with a request head of `length` as HTTP/2 counts, each field with 32 bytes more (RFC 9113
/// section 6.5.2). The head has `fields` more than the required ones.
fn get_of(length: usize, fields: usize) -> http::Request<()> {
    let mut request = tls::get("/");
    let own = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "clock"),
        (":path", "/"),
    ];
    let own = own.map(|(name, value)| name.len() + value.len() + 32);
    let mut left = length - own.iter().sum::<usize>();
    for number in 0..fields {
        let name: http::HeaderName = format!("x{number:03}").parse().unwrap();
        let around = name.as_str().len() + 32;
        let room = left / (fields - number) - around;
        left -= around + room;
        let value = "y".repeat(room).parse().unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

#[tokio::test]
async fn a_request_head_over_8_kib_is_431_and_any_number_of_fields_is_not() {
    let server = Server::start_tls();
    let mut requests = http2(server.address()).await;
    let (_, mut canary) = stream_of(&mut requests, "/events?interval=50").await;
    for (length, fields, status) in [
        (8191, 1, 200),
        (8193, 1, 431),
        (8191, 200, 200),
        (8193, 200, 431),
        (30_000, 1, 431),
        (30_000, 500, 431),
    ] {
        let mut requests = requests.clone().ready().await.unwrap();
        let (response, _) = requests.send_request(get_of(length, fields), true).unwrap();
        let is = response.await.unwrap().status();
        assert_eq!(is, status, "{length} bytes in {fields} fields");
    }
    tick(&mut canary).await;
    // Above 4 times the limit the server may end the connection, but no other one.
    for (length, fields) in [(40_000, 1), (40_000, 800), (1 << 20, 1)] {
        let mut doomed = http2(server.address()).await;
        let (response, _) = doomed.send_request(get_of(length, fields), true).unwrap();
        if let Ok(response) = timeout(DEADLINE, response).await.expect("an end") {
            assert_eq!(response.status(), 431, "{length} bytes in {fields} fields");
        }
    }
    tick(&mut canary).await;
}

/// The response head for a GET of `path`, and the body.
async fn stream_of(
    requests: &mut SendRequest<Bytes>,
    path: &str,
) -> (http::response::Parts, RecvStream) {
    let (response, _) = requests.send_request(tls::get(path), true).unwrap();
    timeout(DEADLINE, response)
        .await
        .expect("a head")
        .expect("a head")
        .into_parts()
}

/// Reads the next event of a stream.
async fn tick(body: &mut RecvStream) {
    let data = timeout(DEADLINE, body.data()).await.expect("a tick");
    let data = data.expect("it goes on").expect("it goes on");
    body.flow_control().release_capacity(data.len()).unwrap();
}

#[tokio::test]
async fn at_the_cap_clients_wait_and_a_permit_is_free_after_the_last_stream() {
    let mut limits = Limits::default();
    limits.max_connections = 1;
    let server = Server::start_tls_with(limits);
    let mut first = http2(server.address()).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(stream_of(&mut first, "/events?interval=20").await.1);
    }
    let mut second = tokio::spawn(http2(server.address()));
    for _ in 0..20 {
        for body in &mut bodies {
            tick(body).await;
        }
    }
    // Two of three streams, or only the handle, keep no connection.
    bodies.truncate(1);
    tick(&mut bodies[0]).await;
    assert!(!second.is_finished(), "two connections in one place");
    drop((first, bodies));
    let mut second = timeout(DEADLINE, &mut second).await.unwrap().unwrap();
    let (head, mut body) = stream_of(&mut second, "/events?interval=20").await;
    assert_eq!(head.status, 200);
    tick(&mut body).await;
    assert_eq!(server.stats().open, 1);
}

#[tokio::test]
async fn garbage_is_rejected_without_a_line_in_the_log() {
    let server = Binary::start(&["--tls"]);
    let mut random = Random(0x5eed);
    let mut noise = |length| -> Vec<u8> { (0..length).map(|_| random.byte()).collect() };
    let hello = hello_of_tls_1_2();
    let of_handshake = [b"\x16\x03\x01\x02\x00", &noise(512)[..]].concat();
    let huge = [b"\x16\x03\x01\xff\xff", &noise(1 << 17)[..]].concat();
    for bytes in [
        &hello,
        &of_handshake,
        &huge,
        &noise(1000),
        &b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        &PREFACE.to_vec(),
        &b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
    ] {
        let mut io = TcpStream::connect(server.address()).await.unwrap();
        let _ = io.write_all(bytes).await;
        let _ = io.shutdown().await;
        let response = rest(io).await;
        let is_alert = response.starts_with(b"\x15\x03");
        let is_400 = response.starts_with(b"HTTP/1.1 400 ");
        assert!(
            response.is_empty() || is_alert || is_400,
            "{:?}",
            String::from_utf8_lossy(&response)
        );
    }
    // 70 is the alert for an unsupported protocol version (RFC 8446 section 6).
    let mut io = TcpStream::connect(server.address()).await.unwrap();
    io.write_all(&hello).await.unwrap();
    assert_eq!(rest(io).await, b"\x15\x03\x03\x00\x02\x02\x46");

    for protocol in ["spdy/3", "h2c", "http/2"] {
        let io = TcpStream::connect(server.address()).await.unwrap();
        let refused = try_handshake(io, protocol).await.unwrap_err();
        let reason = refused.to_string();
        assert!(reason.contains("NoApplicationProtocol"), "{reason}");
    }
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: clock\r\n\r\n".to_vec(),
        noise(1000),
        [PREFACE, &noise(1000)[..]].concat(),
        [PREFACE, &settings(&[]), &get(2, "/")].concat(),
        // An acknowledgement of a ping that was never sent.
        [
            PREFACE,
            &settings(&[]),
            &frame(PING, 1, 0, [7; 8]),
            &reset(1),
        ]
        .concat(),
    ] {
        let mut io = handshake(server.address(), "h2").await;
        let _ = io.write_all(&bytes).await;
        let _ = io.shutdown().await;
        let frames = Peer(io).rest().await;
        let responses = frames.iter().any(|frame| frame.kind == HEADERS);
        assert!(!responses, "{bytes:?}: {frames:?}");
    }
    let mut io = handshake(server.address(), "http/1.1").await;
    io.write_all(&[PREFACE, &settings(&[])].concat())
        .await
        .unwrap();
    let response = rest(io).await;
    assert!(response.is_empty() || response.starts_with(b"HTTP/1.1 "));

    let mut requests = http2(server.address()).await;
    assert_eq!(stream_of(&mut requests, "/").await.0.status, 200);
    assert_eq!(server.log_so_far(), Vec::<String>::new());
}

#[tokio::test]
async fn no_input_breaks_a_handshake_or_http_2() {
    let mut limits = Limits::default();
    limits.stuck_timeout = Duration::from_secs(1);
    limits.head_timeout = Duration::from_secs(1);
    let server = Server::start_tls_with(limits);
    let mut random = Random(0x5eed);
    let valid = [
        PREFACE,
        &settings(&[(INITIAL_WINDOW_SIZE, 100)]),
        &get(1, "/events?interval=10&count=3"),
        &window(0, 1000),
        &frame(HEADERS, END_HEADERS, 3, head("POST", "/events?echo", [])),
        &frame(DATA, END_STREAM, 3, "content"),
        &frame_of_ping(),
        &reset(1),
        &get(5, "/"),
    ]
    .concat();
    let mut mutated = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            bytes[place] ^= 1 << random.below(8);
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        bytes
    };
    let hello = hello_of_tls_1_2();
    for _ in 0..300 {
        let mut io = TcpStream::connect(server.address()).await.unwrap();
        let _ = io.write_all(&mutated(&hello)).await;
        let _ = io.shutdown().await;
        rest(io).await;
    }
    let mut ends = JoinSet::new();
    for _ in 0..200 {
        let mut io = handshake(server.address(), "h2").await;
        let bytes = mutated(&valid);
        ends.spawn(async move {
            let _ = io.write_all(&bytes).await;
            let _ = io.shutdown().await;
            rest(io).await;
        });
    }
    ends.join_all().await;
    let mut requests = http2(server.address()).await;
    assert_eq!(stream_of(&mut requests, "/").await.0.status, 200);
}

#[tokio::test]
async fn a_header_with_a_control_character_ends_its_connection_and_the_log_says_why() {
    let mut command = Binary::command();
    command.args(["--tls", "--port", "0"]);
    command.env("RUST_LOG", "info,longhaul=debug");
    let server = Binary::spawn(command);
    let mut client = Peer::connect(server.address(), &[]).await;
    let peer = client.0.get_ref().0.local_addr().unwrap();
    let block = head("GET", "/events", [("last-event-id", "a\u{1}b")]);
    client
        .send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        .await;
    let goaway = client.until(GOAWAY, 0).await;
    assert_eq!(goaway.payload[4..8], [0, 0, 0, 1], "PROTOCOL_ERROR");
    let line = server.log_line("no valid request");
    assert!(line.contains("protocol error"), "{line}");
    assert!(line.contains(&format!("peer={peer}")), "{line}");
}

/// A browser closes many tabs at once, all on one connection.
#[tokio::test]
async fn the_maximum_of_streams_is_opened_and_closed_at_once_while_another_goes_on() {
    let server = Server::start_tls();
    let mut client = Peer::connect(server.address(), &[]).await;
    client.send(get(1, "/stream?interval=10")).await;
    client.until(DATA, 1).await;
    let streams = (1..=128).map(|number| 2 * number + 1);
    let burst = streams.flat_map(|stream| [get(stream, "/events"), reset(stream)].concat());
    client.send(burst.collect::<Vec<_>>()).await;
    for _ in 0..3 {
        client.until(DATA, 1).await;
    }
    client.send(get(1001, "/stats")).await;
    client.until(HEADERS, 1001).await;
}
