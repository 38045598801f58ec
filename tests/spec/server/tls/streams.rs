//! How the streams of one connection begin and end: one by one, or all at shutdown.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use longhaul::Limits;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::command::accounted;
use crate::support::frames::{
    self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PING, Peer,
    RST_STREAM, frame, window,
};
use crate::support::reply::now;
use crate::support::system::Signal;
use crate::support::tls::{get, handshake, handshake_over, http2, http2_over};
use crate::support::{Binary, DEADLINE, Server, Serves};

/// The stream of `path` after its response head.
async fn open(requests: &mut SendRequest<Bytes>, path: &str) -> RecvStream {
    let response = requests.send_request(get(path), true).unwrap().0.await;
    let response = response.expect("an response");
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// The next bytes of a stream; none at its end.
async fn next(stream: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = timeout(DEADLINE, stream.data()).await.expect("in time");
    if let Some(Ok(data)) = &data {
        stream.flow_control().release_capacity(data.len()).unwrap();
    }
    data
}

/// How a stream ends, after any further data.
async fn end(stream: &mut RecvStream) -> Result<(), h2::Error> {
    while let Some(data) = next(stream).await {
        data?;
    }
    Ok(())
}

/// The time from `leave` to the moment when the server notices.
async fn lingering(server: &Server, leave: impl FnOnce()) -> Duration {
    let open = server.stats().open;
    let start = Instant::now();
    leave();
    while server.stats().open == open {
        assert!(start.elapsed() < DEADLINE, "it never knows");
        sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}

/// Asserts that the median of `times` is below 50 ms: other tests use the processors now and then.
fn assert_prompt(how: &str, mut times: [Duration; 5]) {
    times.sort();
    assert!(times[2] < Duration::from_millis(50), "{how}: {times:?}");
}

#[tokio::test]
async fn a_reset_stream_and_a_closed_or_aborted_connection_are_gone_within_50_milliseconds() {
    const PATH: &str = "/events?interval=3600000";
    let server = Server::start_tls_with(Limits::default());
    let mut requests = http2(server.address()).await;
    let other = open(&mut requests, PATH).await;
    let [mut by_reset, mut by_close, mut by_abort] = [[Duration::ZERO; 5]; 3];
    for time in &mut by_reset {
        let stream = open(&mut requests, PATH).await;
        *time = lingering(&server, || drop(stream)).await;
        assert_eq!(server.stats().open, 1, "the other stream goes on");
    }
    drop((other, requests));
    for time in &mut by_close {
        let mut requests = http2(server.address()).await;
        let stream = open(&mut requests, PATH).await;
        *time = lingering(&server, || drop((stream, requests))).await;
    }
    for time in &mut by_abort {
        let io = TcpStream::connect(server.address()).await.unwrap();
        let socket = SockRef::from(&io).try_clone().unwrap();
        let mut requests = http2_over(handshake_over(io, "h2").await).await;
        let stream = open(&mut requests, PATH).await;
        *time = lingering(&server, || {
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            socket.shutdown(std::net::Shutdown::Both).unwrap();
        })
        .await;
        drop(stream);
    }
    assert_prompt("reset", by_reset);
    assert_prompt("close", by_close);
    assert_prompt("abort", by_abort);
    assert_eq!(server.stats().closed.client, 16);
}

#[tokio::test]
async fn a_request_that_waits_for_its_response_head_ends_with_its_reset() {
    let server = Server::start_tls();
    let mut requests = http2(server.address()).await;
    let (response, _) = requests
        .send_request(get("/events?delay=60000&key=late"), true)
        .unwrap();
    while server
        .stats_of("late")
        .requests
        .is_none_or(|it| it.is_empty())
    {
        sleep(Duration::from_millis(2)).await;
    }
    drop(response);
    let mut again = open(&mut requests, "/events?count=1&interval=10").await;
    end(&mut again).await.unwrap();
    drop(requests);
    // The server does not wait for any client.
    let stop = Instant::now();
    drop(server);
    assert!(stop.elapsed() < DEADLINE);
}

#[tokio::test]
async fn an_aborted_stream_is_reset_after_all_its_events() {
    let server = Server::start_tls();
    let mut requests = http2(server.address()).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let path = "/events?count=3&interval=10&data=x&end=abort";
        streams.push(open(&mut requests, path).await);
    }
    for mut stream in streams {
        let mut heard = Vec::new();
        let error = loop {
            match next(&mut stream).await.expect("a reset") {
                Ok(data) => heard.extend(data),
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(heard, b":\n\ndata: x\n\ndata: x\n\ndata: x\n\n");
    }
    let stats = server.stats();
    assert_eq!((stats.closed.finished, stats.events), (20, 60));
}

#[tokio::test]
async fn late_content_ends_its_stream_and_no_other() {
    let server = Server::start_tls();
    let mut requests = http2(server.address()).await;
    let mut other = open(&mut requests, "/events?interval=100").await;
    let post = http::Request::post("https://clock/events?echo");
    let (response, _sending) = requests
        .send_request(post.body(()).unwrap(), false)
        .unwrap();
    let response = timeout(DEADLINE, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 408);
    for _ in 0..3 {
        next(&mut other).await.unwrap().unwrap();
    }
    drop(open(&mut requests, "/events").await);
}

/// Opens several connections, each with several streams.
async fn crowd(address: SocketAddr, connections: usize, streams: usize) -> Vec<RecvStream> {
    let mut all = Vec::new();
    for _ in 0..connections {
        let mut requests = http2(address).await;
        for _ in 0..streams {
            all.push(open(&mut requests, "/events?interval=60000").await);
        }
    }
    all
}

#[tokio::test]
async fn a_thousand_streams_on_ten_connections_end_cleanly_within_a_second() {
    let mut server = Binary::start(&["--tls", "--drain", "60"]);
    let mut streams = crowd(server.address(), 10, 100).await;
    for stream in &mut streams {
        assert_eq!(next(stream).await.unwrap().unwrap(), ":\n\n");
    }
    // One connection has no stream, one is in its handshake, and one has sent nothing at all.
    let _idle = http2(server.address()).await;
    let _raw = TcpStream::connect(server.address()).await.unwrap();
    let half = TcpStream::connect(server.address()).await.unwrap();
    half.writable().await.unwrap();
    half.try_write(&[22, 3, 1]).unwrap();

    let start = Instant::now();
    server.signal(Signal::INT);
    for stream in &mut streams {
        end(stream).await.expect("a clean end");
    }
    let ended = start.elapsed();
    // Another thread waits for the child processes, because the connections continue in this one.
    let status = tokio::task::spawn_blocking(move || (server.wait(), server))
        .await
        .unwrap();
    let elapsed = start.elapsed();
    println!(
        "{} streams ended in {ended:?}, the process in {elapsed:?}",
        streams.len()
    );
    assert_eq!(status.0.code(), Some(0));
    // The promise is 1 s; an unoptimized build on a busy machine gets 3 s.
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    let log = status.1.log();
    let lines: Vec<_> = log.lines().map(str::to_owned).collect();
    // Two lines for each stream, and the line of the signal.
    assert_eq!(accounted(&lines), 2 * 1000 + 1, "{log}");
    let ended = log.matches("stream ended").count();
    let by_the_end = log.matches("why=\"server stopping\"").count();
    assert_eq!(by_the_end, ended, "{log}");
    assert!(!log.contains("unfinished"), "{log}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_shutdown_for_the_drain() {
    let mut server = Binary::start(&["--tls", "--drain", "2"]);
    let mut requests = http2(server.address()).await;
    // The stream's window is never opened again.
    let mut stuck = open(&mut requests, "/events?size=100000&interval=10").await;
    let mut first = stuck.data().await.unwrap().unwrap().len();
    while first < 65_535 {
        first += stuck.data().await.unwrap().unwrap().len();
    }
    let mut other = open(&mut http2(server.address()).await, "/events").await;

    let start = Instant::now();
    server.signal(Signal::INT);
    end(&mut other).await.expect("a clean end");
    assert!(start.elapsed() < Duration::from_secs(1));
    let (status, server) = tokio::task::spawn_blocking(move || (server.wait(), server))
        .await
        .unwrap();
    let elapsed = start.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
    assert!(
        server
            .log()
            .contains("1 connections are dropped unfinished")
    );
}

#[tokio::test]
async fn a_server_that_is_dropped_drops_its_streams() {
    let mut limits = Limits::default();
    limits.drain = Duration::from_secs(60);
    let server = Server::start_tls_with(limits);
    let mut requests = http2(server.address()).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(&mut requests, "/events?interval=60000").await);
    }
    let start = Instant::now();
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    for stream in &mut streams {
        end(stream).await.expect("a clean end");
    }
    let stats = stopped.await.unwrap();
    assert_eq!((stats.open, stats.closed.shutdown), (0, 10));
    assert!(start.elapsed() < Duration::from_secs(5));
}

async fn stats_of(requests: &mut SendRequest<Bytes>, key: &str) -> serde_json::Value {
    let mut response = open(requests, &format!("/stats?key={key}")).await;
    let mut text = Vec::new();
    while let Some(data) = next(&mut response).await {
        text.extend(data.unwrap());
    }
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn each_stream_is_counted_and_logged_with_its_peer_and_why_it_ended() {
    let server = Binary::start(&["--tls"]);
    let io = TcpStream::connect(server.address()).await.unwrap();
    let peer = io.local_addr().unwrap();
    let mut requests = http2_over(handshake_over(io, "h2").await).await;
    let mut finished = open(&mut requests, "/events?count=2&interval=10&key=one").await;
    end(&mut finished).await.unwrap();
    let left = open(&mut requests, "/events?key=two").await;
    let stays = open(&mut requests, "/stream?key=two").await;
    drop(left);
    let of_two = loop {
        let seen = stats_of(&mut requests, "two").await;
        if seen["closed"]["client"] == 1 {
            break seen;
        }
    };
    assert_eq!((&of_two["open"], &of_two["opened"]), (&1.into(), &2.into()));
    for why in ["finished", "client left"] {
        let line = server.log_line(&format!("why=\"{why}\""));
        assert!(line.contains(&format!("peer={peer}")), "{line}");
    }
    drop(stays);
}

#[tokio::test]
async fn http_1_1_over_tls_ends_cleanly_with_the_server() {
    use tokio::io::AsyncReadExt;
    let server = Server::start_tls_with(Limits::default());
    let mut io = handshake(server.address(), "http/1.1").await;
    let request = "GET /events?interval=60000 HTTP/1.1\r\nHost: clock\r\n\r\n";
    io.write_all(request.as_bytes()).await.unwrap();
    while server.stats().open == 0 {
        sleep(Duration::from_millis(2)).await;
    }
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let mut response = String::new();
    // rustls would report a missing close_notify.
    io.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("\r\n:\n\n\r\n0\r\n\r\n"), "{response}");
    assert_eq!(stopped.await.unwrap().closed.shutdown, 1);
}

#[tokio::test]
async fn a_burst_of_requests_from_a_client_that_leaves_holds_no_permit_and_no_cpu_time() {
    let server = Binary::start(&["--tls", "--max-connections", "1"]);
    let burst = |request: &dyn Fn(u32) -> Vec<u8>| {
        (0..128)
            .flat_map(|it| request(2 * it + 1))
            .collect::<Vec<_>>()
    };
    let half = |stream| {
        let block = frames::head("POST", "/events", []);
        let begun = frame(HEADERS, END_HEADERS, stream, block);
        [begun, frame(DATA, 0, stream, b"half of it")].concat()
    };
    let no_frame = frame(DATA, 0, 0, b"of no stream");
    for bytes in [
        burst(&|stream| frames::get(stream, "/stats")),
        burst(&half),
        [burst(&|stream| frames::get(stream, "/stats")), no_frame].concat(),
    ] {
        let mut client = Peer::connect(server.address(), &[]).await;
        client.send(&bytes).await;
        // No signal shows that a request waits for its content.
        sleep(Duration::from_millis(300)).await;
        client.0.shutdown().await.unwrap();
    }
    // The request waits for the only permit.
    let mut stream = open(
        &mut http2(server.address()).await,
        "/events?count=1&interval=10",
    )
    .await;
    end(&mut stream).await.unwrap();
    let before = server.cpu();
    sleep(Duration::from_millis(500)).await;
    let spent = server.cpu().saturating_sub(before);
    assert!(spent < Duration::from_millis(100), "{spent:?} for nothing");
}

#[tokio::test]
async fn a_client_is_read_while_each_of_its_streams_always_has_more_to_send() {
    const OPEN: u32 = 0x7fff_0000;
    let server = Binary::start(&["--tls"]);
    for split in [1, 100, 1024] {
        let mut client = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, OPEN)]).await;
        client.send(window(0, OPEN)).await;
        let path = format!("/events?interval=10&size=16777216&split={split}");
        let streams = (0..128).map(|it| 2 * it + 1);
        for stream in streams.clone() {
            client.send(frames::get(stream, &path)).await;
        }
        for stream in [1, 255] {
            client.until(DATA, stream).await;
        }
        client.send(frame(PING, 0, 0, b"heard it")).await;
        assert_eq!(client.until(PING, 0).await.payload, b"heard it");
        let resets: Vec<_> = streams.flat_map(frames::reset).collect();
        client
            .send([resets, frames::get(257, "/stats")].concat())
            .await;
        client.until(HEADERS, 257).await;
    }
}

#[tokio::test]
async fn a_client_that_reads_late_sees_the_end_of_its_streams_all_the_same() {
    let server = Binary::start(&["--tls"]);
    let mut client = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 10)]).await;
    let streams = [
        (1, "/events?interval=100&comment=0"),
        (3, "/"),
        (5, "/cases"),
    ];
    for (stream, path) in streams {
        client.send(frames::get(stream, path)).await;
        client.until(DATA, stream).await;
    }
    server.signal(Signal::INT);
    client.until(GOAWAY, 0).await;
    for stream in [0, 1, 3, 5] {
        client.send(frames::window(stream, 1 << 20)).await;
    }
    let mut ended = std::collections::BTreeSet::new();
    while ended.len() < streams.len() {
        let frame = client.next().await.expect("more frames");
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        if frame.kind == DATA && frame.flags & END_STREAM != 0 {
            ended.insert(frame.stream);
        }
    }
}

/// By default, h2 ends a connection with some hundred small unread frames.
#[tokio::test]
async fn events_that_are_ready_at_once_come_in_few_frames() {
    let server = Server::start_tls();
    let missed = now() - 9990;
    for (path, streams, events, most) in [
        // The first comment and the first event.
        ("/stream?retry=1000&count=1", 100, 1, 1),
        (
            &format!("/events?ids&interval=10&count=999&lastEventId={missed}"),
            20,
            999,
            999 / 10,
        ),
    ] {
        let before = server.stats().events;
        let mut requests = http2(server.address()).await;
        let mut counts = JoinSet::new();
        for _ in 0..streams {
            let (response, _) = requests.send_request(get(path), true).unwrap();
            counts.spawn(async move {
                let mut stream = response.await.unwrap().into_body();
                let mut frames = 0;
                while let Some(data) = next(&mut stream).await {
                    frames += usize::from(!data.unwrap().is_empty());
                }
                frames
            });
        }
        while let Some(frames) = counts.join_next().await {
            let frames = frames.unwrap();
            assert!(frames <= most, "{path}: {frames} frames");
        }
        assert_eq!(server.stats().events - before, streams * events);
    }
}

#[tokio::test]
async fn a_client_by_http_1_1_that_left_bytes_behind_is_gone_within_three_seconds() {
    let server = Server::start_tls();
    for leaves_by_reset in [false, true] {
        for junk in [2, 64 * 1024] {
            let open = server.stats().open;
            let mut io = handshake(server.address(), "http/1.1").await;
            let request =
                "GET /events?comment=0&interval=3600000 HTTP/1.1\r\nHost: clock\r\n\r\n\r\n";
            io.write_all(request.as_bytes()).await.unwrap();
            while server.stats().open == open {
                sleep(Duration::from_millis(2)).await;
            }
            io.write_all(&vec![b'\n'; junk]).await.unwrap();
            io.flush().await.unwrap();
            let left = Instant::now();
            if leaves_by_reset {
                let socket = SockRef::from(io.get_ref().0);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(io);
            while server.stats().open > open {
                sleep(Duration::from_millis(2)).await;
                assert!(left.elapsed() < Duration::from_secs(3), "{junk} bytes");
            }
        }
    }
}

#[tokio::test]
async fn a_dropped_request_is_a_stream_reset_with_internal_error_and_the_others_go_on() {
    let server = Server::start_tls();
    let mut requests = http2(server.address()).await;
    let mut other = open(&mut requests, "/events?interval=10&data=x").await;
    let path = "/events?key=k&responses=drop,drop,drop,200&count=1";
    for (method, content) in [("HEAD", ""), ("GET", ""), ("POST", ""), ("POST", "hello")] {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://clock{path}"))
            .body(())
            .unwrap();
        let is_empty = content.is_empty();
        let (response, mut sending) = requests.send_request(request, is_empty).unwrap();
        if !is_empty {
            sending
                .send_data(Bytes::from_static(content.as_bytes()), true)
                .unwrap();
        }
        let response = timeout(DEADLINE, response).await.expect("in time");
        let error = response.expect_err("no head comes");
        assert!(error.is_remote() && error.is_reset(), "{method}: {error}");
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{method}");
        for _ in 0..2 {
            next(&mut other).await.expect("it goes on").unwrap();
        }
    }
    let mut stream = open(&mut requests, path).await;
    end(&mut stream).await.unwrap();
    assert_eq!(server.stats_of("k").dropped, Some(3));
    assert_eq!(server.stats_of("k").requests.unwrap().len(), 4);
}

#[tokio::test]
async fn a_delay_comes_before_the_reset_of_a_dropped_request() {
    let server = Server::start_tls();
    let mut requests = http2(server.address()).await;
    let begin = Instant::now();
    let path = "/events?key=k&responses=drop&delay=300";
    let response = requests.send_request(get(path), true).unwrap().0;
    let response = timeout(DEADLINE, response).await.expect("in time");
    let error = response.expect_err("no head comes");
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    assert!(begin.elapsed() >= Duration::from_millis(300));
}
