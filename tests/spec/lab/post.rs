//! POST, handled as GET after its content: its framing, and the limits of its size and time.

use std::convert::Infallible;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use longhaul::Limits;
use sse_clock::service::respond;
use sse_clock::testing::TestServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant as VirtualInstant, interval, sleep};
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt};

use crate::support::reply::{Reply, get, post};
use crate::support::{Client, DEADLINE, Server, Serves, eventually, get as get_request};

/// The most bytes of content that a request may have.
const MAX_CONTENT: usize = 1 << 20;

const TOO_LARGE: &str = "content: at most 1048576 bytes are taken\n";

const LATE: &str = "content: it may take 10 seconds\n";

/// A POST with these `headers`, before its content.
fn begin(target: &str, headers: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: clock\r\n{headers}\r\n")
}

/// Asserts that a rejection is the only response on its connection, which then ends.
#[track_caller]
fn assert_last(response: &str, status: &str, line: &str) {
    assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    assert!(
        response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
        "{response}"
    );
    assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
    assert!(
        response.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"),
        "{response}"
    );
    assert!(
        response.contains("\r\nAccess-Control-Allow-Origin: *\r\n"),
        "{response}"
    );
    assert!(response.ends_with(&format!("\r\n\r\n{line}")), "{response}");
}

/// A response head without its `Date` line.
fn dateless(head: &str) -> String {
    let lines = head.lines().filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_post_gets_the_response_of_a_get() {
    for path in ["/events", "/stream"] {
        let server = Server::start();
        let head = dateless(&server.get(path).0);
        for (headers, content) in [
            ("", ""),
            ("Content-Length: 0\r\n", ""),
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            (
                "Content-Type: application/json\r\nContent-Length: 2\r\n",
                "{}",
            ),
        ] {
            let mut client = server.send(begin(path, headers) + content);
            assert_eq!(dateless(&client.head()), head, "{path} {headers}");
        }
    }
    let server = Server::start();
    let mut client = server.send(begin("/stream", "Content-Length: 5\r\n") + "hello");
    client.head();
    for k in 0..2 {
        let greeting = format!("data: hello from server sent events ---- [{k}]\n\n");
        assert_eq!(client.chunk(), greeting.as_bytes());
    }
}

#[test]
fn the_options_of_a_post_come_from_its_url_alone() {
    let server = Server::start();
    let target = "/stream?count=1&data=x";
    for content in ["data=y&count=2", "nope=1", "?"] {
        assert_eq!(post(&server, target, content).text(), ":\n\ndata: x\n\n");
    }
    let reply = post(&server, "/stream?nope", "count=1");
    assert_eq!(reply.status(), "400 Bad Request");
}

#[test]
fn the_response_head_comes_after_the_end_of_the_request_content() {
    let server = Server::start();
    for (headers, begun, end) in [
        ("Content-Length: 5\r\n", "hell", "o"),
        (
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
        ),
    ] {
        let mut client = server.send(begin("/stream?count=1&data=x", headers) + begun);
        // Another request is served completely in the meantime.
        assert_eq!(get(&server, "/stream?count=1").status(), "200 OK");
        client.0.set_nonblocking(true).unwrap();
        let early = client.0.peek(&mut [0]).unwrap_err().kind();
        assert_eq!(early, ErrorKind::WouldBlock);
        client.0.set_nonblocking(false).unwrap();
        client.0.write_all(end.as_bytes()).unwrap();
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.chunk(), b":\n\n");
        assert_eq!(client.chunk(), b"data: x\n\n");
    }
}

#[test]
fn after_its_stream_the_connection_of_a_post_takes_another_request() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&comment=0";
    let requests = [
        begin(target, "Content-Length: 5\r\n") + "hello",
        begin(target, "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        get_request(target),
        begin(target, "Expect: 100-continue\r\nContent-Length: 0\r\n"),
    ];
    let mut client = server.send(requests.concat());
    for _ in requests {
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.chunk(), b"data: x\n\n");
        assert_eq!(client.chunk(), b"");
    }
}

#[test]
fn after_a_redirect_the_connection_of_a_post_takes_another_request() {
    let server = Server::start();
    let requests = [
        begin("/stream?redirect=303", "Content-Length: 5\r\n") + "hello",
        begin("/stream?status=204", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
    ];
    let mut client = server.send(requests.concat());
    assert!(client.head().starts_with("HTTP/1.1 303 See Other\r\n"));
    assert_eq!(client.until("\n"), "303 See Other\n");
    assert!(client.head().starts_with("HTTP/1.1 204 No Content\r\n"));
}

#[test]
fn content_of_another_coding_than_chunks_is_501_and_the_last_of_its_connection() {
    let server = Server::start();
    for coding in ["gzip, chunked", "chunked, chunked", "identity, chunked"] {
        let request = begin(
            "/stream?count=1",
            &format!("Transfer-Encoding: {coding}\r\n"),
        );
        let response = server.exchange(request + "0\r\n\r\n" + &get_request("/stream"));
        assert!(
            response.starts_with("HTTP/1.1 501 Not Implemented\r\n"),
            "{coding}: {response}"
        );
        assert!(
            response.ends_with("\r\n\r\ncontent may be coded in chunks only\n"),
            "{response}"
        );
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    }
}

#[test]
fn a_client_that_expects_100_gets_a_100() {
    let server = Server::start();
    for (headers, content) in [
        ("Content-Length: 5\r\n".to_owned(), "hello".to_owned()),
        (
            "Transfer-Encoding: chunked\r\n".into(),
            "5\r\nhello\r\n0\r\n\r\n".into(),
        ),
        (
            format!("Content-Length: {MAX_CONTENT}\r\n"),
            "x".repeat(MAX_CONTENT),
        ),
    ] {
        let headers = format!("Expect: 100-continue\r\n{headers}");
        let mut client = server.send(begin("/stream?count=1&data=x", &headers));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.0.write_all(content.as_bytes()).unwrap();
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.chunk(), b":\n\n");
    }
}

#[test]
fn a_client_gets_no_100_for_content_that_is_not_read() {
    let server = Server::start();
    for (target, length, status) in [
        ("/events", MAX_CONTENT + 1, "413 Payload Too Large"),
        ("/events?nope", 5, "400 Bad Request"),
        ("/stats", 5, "405 Method Not Allowed"),
        ("/", 5, "405 Method Not Allowed"),
        ("/nowhere", 5, "404 Not Found"),
    ] {
        let headers = format!("Expect: 100-continue\r\nContent-Length: {length}\r\n");
        let response = server.exchange(begin(target, &headers));
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    }
}

#[test]
fn content_is_taken_up_to_1_mib() {
    let server = Server::start();
    let content = "x".repeat(MAX_CONTENT);
    let target = "/stream?count=1&data=x";
    assert_eq!(post(&server, target, &content).text(), ":\n\ndata: x\n\n");
    let chunks = format!("80000\r\n{}\r\n", &content[..MAX_CONTENT / 2]).repeat(2);
    for (more, status) in [("", "200 OK"), ("1\r\nx\r\n", "413 Payload Too Large")] {
        let headers = "Connection: close\r\nTransfer-Encoding: chunked\r\n";
        let request = format!("{}{chunks}{more}0\r\n\r\n", begin(target, headers));
        let reply = Reply::read(server.send(request));
        assert_eq!(reply.status(), status);
        if !more.is_empty() {
            assert_eq!(reply.text(), TOO_LARGE);
        }
    }
}

#[test]
fn content_with_a_larger_length_is_rejected_before_it_arrives() {
    let server = Server::start();
    for length in [MAX_CONTENT + 1, 10_000_000_000] {
        for target in ["/events", "/stream?echo&redirect=301"] {
            let head = begin(target, &format!("Content-Length: {length}\r\n"));
            assert_last(&server.exchange(head), "413 Payload Too Large", TOO_LARGE);
        }
    }
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn endless_chunks_are_rejected_at_the_limit() {
    let server = Server::start();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let mut client = server.send(begin("/events", "Transfer-Encoding: chunked\r\n"));
    for _ in 0..257 {
        client.0.write_all(chunk.as_bytes()).unwrap();
    }
    assert!(
        client
            .head()
            .starts_with("HTTP/1.1 413 Payload Too Large\r\n")
    );
    let refused = Instant::now();
    while client.0.write_all(chunk.as_bytes()).is_ok() {
        assert!(refused.elapsed() < DEADLINE, "still open");
    }
}

#[test]
fn malformed_chunks_are_400_and_end_the_connection() {
    let server = Server::start();
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "5\r\nhelloX",
        "5\r\nhello\r\n\r\n",
        "fffffffffffffffff\r\n",
        "5 5\r\nhello\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
    ] {
        let request = begin("/events", "Transfer-Encoding: chunked\r\n") + chunks;
        let response = server.exchange(request + &get_request("/events"));
        assert_last(&response, "400 Bad Request", "content: it is malformed\n");
    }
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn no_response_follows_an_ambiguous_post() {
    let server = Server::start();
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
    ] {
        let request = begin("/stream?count=1", headers) + "0\r\n\r\n";
        let response = server.exchange(request + &get_request("/nowhere"));
        assert_eq!(
            response.matches("HTTP/1.1").count(),
            1,
            "{headers}: {response}"
        );
    }
}

#[test]
fn an_http_1_0_post_gets_the_stream_bare_and_ended_by_the_close() {
    let server = Server::start();
    let request = "POST /stream?count=1&data=x HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello";
    let response = server.exchange(request);
    assert!(response.starts_with("HTTP/1.0 200 OK\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n:\n\ndata: x\n\n"), "{response}");
}

#[test]
fn a_rejected_post_counts_for_no_key() {
    let server = Server::start();
    let target = "/stream?count=1&responses=503,200,204&key=k";
    for (headers, content) in [
        ("Content-Length: 1048577\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "x"),
    ] {
        let response = server.exchange(begin(target, headers) + content);
        assert!(response.starts_with("HTTP/1.1 4"), "{response}");
    }
    assert_eq!(server.stats_of("k").requests, Some(vec![]));
    let reply = post(&server, target, "hello");
    assert_eq!(reply.status(), "503 Service Unavailable");
}

#[test]
fn a_connection_that_falls_silent_within_its_content_is_closed() {
    let server = Server::start();
    for (headers, begun) in [
        ("Content-Length: 5\r\n", "hell"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhell"),
    ] {
        let start = Instant::now();
        let mut client = server.send(begin("/events", headers) + begun);
        client.0.shutdown(Shutdown::Write).unwrap();
        let response = client.rest();
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 400 "),
            "{response}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn a_client_that_leaves_within_its_content_frees_its_permit() {
    let mut limits = Limits::default();
    limits.max_connections = 1;
    let server = Server::start_with(limits);
    for headers in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        for leave in [drop, Client::reset] {
            let start = Instant::now();
            leave(server.send(begin("/events?echo", headers) + "4"));
            assert_eq!(get(&server, "/stream?count=1").status(), "200 OK");
            // The content would have had 10 s.
            assert!(start.elapsed() < Duration::from_secs(5));
        }
    }
}

#[test]
fn a_client_that_posted_and_leaves_counts_within_50_ms() {
    let server = Server::start();
    for (headers, content) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let already = server.stats().closed.client;
        let mut times: Vec<Duration> = (1..=11)
            .map(|number| {
                let request = begin("/events?interval=60000", headers) + content;
                let mut client = server.send(request);
                client.head();
                assert_eq!(client.chunk(), b":\n\n");
                let left = Instant::now();
                client.0.shutdown(Shutdown::Both).unwrap();
                drop(client);
                eventually("the client has left", || {
                    server.stats().closed.client == already + number
                });
                left.elapsed()
            })
            .collect();
        times.sort_unstable();
        assert!(times[5] < Duration::from_millis(50), "{times:?}");
    }
}

#[test]
fn content_that_is_under_way_does_not_hold_up_shutdown() {
    let server: TestServer = sse_clock::testing::start().unwrap();
    let head = begin("/events", "Expect: 100-continue\r\nContent-Length: 5\r\n");
    let mut client = Client::send(server.address(), head);
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    let start = Instant::now();
    assert_eq!(server.stop().opened, 0);
    assert!(start.elapsed() < Duration::from_secs(4));
    assert_eq!(client.rest(), "");
}

/// The response to a POST with content in these pieces, and its delay on a paused clock.
async fn response(content: impl Stream<Item = Bytes>) -> (u16, Option<String>, String, Duration) {
    let frames = content.map(|data| Ok::<_, Infallible>(Frame::data(data)));
    let request = Request::post("/events?count=1&data=x&comment=0");
    let request = request.body(StreamBody::new(frames)).unwrap();
    let start = VirtualInstant::now();
    let response = respond(request, Arc::default()).await;
    let took = start.elapsed();
    let connection = response.headers().get("connection");
    let connection = connection.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (status, connection, body, took)
}

/// One byte each time this many milliseconds have passed.
fn bytes(every: u64) -> impl Stream<Item = Bytes> {
    let ticks = IntervalStream::new(interval(Duration::from_millis(every)));
    ticks.map(|_| Bytes::from_static(b"x"))
}

#[tokio::test(start_paused = true)]
async fn content_may_take_ten_seconds() {
    let ten = Duration::from_secs(10);
    let late = (408, Some("close".to_owned()), LATE.to_owned(), ten);
    assert_eq!(response(tokio_stream::pending()).await, late);
    assert_eq!(response(bytes(1000)).await, late);
    assert_eq!(response(bytes(9999)).await, late);

    let stream = (200, Some("keep-alive".to_owned()), "data: x\n\n".to_owned());
    for (count, took) in [(1, 0), (10, 9000)] {
        let (status, connection, body, time) = response(bytes(1000).take(count)).await;
        assert_eq!((status, connection, body), stream);
        assert_eq!(time, Duration::from_millis(took));
    }
}

#[tokio::test(start_paused = true)]
async fn content_without_an_end_is_rejected_at_the_limit() {
    let piece = Bytes::from(vec![b'x'; 64]);
    let endless = tokio_stream::iter(std::iter::repeat(piece));
    let close = Some("close".to_owned());
    assert_eq!(
        response(endless).await,
        (413, close, TOO_LARGE.to_owned(), Duration::ZERO)
    );
}

/// The response to a POST with a byte of content per second, over a pipe in memory, and its delay.
async fn dripped(headers: &str, bytes: impl AsRef<[u8]>) -> (String, Duration) {
    let (mut client, server) = duplex(64 * 1024);
    let service = service_fn(async |request| {
        let response = respond(request, Arc::default()).await;
        Ok::<_, Infallible>(response)
    });
    let mut http = http1::Builder::new();
    http.title_case_headers(true);
    let serving = http.serve_connection(TokioIo::new(server), service);
    let talking = async {
        let start = VirtualInstant::now();
        let target = "/events?count=1&data=x&interval=10";
        let (mut reading, mut writing) = tokio::io::split(&mut client);
        let request = begin(target, &format!("Connection: close\r\n{headers}"));
        writing.write_all(request.as_bytes()).await.unwrap();
        let dripping = async {
            for byte in bytes.as_ref() {
                sleep(Duration::from_secs(1)).await;
                // The server may have closed the connection.
                let _ = writing.write_all(&[*byte]).await;
            }
            std::future::pending::<()>().await;
        };
        let mut response = String::new();
        tokio::select! {
            () = dripping => {}
            read = reading.read_to_string(&mut response) => drop(read.unwrap()),
        }
        (response, start.elapsed())
    };
    let ((), received) = tokio::join!(async { drop(serving.await) }, talking);
    received
}

#[tokio::test(start_paused = true)]
async fn content_of_a_byte_a_second_has_ten_seconds_over_a_connection_too() {
    let (response, time) = dripped("Content-Length: 9\r\n", "123456789").await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert_eq!(time.as_secs(), 9);
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for (headers, bytes) in [
        ("Content-Length: 20\r\n", "12345678901234567890"),
        ("Content-Length: 1\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", chunks),
        ("Transfer-Encoding: chunked\r\n", ""),
    ] {
        let (response, time) = dripped(headers, bytes).await;
        assert_last(&response, "408 Request Timeout", LATE);
        assert_eq!(time.as_secs(), 10, "{headers}");
    }
}
