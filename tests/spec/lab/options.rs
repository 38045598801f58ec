//! The effect of each option on a stream, its bounds, and the error text for a bad value.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sse_clock::options::parameters;
use sse_clock::service::respond;
use tokio::time::Instant as VirtualInstant;

use crate::support::reply::{
    Reply, assert_played, body_of, come_back, encoded, frame, get, ids, nothing, now, post,
    time_events, whole,
};
use crate::support::{Server, Serves};

const ALLOWED: &str = "interval, count, event, retry, ids, lastEventId, data, size, wire, echo, \
                       split, pace, eol, bom, comment, header, credentials, status, delay, \
                       redirect, then, end, key, responses";

fn body(target: &str) -> String {
    let reply = get(&Server::start(), target);
    assert_eq!(reply.status(), "200 OK", "{target}");
    assert!(reply.complete, "{target}");
    reply.text()
}

/// The rejection of an option: a 400 with `line`, readable from every origin.
#[track_caller]
fn assert_rejected(server: &Server, query: &str, line: &str) {
    let reply = get(server, &format!("/events?{query}"));
    assert_eq!(reply.status(), "400 Bad Request", "{query}");
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(reply.text(), line, "{query}");
}

/// Whether `target` is accepted; the connection may be dropped.
fn is_followed(server: &Server, target: &str) -> bool {
    let request = format!("HEAD {target} HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n");
    !server.send(request).rest().starts_with("HTTP/1.1 400")
}

/// Asserts that each of `good` is accepted and each of `bad` rejected, as a value of `name`.
#[track_caller]
fn assert_bounds(name: &str, good: &[&str], bad: &[&str]) {
    let server = Server::start();
    let parameter = parameters().find(|known| known.name == name);
    let allowed = parameter.expect("a parameter").allowed;
    let beside = match name {
        "count" | "wire" => "",
        "pace" => "&split=1",
        "responses" => "&key=k",
        _ => "&count=1",
    };
    for value in good {
        let target = format!("/stream?{name}={}{beside}", encoded(value));
        assert!(is_followed(&server, &target), "{name}={value}");
    }
    for value in bad {
        let given: String = value.escape_debug().take(64).collect();
        assert_rejected(
            &server,
            &format!("{name}={}{beside}", encoded(value)),
            &format!("{name}: given \"{given}\", allowed {allowed}\n"),
        );
    }
}

#[test]
fn interval_is_the_time_between_two_events() {
    let server = Server::start();
    let begin = Instant::now();
    let reply = get(&server, "/events?interval=200&count=3&data=x");
    let took = begin.elapsed();
    assert_eq!(reply.text(), ":\n\ndata: x\n\ndata: x\n\ndata: x\n\n");
    assert!(took >= Duration::from_millis(600), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn interval_is_exact_to_the_millisecond() {
    for (target, waits) in [
        ("/events?interval=10", [10, 10, 10]),
        ("/events?interval=1234", [1234, 1234, 1234]),
        ("/stream?interval=7000", [0, 7000, 7000]),
    ] {
        let mut body = body_of(target).await;
        assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
        for wait in waits {
            let before = VirtualInstant::now();
            let block = frame(&mut body).await.unwrap();
            assert!(block.ends_with(b"\n\n"), "{block:?}");
            assert_eq!(before.elapsed(), Duration::from_millis(wait), "{target}");
        }
    }
}

#[test]
fn interval_is_10_to_3_600_000() {
    let good = ["10", "11", "1000", "3599999", "3600000"];
    let bad = [
        "9",
        "3600001",
        "0",
        "",
        "-10",
        "+10",
        " 10",
        "1e2",
        "10.0",
        "18446744073709551616",
    ];
    assert_bounds("interval", &good, &bad);
}

#[test]
fn count_ends_the_stream_after_that_many_events() {
    assert_eq!(
        body("/stream?interval=10&count=2"),
        ":\n\n\
         data: hello from server sent events ---- [0]\n\n\
         data: hello from server sent events ---- [1]\n\n"
    );
    assert_eq!(
        body("/stream?count=1"),
        ":\n\ndata: hello from server sent events ---- [0]\n\n"
    );
}

#[test]
fn count_is_1_to_1_000_000() {
    assert_bounds(
        "count",
        &["1", "2", "999999", "1000000"],
        &["0", "1000001", "", "x"],
    );
}

#[test]
fn event_names_each_event() {
    assert_eq!(
        body("/stream?interval=10&count=2&event=tick&data=x"),
        ":\n\nevent: tick\ndata: x\n\nevent: tick\ndata: x\n\n"
    );
    assert_eq!(
        body("/stream?count=1&event=%20a:%C3%A9&data=x"),
        ":\n\nevent:  a:é\ndata: x\n\n"
    );
}

#[test]
fn event_is_1_to_64_characters_without_line_end_or_nul() {
    let (most, more) = ("é".repeat(64), "é".repeat(65));
    assert_bounds(
        "event",
        &["a", &most[2..], &most],
        &["", &more, "a\nb", "a\rb", "a\0b"],
    );
}

#[test]
fn retry_is_the_first_line_of_the_first_event_only() {
    assert_eq!(
        body("/stream?interval=10&count=2&retry=1500&event=e&ids&data=x"),
        ":\n\nretry: 1500\nevent: e\nid: 0\ndata: x\n\nevent: e\nid: 1\ndata: x\n\n"
    );
}

#[test]
fn retry_is_0_to_3_600_000() {
    assert_bounds(
        "retry",
        &["0", "1", "3599999", "3600000"],
        &["3600001", "-1", ""],
    );
}

#[test]
fn ids_number_the_events_by_their_time() {
    let before = now();
    let text = body("/events?interval=10&count=3&ids");
    let after = now();
    let ids = ids(&text);
    assert!(
        before + 10 <= ids[0] && ids[2] <= after,
        "{before} {ids:?} {after}"
    );
    let events = time_events(&ids);
    assert_eq!(text, format!(":\n\n{events}"));
    assert_eq!([ids[1] - ids[0], ids[2] - ids[1]], [10, 10]);
}

#[test]
fn ids_have_no_value_or_true_or_false() {
    for (query, line) in [
        ("ids", "id: 0\n"),
        ("ids=", "id: 0\n"),
        ("ids=true", "id: 0\n"),
        ("ids=false", ""),
    ] {
        let text = body(&format!("/stream?count=1&data=x&{query}"));
        assert_eq!(text, format!(":\n\n{line}data: x\n\n"), "{query}");
    }
    assert_bounds("ids", &[""], &["TRUE", "1", "yes", " "]);
}

#[test]
fn data_is_the_whole_text_of_each_event() {
    for (data, fields) in [
        ("x", "data: x\n"),
        ("", "data: \n"),
        ("one%0Atwo", "data: one\ndata: two\n"),
        (
            "one%0D%0Atwo%0Dthree",
            "data: one\ndata: two\ndata: three\n",
        ),
        ("%0A", "data: \ndata: \n"),
        ("a+b%2B", "data: a b+\n"),
        ("%FF%C3", "data: \u{fffd}\u{fffd}\n"),
        ("%00", "data: \0\n"),
    ] {
        let text = body(&format!("/stream?count=1&data={data}"));
        assert_eq!(text, format!(":\n\n{fields}\n"), "{data}");
    }
}

#[test]
fn data_does_not_stop_the_counter_of_the_greetings() {
    let server = Server::start();
    get(&server, "/stream?interval=10&count=2&data=x");
    let text = get(&server, "/stream?count=1").text();
    assert_eq!(
        text,
        ":\n\ndata: hello from server sent events ---- [2]\n\n"
    );
}

#[test]
fn data_is_up_to_1_kib() {
    let (most, more) = ("é".repeat(512), "x".repeat(1025));
    assert_bounds("data", &["", &more[2..], &more[1..], &most], &[&more]);
}

#[test]
fn size_is_1_to_16_mib() {
    assert_bounds(
        "size",
        &["1", "2", "16777215", "16777216"],
        &["0", "16777217", "", "-1", "1e6", "18446744073709551616"],
    );
}

#[test]
fn wire_is_up_to_4096_bytes_after_decoding() {
    let (most, more) = ("x".repeat(4096), "x".repeat(4097));
    assert_bounds("wire", &["", "x", &most[1..], &most], &[&more]);
    let server = Server::start();
    let allowed = "up to 4096 bytes, in place of other events";
    for (wire, status) in [
        ("%0A".repeat(2500), "200 OK"),
        ("é".repeat(2048), "200 OK"),
        (format!("{}%C3%A9", &most[2..]), "200 OK"),
        (format!("{}%C3%A9", &most[1..]), "400 Bad Request"),
        (format!("{}%FF", &most[1..]), "200 OK"),
        (format!("{most}%FF"), "400 Bad Request"),
    ] {
        let reply = get(&server, &format!("/events?interval=0&wire={wire}"));
        assert_eq!(reply.status(), status);
        if status == "400 Bad Request" {
            let x = &most[..64];
            assert_eq!(
                reply.text(),
                format!("wire: given \"{x}\", allowed {allowed}\n")
            );
        }
    }
}

#[test]
fn echo_and_credentials_have_no_value_or_true_or_false() {
    for name in ["echo", "credentials"] {
        assert_bounds(name, &["", "true", "false"], &["TRUE", "1", "no", " "]);
    }
}

#[test]
fn comment_is_0_or_50_to_3_600_000() {
    assert_bounds(
        "comment",
        &["0", "50", "51", "3599999", "3600000"],
        &["1", "49", "3600001", "", "-1"],
    );
}

#[tokio::test(start_paused = true)]
async fn comment_is_the_silence_after_which_one_is_sent() {
    for (eol, end) in [("", "\n"), ("&eol=crlf", "\r\n"), ("&eol=cr", "\r")] {
        let [first, later] = [format!(":{end}{end}"), format!(":{end}")];
        let event = format!("data: x{end}{end}");
        let frames = [
            (0, first.as_str()),
            (50, &later),
            (100, &later),
            (120, &event),
            (170, &later),
            (220, &later),
            (240, &event),
        ];
        let target = format!("/events?interval=120&data=x&comment=50{eol}");
        assert_played(&target, &frames).await;
    }
    let frames = [
        (0, ":\n\n"),
        (0, "data: x\n\n"),
        (60, ":\n"),
        (70, "data: x\n\n"),
    ];
    assert_played("/stream?interval=70&data=x&comment=60", &frames).await;
    let often = [(0, ":\n\n"), (40, "data: x\n\n"), (80, "data: x\n\n")];
    assert_played("/events?interval=40&data=x&comment=50", &often).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_takes_its_time_is_no_silence() {
    let target = "/stream?interval=3600000&split=4&pace=10000&data=x";
    let frames = [
        (0, ":\n\n"),
        (10_000, "data"),
        (20_000, ": x\n"),
        (30_000, "\n"),
        (45_000, ":\n"),
        (60_000, ":\n"),
    ];
    assert_played(target, &frames).await;
}

#[tokio::test(start_paused = true)]
async fn comment_0_is_none_at_all() {
    let hour = [(3_600_000, "data: x\n\n"), (7_200_000, "data: x\n\n")];
    assert_played("/events?interval=3600000&data=x&comment=0", &hour).await;
    let hour = [(0, "data: x\n\n"), (3_600_000, "data: x\n\n")];
    assert_played("/stream?interval=3600000&data=x&comment=0", &hour).await;
    let stalled = [(0, "data: x\n\n"), (600_000, "")];
    assert_played("/stream?count=1&end=stall&data=x&comment=0", &stalled).await;
}

#[test]
fn key_names_the_stream_for_stats() {
    let server = Server::start();
    get(&server, "/stream?count=1&key=my.own_key-1");
    assert_eq!(server.stats_of("my.own_key-1").opened, 1);
    assert_eq!(server.stats_of("other").opened, 0);
}

#[test]
fn key_is_1_to_64_characters_of_a_few_kinds() {
    let (most, more) = ("k".repeat(64), "k".repeat(65));
    let kinds = "azAZ09._-";
    assert_bounds(
        "key",
        &["k", kinds, &most[1..], &most],
        &["", &more, "a b", "a/b", "é", "a\nb"],
    );
}

#[test]
fn last_event_id_takes_anything() {
    let long = "9".repeat(400);
    assert_bounds(
        "lastEventId",
        &["", "5", "x", "\0", "\n", "\u{fffd}", &long],
        &[],
    );
}

#[test]
fn the_faults_have_their_bounds() {
    let statuses = (["200", "201", "598", "599"], ["199", "600", "100", ""]);
    assert_bounds("status", &statuses.0, &statuses.1);
    assert_bounds("then", &statuses.0, &statuses.1);
    assert_bounds("delay", &["0", "1"], &["60001", "-1", "", "1s"]);
    assert_bounds(
        "end",
        &["clean", "abort", "truncate", "stall"],
        &["", "Clean", "kill"],
    );
    assert_bounds("split", &["1", "2", "1023", "1024"], &["0", "1025", ""]);
    assert_bounds("eol", &["lf", "cr", "crlf"], &["", "LF", "lfcr", "\n"]);
    assert_bounds("bom", &[""], &["true", "1"]);
    assert_bounds(
        "pace",
        &["1", "2", "9999", "10000"],
        &["0", "10001", "", "-1"],
    );
    assert_bounds(
        "redirect",
        &["301", "302", "303", "307", "308"],
        &[
            "", "200", "300", "304", "305", "306", "309", "0301", "301 ", "true",
        ],
    );
}

#[test]
fn responses_are_1_to_16_items_each_a_status_or_drop() {
    let most = ["503"; 16].join(",");
    let good = [
        "200",
        "drop",
        "599",
        "503,200",
        "drop,drop",
        "503,drop,200,204",
        &most,
    ];
    let bad = [
        "",
        ",",
        "503,",
        ",503",
        "503,,200",
        "503, 200",
        " 503",
        "503 ",
        "199",
        "600",
        "+503",
        "-1",
        "Drop",
        "DROP",
        "dropped",
        "503;200",
        "503x2",
        &format!("{most},200"),
    ];
    assert_bounds("responses", &good, &bad);
}

#[test]
fn header_is_1_to_5_lines_of_known_names_each_once() {
    let long = |length| format!("Retry-After:{}", "a".repeat(length));
    let all =
        "Cache-Control:a\nContent-Encoding:b\nContent-Type:c\nRetry-After:d\nX-Accel-Buffering:e";
    let good = [
        "Content-Type:text/html",
        "Content-Type:text/plain; charset=utf-8",
        "content-type:a",
        "CONTENT-TYPE:a",
        "Cache-Control:",
        "Content-Encoding:",
        "Content-Type:",
        "Retry-After:",
        "X-Accel-Buffering:",
        "Retry-After:~!",
        "Retry-After:a  b",
        "Retry-After::",
        "Retry-After:a:b",
        "Retry-After:1\nX-Accel-Buffering:yes",
        "Retry-After:\nContent-Type:",
        &long(1),
        &long(128),
        all,
        &all.to_lowercase(),
    ];
    let bad = [
        "",
        "\n",
        ":",
        ":a",
        "Retry-After",
        "Retry-After=1",
        " Retry-After:1",
        "Retry-After :1",
        "Retry-After: 1",
        "Retry-After:1 ",
        "Retry-After: ",
        "Retry-After:1\n",
        "\nRetry-After:1",
        "Retry-After:1\n\nContent-Type:a",
        "Retry-After:1\r\nContent-Type:a",
        "Retry-After:1\rContent-Type:a",
        "Retry-After:1\r",
        "Retry-After:a\tb",
        "Retry-After:\t",
        "Retry-After:a\0",
        "Retry-After:a\u{7f}",
        "Retry-After:é",
        "Retry-After:1\nRetry-After:2",
        "Retry-After:1\nretry-after:",
        "Retry-After:\nRetry-After:",
        "Set-Cookie:a=b",
        "Location:/",
        "Content-Length:1",
        "Transfer-Encoding:chunked",
        "Content-Security-Policy:",
        "X-Content-Type-Options:",
        "Access-Control-Allow-Origin:",
        "Content-Type-:a",
        &long(129),
        &format!("{all}\nX-Accel-Buffering:f"),
        &format!("{all}\n"),
    ];
    assert_bounds("header", &good, &bad);
}

#[tokio::test(start_paused = true)]
async fn the_longest_delay_is_a_minute() {
    for (delay, wait) in [("59999", 59_999), ("60000", 60_000)] {
        let request = Request::get(format!("/stream?delay={delay}")).body(nothing());
        let before = VirtualInstant::now();
        respond(request.unwrap(), Arc::default()).await;
        assert_eq!(before.elapsed(), Duration::from_millis(wait));
    }
}

#[test]
fn an_unknown_name_gets_the_list_of_known_ones() {
    let server = Server::start();
    for query in ["nope=1", "count=1&nope=1", "nope=1&nope=1"] {
        let line = format!("nope: given \"1\", allowed {ALLOWED}\n");
        assert_rejected(&server, query, &line);
    }
    for (name, query) in [("", "=1"), ("Count", "Count=1"), ("count ", "count+=1")] {
        let line = format!("{name}: given \"1\", allowed {ALLOWED}\n");
        assert_rejected(&server, query, &line);
    }
}

#[test]
fn a_name_occurs_once() {
    let server = Server::start();
    for parameter in parameters() {
        let (name, value) = match parameter.name {
            name @ ("interval" | "status" | "then") => (name, "200"),
            name @ ("count" | "retry" | "key" | "data" | "split" | "delay" | "event") => {
                (name, "1")
            }
            name @ ("lastEventId" | "size" | "wire" | "pace") => (name, "1"),
            name @ "comment" => (name, "0"),
            name @ "redirect" => (name, "301"),
            name @ "header" => (name, "Retry-After:1"),
            name @ "responses" => (name, "drop"),
            name @ "end" => (name, "stall"),
            name @ "eol" => (name, "cr"),
            name @ ("ids" | "bom" | "echo" | "credentials") => (name, ""),
            name => panic!("no value for {name}"),
        };
        assert_rejected(
            &server,
            &format!("{name}={value}&{name}={value}"),
            &format!("{name}: given \"{value}\", allowed once\n"),
        );
    }
}

#[test]
fn the_value_is_repeated_escaped_and_shortened_to_64_characters() {
    let server = Server::start();
    let allowed = "10 to 3600000 (ms), 0 only with wire";
    let (long, cut) = ("x".repeat(65), "x".repeat(64));
    for (given, repeated) in [
        (cut.as_str(), cut.as_str()),
        (&long, &cut),
        (&"é".repeat(65), &"é".repeat(64)),
        ("a\"b\\", "a\\\"b\\\\"),
        ("a\r\nb\0", "a\\r\\nb\\0"),
        ("\u{2028}\u{1b}", "\\u{2028}\\u{1b}"),
        ("\u{202e}", "\\u{202e}"),
    ] {
        let line = format!("interval: given \"{repeated}\", allowed {allowed}\n");
        assert_rejected(&server, &format!("interval={}", encoded(given)), &line);
    }
    let line = format!("{cut}: given \"\", allowed {ALLOWED}\n");
    assert_rejected(&server, &long, &line);
    let line = format!("a\\nb: given \"\", allowed {ALLOWED}\n");
    assert_rejected(&server, "a%0Ab", &line);
}

#[test]
fn an_end_needs_a_count() {
    let server = Server::start();
    for end in ["clean", "abort", "truncate", "stall"] {
        assert_rejected(
            &server,
            &format!("end={end}"),
            &format!(
                "end: given \"{end}\", allowed clean, abort, truncate or stall; only with count or wire\n"
            ),
        );
        let reply = Reply::to(
            &server,
            &format!("HEAD /events?end={end}&count=1 HTTP/1.1\r\n\r\n"),
        );
        assert_eq!(reply.status(), "200 OK");
    }
}

#[test]
fn options_that_cannot_go_together_or_alone_are_rejected() {
    let server = Server::start();
    for (pair, line) in [
        ("wire=a&data=x", "data: given \"x\", allowed not with wire"),
        ("wire=a&data=", "data: given \"\", allowed not with wire"),
        ("wire&data=x", "data: given \"x\", allowed not with wire"),
        (
            "wire=a&event=e",
            "event: given \"e\", allowed not with wire",
        ),
        (
            "wire=a&retry=0",
            "retry: given \"0\", allowed not with wire",
        ),
        ("wire=a&eol=lf", "eol: given \"lf\", allowed not with wire"),
        ("wire=a&bom", "bom: given \"\", allowed not with wire"),
        ("wire=a&size=1", "size: given \"1\", allowed not with wire"),
        ("wire=a&echo", "echo: given \"\", allowed not with wire"),
        (
            "wire=a&comment=50",
            "comment: given \"50\", allowed 0 with wire",
        ),
        (
            "wire=a&end=truncate",
            "end: given \"truncate\", allowed clean, abort or stall with wire",
        ),
        (
            "wire=a&status=204",
            "status: given \"204\", allowed with wire: 200 to 599 except 204, 205 and 304, which have no body",
        ),
        (
            "wire=&status=205",
            "status: given \"205\", allowed with wire: 200 to 599 except 204, 205 and 304, which have no body",
        ),
        (
            "wire=a&status=304&key=k",
            "status: given \"304\", allowed with wire: 200 to 599 except 204, 205 and 304, which have no body",
        ),
        (
            "size=1&data=x",
            "size: given \"1\", allowed 1 to 16777216 (bytes), not with data",
        ),
        (
            "size=1&data=",
            "size: given \"1\", allowed 1 to 16777216 (bytes), not with data",
        ),
        (
            "pace=1",
            "pace: given \"1\", allowed 1 to 10000 (ms), only with split",
        ),
        (
            "redirect=301&status=503",
            "redirect: given \"301\", allowed 301, 302, 303, 307 or 308, not with status",
        ),
        (
            "redirect=301&status=200",
            "redirect: given \"301\", allowed 301, 302, 303, 307 or 308, not with status",
        ),
        ("responses=503,200", RESPONSES),
        ("responses=503,200&status=500", RESPONSES),
        ("responses=503,200&then=204", RESPONSES),
        ("responses=503,200&key=k&status=500", RESPONSES),
        ("responses=503,200&key=k&status=200", RESPONSES),
        ("responses=503,200&key=k&then=204", RESPONSES),
        ("responses=503,200&key=k&then=204&redirect=301", RESPONSES),
        (
            "interval=0",
            "interval: given \"0\", allowed 10 to 3600000 (ms), 0 only with wire",
        ),
        (
            "interval=0&count=1",
            "interval: given \"0\", allowed 10 to 3600000 (ms), 0 only with wire",
        ),
    ] {
        let mut turned: Vec<_> = pair.split('&').collect();
        turned.reverse();
        for query in [pair, &turned.join("&")] {
            assert_rejected(&server, query, &format!("{line}\n"));
            let reply = post(&server, &format!("/stream?{query}"), "hello");
            assert_eq!(reply.status(), "400 Bad Request", "{query}");
            assert_eq!(reply.text(), format!("{line}\n"));
        }
    }
    // A client that reconnects gets the same reconnection time.
    let reply = come_back(&server, "/events?then=204&responses=200", "1");
    assert_eq!(reply.status(), "400 Bad Request");
}

#[test]
fn options_that_are_allowed_with_a_wire_have_their_effect() {
    let server = Server::start();
    for query in [
        "interval=0",
        "interval=10",
        "ids",
        "count=1",
        "lastEventId=1",
        "split=1&pace=1",
        "header=Content-Type:a/b",
        "credentials",
        "status=404",
        "status=200",
        "delay=1",
        "redirect=301",
        "then=204",
        "end=clean",
        "end=abort",
        "end=stall",
        "key=k&responses=503,200,204",
        "key=k&responses=drop",
        "comment=0",
        "echo=false",
    ] {
        for query in [format!("wire=a&{query}"), format!("{query}&wire=a")] {
            let target = format!("/events?{query}");
            assert!(is_followed(&server, &target), "{query}");
        }
    }
    for interval in ["1", "9", "3600001", "-0", ""] {
        let line = format!(
            "interval: given \"{interval}\", allowed 10 to 3600000 (ms), 0 only with wire\n"
        );
        let query = format!("wire=a&interval={interval}");
        assert_rejected(&server, &query, &line);
    }
}

const RESPONSES: &str = "responses: given \"503,200\", allowed 1 to 16 items separated by \
                         commas, each 200 to 599 or drop; with key, not with status or then";

/// Each option in a query string, and the resulting stream with one `x`.
const EFFECTS: &[(&str, u16, &str)] = &[
    (
        "interval=10&count=2&data=x",
        200,
        ":\n\ndata: x\n\ndata: x\n\n",
    ),
    ("event=e&count=1&data=x", 200, ":\n\nevent: e\ndata: x\n\n"),
    ("retry=5&count=1&data=x", 200, ":\n\nretry: 5\ndata: x\n\n"),
    (
        "ids&interval=10&count=1&data=x",
        200,
        ":\n\nid: 0\ndata: x\n\n",
    ),
    ("lastEventId=0&count=1&data=x", 200, ":\n\ndata: x\n\n"),
    ("size=3&count=1", 200, ":\n\ndata: xxx\n\n"),
    ("wire=a%0A%0Ab", 200, "a\n\nb"),
    (
        "echo&count=1&data=x",
        200,
        ":\n\nevent: request\ndata: {}\n\ndata: x\n\n",
    ),
    ("split=2&pace=10&count=1&data=x", 200, ":\n\ndata: x\n\n"),
    ("eol=crlf&count=1&data=x", 200, ":\r\n\r\ndata: x\r\n\r\n"),
    ("bom&count=1&data=x", 200, "\u{feff}:\n\ndata: x\n\n"),
    ("comment=0&count=1&data=x", 200, "data: x\n\n"),
    (
        "header=Content-Type:a/b&count=1&data=x",
        200,
        ":\n\ndata: x\n\n",
    ),
    ("credentials&count=1&data=x", 200, ":\n\ndata: x\n\n"),
    ("status=404", 404, "404 Not Found\n"),
    ("status=404&wire=a%0A%0Ab", 404, "a\n\nb"),
    ("delay=5&count=1&data=x", 200, ":\n\ndata: x\n\n"),
    ("redirect=301", 301, "301 Moved Permanently\n"),
    ("then=404&count=1&data=x", 200, ":\n\ndata: x\n\n"),
    ("end=truncate&count=1&data=x", 200, ":\n\ndata: x\n\ndata"),
    ("key=k&count=1&data=x", 200, ":\n\ndata: x\n\n"),
    ("responses=503,200&key=k", 503, "503 Service Unavailable\n"),
    (
        "responses=200,204&key=k&count=1&data=x",
        200,
        ":\n\ndata: x\n\n",
    ),
];

/// `text` without the parts that depend on time.
fn timeless(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match line {
        line if line.starts_with("id: ") => "id: 0\n",
        line if line.starts_with("data: {") => "data: {}\n",
        line => line,
    });
    lines.collect()
}

#[tokio::test(start_paused = true)]
async fn each_option_has_the_same_effect_on_both_paths_and_over_post() {
    for parameter in parameters() {
        let name = parameter.name;
        let mut queries = EFFECTS.iter().flat_map(|(query, ..)| query.split('&'));
        assert!(
            queries.any(|pair| pair.split('=').next() == Some(name)),
            "{name}"
        );
    }
    for (query, status, sent) in EFFECTS {
        for path in ["/events", "/stream"] {
            for (method, content) in [("GET", ""), ("POST", ""), ("POST", "hello")] {
                let target = format!("{path}?{query}");
                // A clock with ids needs real time.
                if query.starts_with("ids") {
                    tokio::time::resume();
                }
                let request = Request::builder().method(method).uri(&target);
                let request = request.body(Full::new(Bytes::from(content))).unwrap();
                let response = respond(request, Arc::default()).await;
                assert_eq!(response.status(), *status, "{method} {target}");
                let body = whole(&mut Box::pin(response.into_body())).await;
                let body = String::from_utf8(body).unwrap();
                assert_eq!(timeless(&body), *sent, "{method} {target}");
                if query.starts_with("ids") {
                    tokio::time::pause();
                }
            }
        }
    }
}

#[test]
fn a_bad_option_is_reported_only_when_path_and_method_are_right() {
    let server = Server::start();
    for (request, status) in [
        ("HEAD /events?x HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("OPTIONS /events?x HTTP/1.1\r\n\r\n", "204 No Content"),
        ("PUT /events?x HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (
            "PUT /events?x HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
            "413 Payload Too Large",
        ),
        ("POST /events?x HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (
            "GET /events?x HTTP/1.1\r\nHost: twice\r\n\r\n",
            "400 Bad Request",
        ),
        ("GET /nowhere?x HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /events/?x HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /?x HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET /stats?x HTTP/1.1\r\n\r\n", "400 Bad Request"),
    ] {
        assert_eq!(Reply::to(&server, request).status(), status, "{request}");
    }
    let reply = Reply::to(&server, "HEAD /stream?x HTTP/1.1\r\n\r\n");
    assert_eq!(reply.bytes(), b"");
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn a_head_request_with_options_gets_the_headers_of_the_stream_and_opens_none() {
    let server = Server::start();
    let reply = Reply::to(&server, "HEAD /events?count=1&interval=10 HTTP/1.1\r\n\r\n");
    assert_eq!(reply.status(), "200 OK");
    assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
    assert_eq!(reply.bytes(), b"");
    assert_eq!(server.stats().opened, 0);
}

#[test]
fn a_stream_with_options_starts_in_one_write_with_its_response_head() {
    let server = Server::start();
    for (query, begin) in [
        ("interval=60000", ":\n\n"),
        ("interval=60000&bom", "\u{feff}:\n\n"),
        ("interval=60000&bom&eol=crlf", "\u{feff}:\r\n\r\n"),
        ("key=k", ":\n\n"),
        ("ids=false", ":\n\n"),
    ] {
        let mut client = server.send(format!(
            "GET /events?{query} HTTP/1.1\r\nHost: clock\r\n\r\n"
        ));
        let mut bytes = [0; 4096];
        let length = client.0.read(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").expect("a whole head");
        assert_eq!(body, format!("{:X}\r\n{begin}\r\n", begin.len()), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn fifteen_seconds_after_the_last_byte_comes_a_comment() {
    for (query, eol) in [
        ("", "\n"),
        ("&eol=cr", "\r"),
        ("&eol=crlf", "\r\n"),
        ("&ids", "\n"),
        ("&count=1", "\n"),
    ] {
        let mut body = body_of(&format!("/events?interval=40000&data=x{query}")).await;
        let mut waits = Vec::new();
        for number in 0..4 {
            let before = VirtualInstant::now();
            let block = frame(&mut body).await.unwrap();
            let seconds = before.elapsed().as_secs();
            // The first stream has an empty line, which some clients treat as an event later on.
            let ends = if number == 0 { 2 } else { 1 };
            let is_comment = block == format!(":{}", eol.repeat(ends));
            waits.push((if is_comment { "comment" } else { "event" }, seconds));
        }
        if query == "&ids" {
            // The wall clock, which times a tick with an id, is not paused.
            assert_eq!(
                waits[..3],
                [("comment", 0), ("comment", 15), ("comment", 15)]
            );
        } else {
            let expected = [
                ("comment", 0),
                ("comment", 15),
                ("comment", 15),
                ("event", 10),
            ];
            assert_eq!(waits, expected, "{query}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_sends_enough_has_no_comments() {
    let mut body = body_of("/events?interval=15000&data=x&count=3").await;
    let mut text = String::new();
    while let Some(block) = frame(&mut body).await {
        text.push_str(std::str::from_utf8(&block).unwrap());
    }
    assert_eq!(text, ":\n\ndata: x\n\ndata: x\n\ndata: x\n\n");
}

#[test]
fn a_stream_without_options_is_the_examples_to_the_byte() {
    for query in ["", "?", "?&", "?_", "?_=1&_=2", "?&%5F=%zz&__x=/v1&"] {
        let server = Server::start();
        let (head, mut client) = server.get(&format!("/stream{query}"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let greeting = |number| format!("data: hello from server sent events ---- [{number}]\n\n");
        assert_eq!(client.chunk(), greeting(0).as_bytes());
        assert_eq!(client.chunk(), greeting(1).as_bytes());
    }
    let server = Server::start();
    let before = now();
    let (_, mut client) = server.get("/events");
    let chunk = String::from_utf8(client.chunk()).unwrap();
    let moments = (before + 1000..=now()).map(sse_clock::stream::time::to_locale_time_string);
    let events: Vec<_> = moments.map(|time| format!("data: {time}\n\n")).collect();
    assert!(events.contains(&chunk), "{chunk}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_options_has_no_comments() {
    for target in ["/events", "/events?_=1&_key=k"] {
        let mut body = body_of(target).await;
        for number in 0..60 {
            let before = VirtualInstant::now();
            let block = frame(&mut body).await.unwrap();
            assert!(block.starts_with(b"data: "), "{block:?}");
            // The first tick may be delayed, so that timers fire together.
            let late = before.elapsed().saturating_sub(Duration::from_secs(1));
            let most = Duration::from_millis(if number == 0 { 8 } else { 0 });
            assert!(late <= most, "event {number} is {late:?} late");
        }
    }
}

/// A response without its date.
fn dateless(reply: &Reply) -> (Vec<String>, Vec<u8>) {
    let lines = reply.head.lines();
    let lines = lines.filter(|line| !line.starts_with("Date: "));
    (lines.map(str::to_owned).collect(), reply.bytes())
}

#[test]
fn a_name_that_begins_with_an_underscore_changes_nothing_on_any_route() {
    let server = Server::start();
    get(&server, "/stream?count=1&key=k");
    for (method, target) in [
        ("GET", "/stream?count=1&data=x"),
        ("HEAD", "/events?count=1"),
        ("HEAD", "/events"),
        ("POST", "/events?status=404"),
        ("OPTIONS", "/events"),
        ("PUT", "/events"),
        ("GET", "/events?interval=9"),
        ("GET", "/events?nope"),
        ("GET", "/"),
        ("GET", "/cases"),
        ("HEAD", "/cases"),
        ("GET", "/stats"),
        ("GET", "/stats?key=k"),
        ("GET", "/stats?key=k&key=k"),
        ("GET", "/stats?nope"),
        ("PUT", "/stats"),
        ("GET", "/nowhere"),
    ] {
        let received = |target: &str| {
            let request = format!("{method} {target} HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
            dateless(&Reply::to(&server, &request))
        };
        let plain = received(target);
        let mark = if target.contains('?') { '&' } else { '?' };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        for own in [
            "_",
            "_=1&_=2&_=1",
            "_key=k&_nope&%5finterval=9",
            "__=%00%ff",
        ] {
            assert_eq!(received(&format!("{target}{mark}{own}")), plain, "{own}");
            assert_eq!(received(&format!("{path}?{own}&{query}")), plain, "{own}");
        }
    }
}

#[test]
fn only_a_name_that_begins_with_an_underscore_is_ignored() {
    let server = Server::start();
    for (query, name) in [
        ("a_=1", "a_"),
        ("+_=1", " _"),
        ("%20_=1", " _"),
        ("-_=1", "-_"),
    ] {
        let line = format!("{name}: given \"1\", allowed {ALLOWED}\n");
        assert_rejected(&server, &format!("_=1&{query}"), &line);
    }
}

#[test]
fn a_redirect_and_an_echo_keep_the_names_that_begin_with_an_underscore() {
    let server = Server::start();
    let reply = get(&server, "/events?_=%zz&redirect=301&%5F=2&count=1&_=3");
    assert_eq!(
        reply.header("Location"),
        Some("/events?_=%zz&%5F=2&count=1&_=3")
    );
    let text = get(&server, "/stream?_=%zz&echo&count=1&_x=/v1&_=3").text();
    let target = "\"target\":\"/stream?_=%zz&echo&count=1&_x=/v1&_=3\"";
    assert!(text.contains(target), "{text}");
}

#[test]
fn a_path_that_a_client_appends_is_swallowed_behind_an_underscore() {
    let server = Server::start();
    for base in ["/stream?count=1&data=x&_=", "/stream?_=1&count=1&data=x&_="] {
        for appended in [
            "/v1/messages",
            "/chat/completions?beta=true",
            "/a=b/c?d&_=e",
            "",
        ] {
            let reply = post(&server, &format!("{base}{appended}"), "{}");
            assert_eq!(reply.text(), ":\n\ndata: x\n\n", "{base}{appended}");
        }
    }
}
