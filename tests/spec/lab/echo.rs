//! The `echo` event, which describes the client's request.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::Config as ProptestConfig;
use serde_json::{Value, json};
use sse_clock::service::respond;
use tokio::runtime::Builder;

use crate::support::reply::{Reply, come_back, encoded, frame, get, post};
use crate::support::{Server, Serves};

/// The most bytes that the JSON of an echo has.
const MAX_ECHO: usize = 4096;

/// The JSON of an echo in its event, which has no other field.
#[track_caller]
fn described(event: &str) -> Value {
    let json = event.strip_prefix("event: request\ndata: ");
    let json = json.and_then(|rest| rest.strip_suffix("\n\n"));
    let json = json.unwrap_or_else(|| panic!("{event:?}"));
    assert!(json.len() <= MAX_ECHO, "{} bytes", json.len());
    serde_json::from_str(json).expect("JSON")
}

/// The echo of `request` in a stream that ends after its first event.
#[track_caller]
fn echo(server: &Server, request: &str) -> Value {
    description_by(&Reply::to(server, request))
}

#[track_caller]
fn description_by(reply: &Reply) -> Value {
    let text = reply.text();
    let blocks: Vec<_> = text.split_inclusive("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{text}");
    assert_eq!((blocks[0], blocks[2]), (":\n\n", "data: x\n\n"));
    described(blocks[1])
}

#[test]
fn an_echo_is_the_first_event_and_describes_the_request() {
    let server = Server::start();
    let reply = get(&server, "/stream?echo&count=1&data=x");
    assert_eq!(
        reply.text(),
        ":\n\nevent: request\ndata: {\"method\":\"GET\",\"target\":\"/stream?echo&count=1&data=x\",\
         \"headers\":{\"host\":\"clock\",\"connection\":\"…\"},\"body\":\"\"}\n\n\
         data: x\n\n"
    );
    assert_eq!(reply.chunks.len(), 3);
    for query in ["echo=true", "echo="] {
        let target = format!("/stream?{query}&count=1&data=x");
        let expected = json!({
            "method": "GET",
            "target": target,
            "headers": { "host": "clock", "connection": "…" },
            "body": "",
        });
        assert_eq!(description_by(&get(&server, &target)), expected);
    }
    let none = get(&server, "/stream?echo=false&count=1&data=x").text();
    assert_eq!(none, ":\n\ndata: x\n\n");
}

#[test]
fn an_echo_describes_the_content() {
    let server = Server::start();
    for (content, body) in [
        (&b"hello"[..], "hello"),
        (b"", ""),
        (b"{\"a\":\"\\u0000\"}\r\n\0", "{\"a\":\"\\u0000\"}\r\n\0"),
        (b"\xff\xc3(\xf0\x9f\x98", "\u{fffd}\u{fffd}(\u{fffd}"),
        ("é🕒\u{2028}".as_bytes(), "é🕒\u{2028}"),
        (b"data: a\n\ndata: b\r\r", "data: a\n\ndata: b\r\r"),
    ] {
        let reply = post(&server, "/stream?echo&count=1&data=x", content);
        let described = description_by(&reply);
        assert_eq!(described["method"], "POST");
        assert_eq!(described["body"], body);
        assert_eq!(described["cut"], Value::Null);
        assert_eq!(
            described["headers"]["content-length"],
            content.len().to_string()
        );
    }
    let chunked = "POST /events?echo&count=1&data=x&interval=10 HTTP/1.1\r\n\
                   Transfer-Encoding: chunked\r\n\r\n\
                   3\r\nhel\r\n2;extension=x\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
    let described = echo(&server, chunked);
    assert_eq!(described["body"], "hello");
    assert_eq!(described["headers"]["transfer-encoding"], "…");
    assert_eq!(described["headers"]["trailer"], Value::Null);
}

#[test]
fn an_echo_has_names_in_lower_case_and_repeated_headers_joined() {
    let server = Server::start();
    let request = "GET /stream?echo&count=1&data=x HTTP/1.1\r\n\
                   X-Test-One: a\r\nACCEPT: text/event-stream\r\nx-test-ONE: b, c\r\n\
                   X-Test-Bad: \u{e9}\r\nLast-Event-ID: 7\r\nX-Test-Empty:\r\n\
                   x-test-one: d\r\n\r\n";
    let headers = echo(&server, request)["headers"].clone();
    let expected = json!({
        "host": "clock",
        "connection": "…",
        "x-test-one": "a, b, c, d",
        "accept": "text/event-stream",
        "x-test-bad": "\u{e9}",
        "last-event-id": "7",
        "x-test-empty": "",
    });
    assert_eq!(headers, expected);
    let bad = [
        b"GET /stream?echo&count=1&data=x HTTP/1.1\r\nHost: clock\r\nX-Test-X: \xff\r\n".as_slice(),
        b"Connection: close\r\n\r\n",
    ];
    let reply = Reply::read(server.send(bad.concat()));
    assert_eq!(description_by(&reply)["headers"]["x-test-x"], "\u{fffd}");
}

#[test]
fn an_echo_has_the_values_of_headers_that_a_client_sets_itself() {
    let server = Server::start();
    let names = [
        "Accept",
        "Accept-Language",
        "Cache-Control",
        "Content-Type",
        "Last-Event-ID",
        "Origin",
        "Referer",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "User-Agent",
        "X-Test-One",
        "X-TEST-",
    ];
    let lines = names.map(|name| format!("{name}: value-of-it\r\n"));
    let head = "GET /stream?echo&count=1&data=x HTTP/1.1\r\n";
    let described = echo(&server, &format!("{head}{}\r\n", lines.concat()));
    for name in names {
        assert_eq!(
            described["headers"][name.to_lowercase()],
            "value-of-it",
            "{name}"
        );
    }
    assert_eq!(described["headers"]["host"], "clock");
    let described = description_by(&post(&server, "/stream?echo&count=1&data=x", "hello"));
    assert_eq!(described["headers"]["content-length"], "5");
}

/// Headers with secrets of the client, headers in which proxies name the client and its address,
/// and names similar to those of headers with visible values.
#[test]
fn an_echo_has_the_name_of_any_other_header_without_its_value() {
    let server = Server::start();
    let names = [
        "Cookie",
        "Set-Cookie",
        "Authorization",
        "Proxy-Authorization",
        "X-CSRF-Token",
        "Cf-Access-Jwt-Assertion",
        "Cf-Access-Authenticated-User-Email",
        "Cf-Connecting-IP",
        "True-Client-IP",
        "Fastly-Client-IP",
        "Tailscale-User-Login",
        "Remote-User",
        "Remote-Email",
        "X-Remote-User",
        "X-Auth-Request-Email",
        "X-Goog-Authenticated-User-Email",
        "X-MS-Client-Principal-Name",
        "X-Amzn-Oidc-Identity",
        "X-Webauth-User",
        "X-SSL-Client-S-DN",
        "Ssl-Client-Cert",
        "Client-Cert",
        "X-Client-Cert",
        "X-Real-IP",
        "Forwarded",
        "X-Forwarded-For",
        "Via",
        "X-Request-ID",
        "Traceparent",
        "Idempotency-Key",
        "From",
        "If-None-Match",
        "Accept-Encoding",
        "Sec-Fetch",
        "Sec-Fetcher",
        "Sec-CH-UA",
        "X-Test",
        "X-Tester",
        "Accepted",
        "X-Accept",
        "monkeys",
    ];
    let lines = names.map(|name| format!("{name}: value-of-it\r\n{name}: value-of-it\r\n"));
    let head = "GET /stream?echo&count=1&data=x HTTP/1.1\r\n";
    let reply = Reply::to(&server, &format!("{head}{}\r\n", lines.concat()));
    assert!(!reply.text().contains("value-of-it"), "{}", reply.text());
    let described = description_by(&reply);
    for name in names {
        assert_eq!(described["headers"][name.to_lowercase()], "…", "{name}");
    }
    let long = format!("{head}Cookie: {}\r\n\r\n", "x".repeat(6000));
    let described = echo(&server, &long);
    assert_eq!(described["headers"]["cookie"], "…");
    assert_eq!(described["cut"], Value::Null);
}

#[test]
fn an_echo_has_the_request_target_as_it_arrived() {
    let server = Server::start();
    for (target, described) in [
        (
            "/stream?echo&count=1&data=%78",
            "/stream?echo&count=1&data=%78",
        ),
        (
            "/stream?&echo&&count=1&data=x&",
            "/stream?&echo&&count=1&data=x&",
        ),
        (
            "http://elsewhere/stream?echo&count=1&data=x",
            "/stream?echo&count=1&data=x",
        ),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        assert_eq!(echo(&server, &request)["target"], described);
    }
}

#[test]
fn an_echo_has_the_retry_line_and_no_id_and_is_not_counted() {
    let server = Server::start();
    let target = "/stream?echo&count=2&interval=10&data=x&ids&event=e&retry=5&key=k";
    let text = get(&server, target).text();
    let blocks: Vec<_> = text.split_inclusive("\n\n").collect();
    assert_eq!(blocks.len(), 4, "{text}");
    let begin = "retry: 5\nevent: request\ndata: {\"method\":\"GET\",";
    assert!(blocks[1].starts_with(begin), "{text}");
    assert_eq!(blocks[1].lines().count(), 4, "{text}");
    assert_eq!(blocks[2], "event: e\nid: 0\ndata: x\n\n");
    assert_eq!(blocks[3], "event: e\nid: 1\ndata: x\n\n");
    assert_eq!(server.stats_of("k").events, 2);
}

#[test]
fn an_echo_is_the_first_event_of_each_connection_ahead_of_a_gap() {
    let server = Server::start();
    let target = "/events?ids&interval=10&count=1&data=x&echo";
    for id in ["0", "5"] {
        let text = come_back(&server, target, id).text();
        let blocks: Vec<_> = text.split_inclusive("\n\n").collect();
        assert_eq!(blocks.len(), 4, "{text}");
        assert_eq!(described(blocks[1])["headers"]["last-event-id"], id);
        assert!(blocks[2].starts_with("event: gap\n"), "{text}");
    }
}

#[test]
fn an_echo_comes_at_once_with_the_requested_framing() {
    let server = Server::start();
    let (_, mut client) = server.get("/events?echo&interval=3600000&split=1024");
    assert_eq!(client.chunk(), b":\n\n");
    assert!(client.chunk().starts_with(b"event: request\n"));
    let text = post(
        &server,
        "/stream?echo&count=1&size=2&eol=crlf&bom",
        "a\nb\r",
    )
    .text();
    assert!(
        text.starts_with("\u{feff}:\r\n\r\nevent: request\r\ndata: {"),
        "{text}"
    );
    assert!(
        text.ends_with("\"body\":\"a\\nb\\r\"}\r\n\r\ndata: xx\r\n\r\n"),
        "{text}"
    );
}

#[test]
fn an_echo_with_any_content_type_never_runs_as_code() {
    let server = Server::start();
    let target = "/stream?echo&count=1&data=x&header=Content-Type:text/html";
    let reply = post(&server, target, "<script>");
    assert_eq!(description_by(&reply)["body"], "<script>");
    assert_eq!(reply.header("Content-Type"), Some("text/html"));
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(
        reply.header("Content-Security-Policy"),
        Some("sandbox; default-src 'none'")
    );
}

/// The JSON of the echo of a request with these headers and this content, without a server.
fn echo_of(target: &str, headers: &[(String, Vec<u8>)], content: &[u8]) -> String {
    let mut request = Request::post(target);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request = request.header(name, HeaderValue::from_bytes(value).unwrap());
    }
    let content = Full::new(Bytes::copy_from_slice(content));
    let request = request.body(content).unwrap();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let event = runtime.block_on(async {
        let response = respond(request, std::sync::Arc::default()).await;
        frame(&mut Box::pin(response.into_body())).await.unwrap()
    });
    let event = String::from_utf8(event.to_vec()).expect("UTF-8");
    let json = event.strip_prefix("event: request\ndata: ").unwrap();
    json.strip_suffix("\n\n").unwrap().to_owned()
}

const TARGET: &str = "/events?echo&comment=0&data=";

#[test]
fn an_echo_first_shortens_the_body() {
    let headers = [("x-test-a".to_owned(), b"b".to_vec())];
    let around = echo_of(TARGET, &headers, b"").len();
    let fits = MAX_ECHO - around;
    let json = echo_of(TARGET, &headers, "x".repeat(fits).as_bytes());
    assert_eq!(json.len(), MAX_ECHO);
    assert!(!json.contains("\"cut\""), "{json}");

    let cut = ",\"cut\":true".len();
    for content in [fits + 1, fits + 100, 5000, 1 << 20] {
        let json = echo_of(TARGET, &headers, "x".repeat(content).as_bytes());
        let body = "x".repeat(fits - cut);
        assert!(
            json.ends_with(&format!("\"body\":\"{body}\",\"cut\":true}}")),
            "{content}"
        );
        assert_eq!(json.len(), MAX_ECHO);
        assert!(json.contains("\"headers\":{\"x-test-a\":\"b\"}"));
    }
    // A whole character is cut off, and so is its escape sequence.
    let json = echo_of(TARGET, &headers, "\0".repeat(1000).as_bytes());
    let body = "\\u0000".repeat((fits - cut) / 6);
    assert!(json.ends_with(&format!("\"body\":\"{body}\",\"cut\":true}}")));
}

#[test]
fn an_echo_then_drops_the_last_headers() {
    let headers: Vec<_> = (0..10)
        .map(|k| (format!("x-test-{k}"), vec![b'v'; 600]))
        .collect();
    for content in [&b""[..], b"body"] {
        let described: Value = serde_json::from_str(&echo_of(TARGET, &headers, content)).unwrap();
        let kept: Vec<_> = described["headers"].as_object().unwrap().keys().collect();
        let first = ["0", "1", "2", "3", "4", "5"].map(|k| format!("x-test-{k}"));
        assert_eq!(kept, first.iter().collect::<Vec<_>>());
        assert_eq!(
            (&described["body"], &described["cut"]),
            (&json!(""), &json!(true))
        );
        assert_eq!(described["target"], TARGET);
    }
}

#[test]
fn an_echo_last_shortens_the_target() {
    let headers = [("x-test-a".to_owned(), b"b".to_vec())];
    let target = format!("/events?echo&comment=0&lastEventId={}", "x".repeat(5000));
    let json = echo_of(&target, &headers, b"body");
    let described: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.len(), MAX_ECHO);
    assert!(target.starts_with(described["target"].as_str().unwrap()));
    assert_eq!(described["headers"], json!({}));
    assert_eq!(
        (&described["body"], &described["cut"]),
        (&json!(""), &json!(true))
    );
}

#[test]
fn an_echo_of_an_http_1_0_request_without_headers_is_shortened_too() {
    let server = Server::start();
    let id = "9".repeat(6000);
    let target = format!("/events?echo&interval=10&count=1&lastEventId={id}");
    let response = server.exchange(format!("GET {target} HTTP/1.0\r\n\r\n"));
    let json = response
        .split("data: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert_eq!(json.len(), 4096);
    let described: Value = serde_json::from_str(json).unwrap();
    assert!(target.starts_with(described["target"].as_str().unwrap()));
    assert_eq!(described["cut"], true);
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        "[a-zA-Z-]{1,30}",
        "x-test-[a-z]{0,9}",
        select(vec!["cookie".to_owned(), "x".to_owned()]),
    ];
    let value = prop_oneof![vec(32..=126_u8, 0..20), vec(128..=255_u8, 0..2000)];
    (name, value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_echo_is_json_of_at_most_4_kib_and_names_what_is_missing(
        data in vec(any::<u8>(), 0..1500),
        headers in vec(header(), 0..20),
        content in prop_oneof![
            vec(any::<u8>(), 0..200),
            vec(any::<u8>(), 3500..5000),
            vec(select(b"\0\"\\\nx".as_slice()), 0..2000),
        ],
    ) {
        let target = format!("/events?echo&comment=0&lastEventId={}", encoded(data));
        let json = echo_of(&target, &headers, &content);
        prop_assert!(json.len() <= MAX_ECHO, "{} bytes", json.len());
        let described: Value = serde_json::from_str(&json).unwrap();
        let names: std::collections::BTreeSet<_> =
            headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        let body = String::from_utf8_lossy(&content);
        let described_body = described["body"].as_str().unwrap();
        let described_target = described["target"].as_str().unwrap();
        let described_headers = described["headers"].as_object().unwrap().len();
        prop_assert!(body.starts_with(described_body));
        prop_assert!(target.starts_with(described_target));
        let all = (described_body == body, described_headers == names.len(), described_target == target);
        prop_assert_eq!(described.get("cut").is_some(), all != (true, true, true));
        // The body is dropped before the headers, and the headers before the target.
        prop_assert!(all.1 || described_body.is_empty());
        prop_assert!(all.2 || described_headers == 0);
    }
}
