//! Faults on request, in bytes and in the framing of HTTP.

use std::io::{ErrorKind, Read};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use serde_json::json;
use sse_clock::options::{Options, StreamRequest};
use sse_clock::scenario::{Plan, plan};
use sse_clock::service::respond;
use tokio::time::Instant as VirtualInstant;

use crate::support::browser::Browser;
use crate::support::reply::{
    Reply, assert_played, body_of, come_back, encoded, frame, get, nothing, now, post, whole,
};
use crate::support::{self, Server, Serves, eventually, there_is};

const TWO: &str = "/stream?interval=10&count=2&data=x";
const BLOCKS: [&str; 3] = [":\n\n", "data: x\n\n", "data: x\n\n"];

#[track_caller]
fn assert_chunks(reply: &Reply, chunks: &[&str]) {
    let sent: Vec<_> = reply
        .chunks
        .iter()
        .map(|chunk| chunk.escape_ascii().to_string())
        .collect();
    let wanted: Vec<_> = chunks
        .iter()
        .map(|chunk| chunk.as_bytes().escape_ascii().to_string())
        .collect();
    assert_eq!(sent, wanted);
}

#[test]
fn a_clean_end_is_the_terminating_chunk() {
    let server = Server::start();
    for end in ["", "&end=clean"] {
        let reply = get(&server, &format!("{TWO}{end}"));
        assert_chunks(&reply, &BLOCKS);
        assert!(reply.complete);
    }
}

#[test]
fn after_a_clean_end_the_connection_takes_another_request() {
    let server = Server::start();
    let request = "GET /stream?count=1&data=x HTTP/1.1\r\nHost: clock\r\n\r\n";
    let mut client = server.send(request.repeat(2));
    for _ in 0..2 {
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.chunk(), b":\n\n");
        assert_eq!(client.chunk(), b"data: x\n\n");
        assert_eq!(client.chunk(), b"");
    }
}

#[test]
fn an_aborted_stream_is_closed_after_its_last_event_without_the_terminating_chunk() {
    let server = Server::start();
    for query in ["", "&split=4"] {
        let reply = get(&server, &format!("{TWO}&end=abort{query}"));
        assert_eq!(reply.text(), BLOCKS.concat());
        assert!(!reply.complete);
    }
}

#[test]
fn a_client_gets_a_quarter_of_a_second_to_read_the_last_event_before_the_cut() {
    let server = Server::start();
    let began = Instant::now();
    let reply = get(&server, "/events?interval=10&count=1&data=x&end=abort");
    assert!(began.elapsed() >= Duration::from_millis(10 + 250));
    assert_eq!(reply.text(), ":\n\ndata: x\n\n");
    assert!(!reply.complete);
}

#[test]
fn an_aborted_stream_is_closed_after_its_last_event_though_its_reader_is_slow() {
    let server = Server::start();
    let data = "x".repeat(1000);
    let replay = |count: u64, key: &str| {
        let last = now() - 11_000;
        let target = format!("/events?ids&interval=10&lastEventId={last}&end=abort");
        server
            .get(&format!("{target}&data={data}&count={count}&key={key}"))
            .1
    };
    // The capacity of the sockets and buffers of a connection that the client does not read.
    let reader_of_nothing = replay(1000, "all");
    let mut room = 0;
    eventually("the sockets are full", || {
        let before = std::mem::replace(&mut room, server.stats_of("all").events);
        std::thread::sleep(Duration::from_millis(100));
        room > 0 && room == before
    });
    assert!(room < 1000, "all fits");
    drop(reader_of_nothing);

    for fewer in 0..10 {
        let count = room - fewer;
        let key = count.to_string();
        let mut client = replay(count, &key);
        eventually("the last event is made", || {
            server.stats_of(&key).events == count
        });
        let mut bytes = Vec::new();
        client.0.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches(&data).count() as u64, count);
        assert!(!text.ends_with("0\r\n\r\n"));
    }
}

#[test]
fn a_truncated_stream_ends_with_half_an_event_and_the_terminating_chunk() {
    let server = Server::start();
    let reply = get(&server, &format!("{TWO}&end=truncate"));
    assert_chunks(&reply, &[":\n\n", "data: x\n\n", "data: x\n\n", "data"]);
    assert!(reply.complete);

    let reply = get(
        &Server::start(),
        "/stream?interval=10&count=1&end=truncate&ids&event=e&data=xyz",
    );
    assert_chunks(
        &reply,
        &[":\n\n", "event: e\nid: 0\ndata: xyz\n\n", "event: e\nid: "],
    );
    assert!(reply.complete);
}

#[test]
fn a_stalled_stream_stays_open_and_sends_nothing() {
    let server = Server::start();
    let (_, mut client) = server.get(&format!("{TWO}&end=stall"));
    for block in BLOCKS {
        assert_eq!(client.chunk(), block.as_bytes());
    }
    client
        .0
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let silence = client.0.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(
        silence,
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    assert_eq!(server.stats().open, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_held_for_ten_minutes_without_a_comment() {
    let mut body = body_of("/stream?count=1&data=x&end=stall").await;
    assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
    assert_eq!(frame(&mut body).await.unwrap(), "data: x\n\n");
    let before = VirtualInstant::now();
    assert_eq!(frame(&mut body).await, None);
    assert_eq!(before.elapsed(), Duration::from_secs(600));
}

#[test]
fn a_status_is_sent_in_place_of_the_stream() {
    let server = Server::start();
    for (code, status, line) in [
        (201, "201 Created", "201 Created\n"),
        (302, "302 Found", "302 Found\n"),
        (401, "401 Unauthorized", "401 Unauthorized\n"),
        (404, "404 Not Found", "404 Not Found\n"),
        (
            500,
            "500 Internal Server Error",
            "500 Internal Server Error\n",
        ),
        (503, "503 Service Unavailable", "503 Service Unavailable\n"),
    ] {
        let reply = get(&server, &format!("/events?status={code}"));
        assert_eq!(reply.status(), status);
        assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(reply.text(), line);
        assert!(reply.complete);
    }
    for code in [299, 599] {
        let reply = get(&server, &format!("/events?status={code}"));
        assert!(reply.status().starts_with(&code.to_string()));
        assert_eq!(reply.text().lines().count(), 1);
    }
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn a_status_that_has_no_body_gets_none() {
    let server = Server::start();
    for (code, status) in [
        (204, "204 No Content"),
        (205, "205 Reset Content"),
        (304, "304 Not Modified"),
    ] {
        let reply = get(&server, &format!("/stream?status={code}"));
        assert_eq!(reply.status(), status);
        assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
        assert_eq!(reply.header("Transfer-Encoding"), None);
        assert_eq!(reply.bytes(), b"");
    }
}

/// Bytes that are not UTF-8, and their percent-encoding.
const NON_UTF8: (&[u8], &str) = (
    b"{\"error\": 1}\n\n\xff\0",
    "%7B%22error%22:+1%7D%0A%0A%ff%00",
);

#[test]
fn a_status_with_a_wire_sends_its_bytes_as_the_body() {
    let server = Server::start();
    let (bytes, wire) = NON_UTF8;
    let long = "x".repeat(4096);
    for (bytes, wire) in [(bytes, wire), (b"", ""), (long.as_bytes(), &long)] {
        for status in [
            "201 Created",
            "302 Found",
            "404 Not Found",
            "429 Too Many Requests",
        ] {
            for path in ["/events", "/stream"] {
                let target = format!("{path}?status={}&wire={wire}", &status[..3]);
                for reply in [get(&server, &target), post(&server, &target, "hello")] {
                    assert_eq!(reply.status(), status);
                    let length = bytes.len().to_string();
                    assert_eq!(reply.header("Content-Length"), Some(length.as_str()));
                    assert_eq!(reply.header("Transfer-Encoding"), None);
                    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
                    assert_eq!(reply.bytes(), bytes, "{target}");
                }
            }
        }
    }
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn a_head_request_for_a_status_with_a_wire_gets_the_same_headers_and_no_body() {
    let server = Server::start();
    for (wire, length) in [
        (NON_UTF8.1, "Content-Length: 16"),
        ("", "Content-Length: 0"),
    ] {
        let target = format!("/events?status=500&wire={wire}");
        let [(head, body), (get, _)] = ["HEAD", "GET"].map(|method| {
            let reply = Reply::to(&server, &format!("{method} {target} HTTP/1.1\r\n\r\n"));
            let lines = reply
                .head
                .lines()
                .filter(|line| !line.starts_with("Date: "));
            let mut lines: Vec<_> = lines.map(str::to_owned).collect();
            lines.sort_unstable();
            (lines, reply.bytes())
        });
        assert!(head.iter().any(|line| line == length), "{head:?}");
        assert_eq!(head, get);
        assert_eq!(body, b"");
    }
}

#[test]
fn after_a_status_with_a_wire_the_connection_takes_another_request() {
    let server = Server::start();
    let request = support::get(&format!("/events?status=500&wire={}&end=abort", NON_UTF8.1));
    let mut client = server.send(request.repeat(2));
    for _ in 0..2 {
        assert!(
            client
                .head()
                .starts_with("HTTP/1.1 500 Internal Server Error\r\n")
        );
        assert_eq!(client.take(NON_UTF8.0.len()), NON_UTF8.0);
    }
}

#[test]
fn a_status_with_a_wire_is_plain_text_or_has_the_requested_type() {
    let server = Server::start();
    let sandboxed = [Some("nosniff"), Some("sandbox; default-src 'none'")];
    for (given, received, guards) in [
        ("", "text/plain", sandboxed),
        (
            "&header=Content-Type:application/json",
            "application/json",
            sandboxed,
        ),
        ("&header=Content-Type:text/html", "text/html", sandboxed),
        (
            "&header=Content-Type:text/event-stream",
            "text/event-stream",
            [None; 2],
        ),
    ] {
        let target = format!("/events?status=500&wire=%3Cscript%3E{given}");
        let reply = get(&server, &target);
        assert_eq!(reply.status(), "500 Internal Server Error");
        assert_eq!(reply.header("Content-Type"), Some(received), "{given}");
        let names = ["X-Content-Type-Options", "Content-Security-Policy"];
        assert_eq!(names.map(|name| reply.header(name)), guards, "{given}");
        assert_eq!(reply.head.matches("Content-Type:").count(), 1);
        assert_eq!(reply.text(), "<script>");
    }
}

#[tokio::test(start_paused = true)]
async fn framing_options_do_not_change_a_status_with_a_wire() {
    let wire = "id: 1\ndata: a\n\ndata: b\n\nc";
    for query in [
        "interval=3600000",
        "interval=0",
        "split=1",
        "split=1&pace=10000",
        "end=clean",
        "end=abort",
        "end=stall",
        "ids&lastEventId=1",
    ] {
        let target = format!("/events?status=500&wire={}&{query}", encoded(wire));
        assert_played(&target, &[(0, wire), (0, "")]).await;
    }
}

#[test]
fn a_client_that_reconnects_gets_all_of_a_status_with_a_wire() {
    let server = Server::start();
    let wire = "id: 1\ndata: a\n\ndata: b\n\n";
    let target = format!("/events?status=500&wire={}&ids", encoded(wire));
    assert_eq!(come_back(&server, &target, "1").text(), wire);
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_before_a_status_with_a_wire() {
    let wire = "x".repeat(4096);
    let target = format!("/events?status=500&wire={wire}&delay=60000");
    let before = VirtualInstant::now();
    let response = respond(
        Request::get(target).body(nothing()).unwrap(),
        Arc::default(),
    )
    .await;
    assert_eq!(before.elapsed(), Duration::from_secs(60));
    assert_eq!(response.status(), 500);
    let sent = whole(&mut Box::pin(response.into_body())).await;
    assert_eq!(sent, wire.as_bytes());
}

#[test]
fn the_body_of_a_status_is_the_wire_itself_and_no_copy() {
    let request = Request::get("/events?status=500&wire=abc").body(());
    let options = Options::of(&request.unwrap()).unwrap();
    let wire = options.script.wire.clone().expect("a wire");
    let request = StreamRequest {
        options,
        ..StreamRequest::default()
    };
    let Plan::Status(_, Some(body)) = plan(&request, |_| unreachable!("no item is taken")) else {
        panic!("a status with a body");
    };
    assert_eq!(body, "abc");
    assert_eq!(body.as_ptr(), wire.as_ptr());
}

#[test]
fn a_status_with_a_wire_counts_as_a_request_of_its_key_and_as_no_stream() {
    let server = Server::start();
    let target = "/stream?status=500&wire=data:a%0A%0A&key=k";
    Reply::to(&server, &format!("HEAD {target} HTTP/1.1\r\n\r\n"));
    get(&server, target);
    come_back(&server, target, "7");
    let stats = server.stats_of("k");
    let requests = stats.requests.unwrap().into_iter();
    let ids: Vec<_> = requests.map(|request| request.last_event_id).collect();
    assert_eq!(ids, [None, Some("7".to_owned())]);
    assert_eq!(stats.last_event_ids.unwrap(), ["7"]);
    assert_eq!((stats.opened, stats.events), (0, 0));
    // The counter of the greetings does not advance.
    let greeting = get(&server, "/stream?count=1&comment=0").text();
    assert_eq!(greeting, "data: hello from server sent events ---- [0]\n\n");
}

#[test]
fn the_status_200_is_the_stream() {
    let server = Server::start();
    let reply = get(&server, &format!("{TWO}&status=200"));
    assert_chunks(&reply, &BLOCKS);
    let reply = get(&server, "/events?status=200&wire=a%0A%0Ab&interval=10");
    assert_chunks(&reply, &["a\n\n", "b"]);
    assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
    assert_eq!(reply.header("Content-Length"), None);
}

#[test]
fn then_is_the_status_for_a_client_that_reconnects() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&then=204";
    for id in ["1", "x", "…"] {
        assert_eq!(come_back(&server, target, id).status(), "204 No Content");
    }
    assert_eq!(come_back(&server, target, "").status(), "200 OK");
    assert_eq!(get(&server, target).status(), "200 OK");
    assert_eq!(
        get(&server, &format!("{target}&lastEventId=1")).status(),
        "200 OK"
    );
}

#[test]
fn then_goes_before_status() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&then=404&status=503";
    assert_eq!(come_back(&server, target, "1").status(), "404 Not Found");
    assert_eq!(get(&server, target).status(), "503 Service Unavailable");
    let target = "/stream?count=1&data=x&then=200&status=503";
    let reply = come_back(&server, target, "1");
    assert_eq!(reply.text(), ":\n\ndata: x\n\n");
}

#[test]
fn another_media_type_never_runs_as_code() {
    let server = Server::start();
    for (given, received) in [
        ("text/html", "text/html"),
        ("text/html;+charset=utf-8", "text/html; charset=utf-8"),
        ("x", "x"),
        (
            "text/event-stream;+charset=utf-8",
            "text/event-stream; charset=utf-8",
        ),
    ] {
        for status in ["", "&status=404"] {
            let query = format!("count=1&data=%3Cscript%3E&header=Content-Type:{given}{status}");
            let reply = get(&server, &format!("/stream?{query}"));
            assert_eq!(reply.header("Content-Type"), Some(received));
            assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
            assert_eq!(
                reply.header("Content-Security-Policy"),
                Some("sandbox; default-src 'none'")
            );
            assert_eq!(reply.head.matches("Content-Type:").count(), 1);
        }
    }
    for own in ["", "&header=content-type:text/event-stream"] {
        let reply = get(&server, &format!("/stream?count=1{own}"));
        assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
        assert_eq!(reply.header("X-Content-Type-Options"), None);
        assert_eq!(reply.header("Content-Security-Policy"), None);
    }
}

#[test]
fn another_media_type_never_runs_as_code_on_any_response() {
    let server = Server::start();
    for query in [
        "wire=%3Cscript%3E",
        "echo&count=1&data=%3Cscript%3E",
        "size=5&count=1",
        "key=fails&responses=503",
        "key=k&responses=200,204&count=1",
        "key=k&responses=200,204",
        "status=204",
        "status=302",
    ] {
        for media_type in [
            "text/html",
            "not a type",
            "text/event-stream;",
            "TEXT/EVENT-STREAM",
        ] {
            let query = format!(
                "{query}&header=Content-Type:{}",
                media_type.replace(' ', "+")
            );
            let reply = get(&server, &format!("/stream?{query}"));
            assert_eq!(reply.header("Content-Type"), Some(media_type), "{query}");
            assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
            assert_eq!(
                reply.header("Content-Security-Policy"),
                Some("sandbox; default-src 'none'")
            );
        }
    }
}

#[test]
fn a_400_is_plain_text_whatever_type_was_requested() {
    let server = Server::start();
    for query in [
        "header=Content-Type:text/html&data=%3Cscript%3E&nope",
        "%3Cscript%3E&header=Content-Type:text/html",
    ] {
        let reply = get(&server, &format!("/stream?{query}"));
        assert_eq!(reply.status(), "400 Bad Request");
        let plain = Some("text/plain; charset=utf-8");
        assert_eq!(reply.header("Content-Type"), plain);
    }
    let head = "POST /stream?header=Content-Type:text/html HTTP/1.1";
    let request = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n<");
    let reply = Reply::to(&server, &request);
    assert_eq!(reply.status(), "400 Bad Request");
    let plain = Some("text/plain; charset=utf-8");
    assert_eq!(reply.header("Content-Type"), plain);
}

/// The headers that `header` may set, and their default values.
const CHANGED: [(&str, Option<&str>); 5] = [
    ("Cache-Control", Some("no-cache")),
    ("Content-Encoding", None),
    ("Content-Type", Some("text/event-stream")),
    ("Retry-After", None),
    ("X-Accel-Buffering", Some("no")),
];

/// The targets with responses that `header` changes, and their statuses.
const CHANGEABLE: [(&str, u16); 8] = [
    ("/events?count=1&interval=10", 200),
    ("/stream?wire=a&interval=0", 200),
    ("/stream?status=404", 404),
    ("/stream?status=302", 302),
    ("/stream?status=204", 204),
    ("/stream?status=500&wire=a", 500),
    ("/stream?then=410", 410),
    ("/stream?key=k&responses=503", 503),
];

/// The responses to the target of [`CHANGEABLE`] by each method, with `header`.
fn changed<'a>(server: &'a Server, header: &'a str) -> impl Iterator<Item = (String, Reply)> + 'a {
    let requested = ["GET", "HEAD", "POST"].into_iter().flat_map(|method| {
        CHANGEABLE.map(|(target, status)| (format!("{method} {target}"), status))
    });
    requested.map(move |(requested, status)| {
        let head = "HTTP/1.1\r\nContent-Length: 0\r\nLast-Event-ID: 1\r\n\r\n";
        let request = format!("{requested}&header={} {head}", encoded(header));
        let reply = Reply::to(server, &request);
        assert!(reply.status().starts_with(&status.to_string()), "{request}");
        (request, reply)
    })
}

/// The values of a header in the order of their lines.
fn values<'a>(reply: &'a Reply, name: &str) -> Vec<&'a str> {
    let lines = reply.head.lines().filter_map(|line| line.split_once(": "));
    let lines = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    lines.map(|(_, value)| value).collect()
}

#[test]
fn header_sets_each_of_its_headers_in_place_of_the_streams_on_the_stream_and_on_each_status() {
    let server = Server::start();
    for write in [str::to_owned, str::to_lowercase, str::to_uppercase] {
        let lines: Vec<_> = CHANGED
            .iter()
            .map(|(name, _)| format!("{}:value of {name}", write(name)))
            .collect();
        for (request, reply) in changed(&server, &lines.join("\n")) {
            for (name, _) in CHANGED {
                assert_eq!(
                    values(&reply, name),
                    [format!("value of {name}")],
                    "{request}"
                );
            }
            assert_eq!(values(&reply, "Access-Control-Allow-Origin"), ["*"]);
        }
    }
}

#[test]
fn header_with_an_empty_value_removes_each_of_its_headers() {
    let server = Server::start();
    let lines = CHANGED.map(|(name, _)| format!("{name}:"));
    for (request, reply) in changed(&server, &lines.join("\n")) {
        for (name, _) in CHANGED {
            assert_eq!(values(&reply, name), [""; 0], "{request}");
        }
        assert_eq!(values(&reply, "Access-Control-Allow-Origin"), ["*"]);
    }
}

#[test]
fn header_leaves_the_headers_that_it_does_not_name() {
    let server = Server::start();
    for (name, _) in CHANGED {
        for value in ["x", ""] {
            for (request, reply) in changed(&server, &format!("{name}:{value}")) {
                let has_wire = request.contains("status=500&wire");
                for (other, own) in CHANGED.iter().filter(|(other, _)| *other != name) {
                    let own = if has_wire && *other == "Content-Type" {
                        Some("text/plain")
                    } else {
                        *own
                    };
                    assert_eq!(reply.header(other), own, "{request}");
                }
            }
        }
    }
}

#[test]
fn header_changes_no_redirect_and_no_rejection() {
    let server = Server::start();
    let lines = CHANGED.map(|(name, _)| format!("{name}:text/html"));
    let removed = CHANGED.map(|(name, _)| format!("{name}:"));
    for (request, status) in [
        ("GET /events?redirect=301", 301),
        ("POST /stream?redirect=308&key=k&responses=503", 308),
        ("GET /events?nope", 400),
        ("GET /events?interval=9", 400),
        ("PUT /events?count=1", 405),
        ("OPTIONS /events?count=1", 204),
    ] {
        let headers = |header: &str| {
            let length = "Content-Length: 0";
            let request = format!("{request}{header} HTTP/1.1\r\n{length}\r\n\r\n");
            let reply = Reply::to(&server, &request);
            assert!(reply.status().starts_with(&status.to_string()), "{request}");
            let own = ["Date: ", "Location: "];
            let lines = reply.head.lines();
            let lines = lines.filter(|line| !own.iter().any(|own| line.starts_with(own)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let without = headers("");
        for lines in [&lines, &removed] {
            let header = format!("&header={}", encoded(lines.join("\n")));
            assert_eq!(headers(&header), without, "{request}");
        }
    }
}

#[test]
fn a_response_without_the_media_type_of_streams_is_sandboxed_and_not_sniffed() {
    let server = Server::start();
    for (value, is_guarded) in [
        ("", true),
        ("text/html", true),
        ("text/event-stream; charset=utf-8", true),
        ("text/event-stream,text/html", true),
        ("Text/Event-Stream", true),
        ("text/event-stream", false),
    ] {
        let others = "Cache-Control:\nContent-Encoding:gzip\nX-Accel-Buffering:";
        for header in [
            format!("Content-Type:{value}"),
            format!("{others}\nContent-Type:{value}"),
        ] {
            for (request, reply) in changed(&server, &header) {
                let policy = is_guarded.then_some("sandbox; default-src 'none'");
                assert_eq!(reply.header("Content-Security-Policy"), policy, "{request}");
                let sniffed = is_guarded.then_some("nosniff");
                assert_eq!(reply.header("X-Content-Type-Options"), sniffed, "{request}");
            }
        }
    }
}

/// `data: a\n\ndata: b\n\n`, as the program `gzip -n` packs it.
const PACKED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x49\x2c\x49\xb4\x52\x48\xe4\
    \xe2\x4a\x01\x33\x92\xb8\xb8\x00\xba\x59\xc7\xdf\x12\x00\x00\x00";

fn packed() -> String {
    let wire = encoded(PACKED);
    format!("/events?interval=0&header=Content-Encoding:gzip&wire={wire}")
}

#[test]
fn curl_decompresses_a_gzip_stream() {
    if !there_is("curl") {
        return;
    }
    let server = Server::start();
    for (options, expected) in [
        (&["--compressed"][..], b"data: a\n\ndata: b\n\n".as_slice()),
        (&[], PACKED),
    ] {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20"])
            .args(options)
            .arg(server.url(&packed()))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        assert_eq!(output.stdout, expected);
    }
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_browser_receives_the_events_of_a_gzip_stream() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/stats")).await;
    let script = format!(
        "const done = arguments[arguments.length - 1];
        const heard = [];
        const source = new EventSource('{}');
        source.onmessage = ({{ data }}) => heard.push(data);
        source.onerror = () => {{ source.close(); done(heard); }};",
        packed()
    );
    assert_eq!(browser.run_async(&script).await, json!(["a", "b"]));
}

#[test]
fn a_delay_holds_back_the_response_head_and_the_clock_of_the_stream() {
    let server = Server::start();
    let (before, begin) = (Instant::now(), now());
    let mut client = server
        .send("GET /events?delay=300&ids&interval=50&count=1 HTTP/1.1\r\nHost: clock\r\n\r\n");
    client.head();
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!(client.chunk(), b":\n\n");
    let event = String::from_utf8(client.chunk()).unwrap();
    assert!(
        crate::support::reply::ids(&event)[0] >= begin + 350,
        "{event} {begin}"
    );
}

#[test]
fn a_client_that_leaves_during_a_delay_was_no_stream() {
    let server = Server::start();
    drop(server.send("GET /events?delay=60000&key=k HTTP/1.1\r\nHost: clock\r\n\r\n"));
    assert_eq!(get(&server, "/stream?count=1").status(), "200 OK");
    assert_eq!(server.stats().opened, 1);
}

#[test]
fn a_split_makes_each_frame_its_own_chunk() {
    let server = Server::start();
    for split in [1, 2, 4, 7, 1024] {
        let reply = get(
            &server,
            &format!("/stream?count=1&data=%C3%A9&split={split}&bom&eol=crlf"),
        );
        let whole = "\u{feff}:\r\n\r\ndata: é\r\n\r\n".as_bytes();
        assert_eq!(reply.bytes(), whole);
        assert!(reply.complete);
        let blocks = [&whole[..8], &whole[8..]];
        let frames: Vec<_> = blocks
            .iter()
            .flat_map(|block| block.chunks(split))
            .collect();
        assert_eq!(reply.chunks, frames);
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_are_as_requested() {
    for (query, whole) in [
        (
            "eol=lf",
            ":\n\nretry: 5\nevent: e\nid: 0\ndata: a\ndata: b\n\n",
        ),
        (
            "eol=cr",
            ":\r\rretry: 5\revent: e\rid: 0\rdata: a\rdata: b\r\r",
        ),
        (
            "eol=crlf",
            ":\r\n\r\nretry: 5\r\nevent: e\r\nid: 0\r\ndata: a\r\ndata: b\r\n\r\n",
        ),
        (
            "bom",
            "\u{feff}:\n\nretry: 5\nevent: e\nid: 0\ndata: a\ndata: b\n\n",
        ),
        (
            "bom&eol=cr",
            "\u{feff}:\r\rretry: 5\revent: e\rid: 0\rdata: a\rdata: b\r\r",
        ),
    ] {
        let target = format!("/stream?count=1&retry=5&event=e&ids&data=a%0D%0Ab&{query}");
        assert_eq!(get(&Server::start(), &target).text(), whole, "{query}");
    }
}

#[test]
fn a_gap_has_the_requested_line_ends_too() {
    let server = Server::start();
    let reply = get(
        &server,
        "/events?ids&lastEventId=0&interval=3600000&count=1&eol=crlf&data=x",
    );
    let text = reply.text();
    let asides: Vec<_> = text.split("\r\n\r\n").take(2).collect();
    assert_eq!(asides[0], ":");
    assert!(asides[1].starts_with("event: gap\r\ndata: "), "{text:?}");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
}
