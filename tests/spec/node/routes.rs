//! The raw response to each request.

use crate::support::{Server, Serves};

const PATHS: [&str; 5] = ["/", "/cases", "/events", "/stream", "/stats"];

/// The files that are compiled in.
const FILES: [(&str, &str); 2] = [
    ("/", include_str!("../../../public/index.html")),
    ("/cases", include_str!("../../../public/cases.json")),
];

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\n\
    Connection: keep-alive\r\n\
    Access-Control-Allow-Origin: *\r\n\
    Access-Control-Allow-Methods: GET\r\n\
    Access-Control-Allow-Headers: Content-Type\r\n\
    X-Accel-Buffering: no\r\n";

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Access-Control-Allow-Origin: *\r\n\
    Content-Length: 9\r\n\
    \r\n\
    Not Found";

const METHOD_NOT_ALLOWED: &str = "HTTP/1.1 405 Method Not Allowed\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Access-Control-Allow-Origin: *\r\n\
    Allow: GET, HEAD, OPTIONS\r\n\
    Content-Length: 19\r\n\
    \r\n\
    Method Not Allowed\n";

/// The response before the server closes a connection on which the client may still send.
fn and_close(response: &str) -> String {
    response.replace("Content-Length: ", "Connection: close\r\nContent-Length: ")
}

/// The 405 of a path that allows POST, which other paths do not.
fn with_post(path: &str, response: &str) -> String {
    if !["/cases", "/events", "/stream"].contains(&path) {
        return response.to_owned();
    }
    let response = response.replace(
        "Allow: GET, HEAD, OPTIONS",
        "Allow: GET, HEAD, POST, OPTIONS",
    );
    let methods = "Access-Control-Allow-Methods: GET";
    response.replace(methods, &format!("{methods}, POST"))
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n\r\n";

const PAYLOAD_TOO_LARGE: &str = "HTTP/1.1 413 Payload Too Large\r\n\
    Connection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 27\r\n\
    \r\n\
    only POST may have content\n";

const WHICH_HOST: &str = "HTTP/1.1 400 Bad Request\r\n\
    Connection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 33\r\n\
    \r\n\
    a request needs exactly one Host\n";

const BAD_REQUEST: &str =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

const TOO_LARGE_A_HEAD: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Connection: close\r\nContent-Length: 0\r\n\r\n";

/// A second request: a response to it would be visible.
const FAKE: &str = "GET /fake HTTP/1.1\r\nHost: clock\r\n\r\n";

/// `response` without the Date line, which every response head must have.
#[track_caller]
fn dateless(response: &str) -> String {
    let (before, date) = response
        .split_once("Date: ")
        .unwrap_or_else(|| panic!("no Date in {response:?}"));
    let (date, after) = date.split_once("\r\n").unwrap();
    assert_eq!(date.len(), "Sat, 21 Nov 2026 04:30:52 GMT".len(), "{date}");
    assert!(date.ends_with(" GMT"), "{date}");
    format!("{before}{after}")
}

/// Everything that `server` sends before it closes the connection, which must be one response.
#[track_caller]
fn last(server: &Server, request: impl AsRef<[u8]>) -> String {
    dateless(&server.exchange(request))
}

/// The raw response to `request`, on a connection that then serves another request.
#[track_caller]
fn kept(server: &Server, request: &str) -> String {
    let goodbye = "GET /goodbye HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n";
    let both = server.exchange(format!("{request}{goodbye}"));
    let end = both
        .rfind("HTTP/1.1 404 Not Found\r\n")
        .unwrap_or_else(|| panic!("the connection was not kept: {both:?}"));
    assert!(both.ends_with("\r\n\r\nNot Found"), "{both:?}");
    dateless(&both[..end])
}

fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: clock\r\n{headers}\r\n")
}

fn tag(server: &Server, file: &str) -> String {
    let head = kept(server, &request("HEAD", file, ""));
    let (_, tag) = head.split_once("Etag: ").expect("a file has an ETag");
    tag.split_once("\r\n").unwrap().0.to_owned()
}

#[test]
fn the_streams_have_the_headers_of_the_node_example() {
    let server = Server::start();
    for target in ["/events", "/stream", "/events?interval=1000", "/stream?"] {
        let (head, _client) = server.get(target);
        assert_eq!(
            dateless(&head),
            format!("{STREAM_HEAD}Transfer-Encoding: chunked\r\n\r\n"),
            "{target}"
        );
    }
}

#[test]
fn a_file_is_the_one_that_was_compiled_in_with_its_length() {
    let server = Server::start();
    for (target, file) in [
        FILES[0],
        ("/?server=http://localhost:4000", FILES[0].1),
        FILES[1],
    ] {
        let tag = tag(&server, target);
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2);
        let response = kept(&server, &request("GET", target, ""));
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        for line in [
            "HTTP/1.1 200 OK",
            "Cache-Control: no-cache",
            &format!("Etag: {tag}"),
            &format!("Content-Length: {}", file.len()),
        ] {
            assert!(head.lines().any(|had| had == line), "{line}: {head}");
        }
        assert!(body == file, "{target} came otherwise");
    }
    let page = kept(&server, &request("HEAD", "/", ""));
    assert!(page.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"));
}

#[test]
fn the_suite_can_be_read_by_a_page_from_any_origin() {
    let server = Server::start();
    let (_, suite) = FILES[1];
    let tag = tag(&server, "/cases");
    for headers in ["", "Origin: http://elsewhere\r\nCookie: a=b\r\n"] {
        assert_eq!(
            kept(&server, &request("HEAD", "/cases", headers)),
            format!(
                "HTTP/1.1 200 OK\r\n\
                 Content-Type: application/json\r\n\
                 Cache-Control: no-cache\r\n\
                 Etag: {tag}\r\n\
                 Access-Control-Allow-Origin: *\r\n\
                 Content-Length: {}\r\n\
                 \r\n",
                suite.len()
            )
        );
    }
    let known = format!("Origin: null\r\nIf-None-Match: {tag}\r\n");
    assert_eq!(
        kept(&server, &request("GET", "/cases", &known)),
        format!(
            "HTTP/1.1 304 Not Modified\r\n\
             Cache-Control: no-cache\r\n\
             Etag: {tag}\r\n\
             Access-Control-Allow-Origin: *\r\n\
             \r\n"
        )
    );
}

#[test]
fn a_client_that_has_a_file_gets_304_without_it() {
    let server = Server::start();
    for (target, _) in FILES {
        let tag = tag(&server, target);
        for known in [
            tag.clone(),
            "*".into(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            format!("W/\"other\",W/{tag} , \"third\""),
            format!("\"other\"\r\nIf-None-Match: {tag}"),
        ] {
            for method in ["GET", "HEAD"] {
                let header = format!("If-None-Match: {known}\r\n");
                let response = kept(&server, &request(method, target, &header));
                let head = format!(
                    "HTTP/1.1 304 Not Modified\r\nCache-Control: no-cache\r\nEtag: {tag}\r\n"
                );
                assert!(response.starts_with(&head), "{method} {known}: {response}");
                assert!(
                    response.ends_with("\r\n\r\n"),
                    "{method} {known}: {response}"
                );
            }
        }
    }
}

#[test]
fn a_client_that_has_another_version_gets_the_file() {
    let server = Server::start();
    for (target, file) in FILES {
        let tag = tag(&server, target);
        for known in ["\"other\"", "", tag.trim_matches('"'), "\"\u{e9}\""] {
            let header = format!("If-None-Match: {known}\r\n");
            let response = kept(&server, &request("GET", target, &header));
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{known}");
            assert!(response.ends_with(file), "{known}");
        }
    }
    assert_ne!(tag(&server, "/"), tag(&server, "/cases"));
}

#[test]
fn a_head_request_gets_the_headers_of_get_without_the_body() {
    let server = Server::start();
    for (target, file) in FILES {
        let whole = kept(&server, &request("GET", target, ""));
        assert_eq!(
            kept(&server, &request("HEAD", target, "")),
            whole.strip_suffix(file).unwrap()
        );
    }
    for path in ["/events", "/stream"] {
        assert_eq!(
            kept(&server, &request("HEAD", path, "")),
            format!("{STREAM_HEAD}\r\n"),
            "{path}"
        );
    }
}

#[test]
fn an_options_request_lists_the_methods() {
    let server = Server::start();
    for path in PATHS {
        let plain = request("OPTIONS", path, "");
        assert_eq!(kept(&server, &plain), with_post(path, NO_CONTENT), "{path}");
        let from_a_page = request("OPTIONS", path, "Origin: http://elsewhere\r\n");
        assert_eq!(
            kept(&server, &from_a_page),
            with_post(path, NO_CONTENT),
            "{path}"
        );
    }
}

#[test]
fn a_cors_preflight_is_allowed_for_any_origin() {
    let server = Server::start();
    let headers = "Origin: http://elsewhere\r\n\
                   Access-Control-Request-Method: GET\r\n";
    for path in PATHS {
        let granted = "HTTP/1.1 204 No Content\r\n\
                       Allow: GET, HEAD, OPTIONS\r\n\
                       Access-Control-Allow-Origin: *\r\n\
                       Access-Control-Allow-Methods: GET\r\n\
                       Access-Control-Allow-Headers: Content-Type, Cache-Control, Last-Event-ID\r\n\
                       Access-Control-Max-Age: 86400\r\n\
                       \r\n";
        assert_eq!(
            kept(&server, &request("OPTIONS", path, headers)),
            with_post(path, granted),
            "{path}"
        );
    }
}

#[test]
fn a_page_from_another_origin_sees_streams_and_errors_but_sends_no_credentials() {
    let server = Server::start();
    let origin = "Origin: null\r\nCookie: a=b\r\n";
    for path in ["/events", "/stream", "/nowhere"] {
        let head = kept(&server, &request("HEAD", path, origin));
        assert!(
            head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"),
            "{head}"
        );
        assert!(!head.contains("Credentials"), "{head}");
    }
}

#[test]
fn every_other_method_on_a_known_path_is_405() {
    let server = Server::start();
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO", "get", "QUERY",
    ] {
        for path in PATHS {
            let rejection = with_post(path, METHOD_NOT_ALLOWED);
            if method != "POST" || rejection == METHOD_NOT_ALLOWED {
                assert_eq!(
                    kept(&server, &request(method, path, "")),
                    rejection,
                    "{method} {path}"
                );
            }
        }
    }
}

#[test]
fn an_unknown_path_is_404() {
    let server = Server::start();
    assert_eq!(kept(&server, &request("GET", "/nowhere", "")), NOT_FOUND);
}

#[test]
fn an_unknown_path_is_404_for_every_method() {
    let server = Server::start();
    for method in ["POST", "OPTIONS", "PUT", "TRACE", "CONNECT", "FOO"] {
        let headers = "Access-Control-Request-Method: GET\r\n";
        assert_eq!(
            kept(&server, &request(method, "/nowhere", headers)),
            NOT_FOUND,
            "{method}"
        );
    }
}

#[test]
fn a_path_that_only_resembles_a_known_one_is_404() {
    let server = Server::start();
    for target in [
        "/events/",
        "//events",
        "//",
        "/Events",
        "/EVENTS",
        "/%65vents",
        "/events%20",
        "/events;a",
        "/events/../events",
        "/./events",
        "events",
        "/../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/etc/passwd",
        "/public/index.html",
        "/index.html",
        "/cases/",
        "/cases.json",
        "/eventsx",
        "/event",
        "/stream/",
        "/%2F",
    ] {
        assert_eq!(
            kept(&server, &request("GET", target, "")),
            NOT_FOUND,
            "{target}"
        );
    }
    for method in ["OPTIONS", "GET"] {
        assert_eq!(kept(&server, &request(method, "*", "")), NOT_FOUND);
    }
}

#[test]
fn connect_to_an_authority_is_404() {
    let server = Server::start();
    for authority in ["clock:80", "127.0.0.1:22"] {
        let response = kept(&server, &request("CONNECT", authority, ""));
        assert_eq!(response, NOT_FOUND, "{authority}");
    }
}

#[test]
fn an_absolute_form_target_works_as_its_path_does() {
    let server = Server::start();
    for (target, path) in [
        ("http://clock/events", "/events"),
        ("http://elsewhere:99/stream?interval=1000", "/stream"),
        ("http://clock/", "/"),
        ("http://clock", "/"),
        ("https://clock/events", "/events"),
        ("http://clock/nowhere", "/nowhere"),
        ("http://clock//events", "//events"),
    ] {
        assert_eq!(
            kept(&server, &request("HEAD", target, "")),
            kept(&server, &request("HEAD", path, "")),
            "{target}"
        );
    }
}

#[test]
fn a_raw_nul_in_the_path_is_400() {
    let server = Server::start();
    for target in ["/\0", "/events\0", "\0"] {
        let response = last(&server, request("GET", target, "") + FAKE);
        assert_eq!(response, BAD_REQUEST, "{target:?}");
    }
}

#[test]
fn a_request_with_a_body_is_413_and_the_last_of_its_connection() {
    let server = Server::start();
    for target in ["/", "/events", "/stream", "/nowhere"] {
        for method in ["GET", "PUT", "OPTIONS", "FOO"] {
            for (header, body) in [
                ("Content-Length: 5", "hello".to_owned()),
                ("Content-Length: 37", FAKE.to_owned()),
                ("Transfer-Encoding: chunked", "0\r\n\r\n".to_owned()),
                (
                    "Transfer-Encoding: chunked",
                    format!("25\r\n{FAKE}\r\n0\r\n\r\n"),
                ),
            ] {
                let headers = format!("{header}\r\n");
                let response = last(&server, request(method, target, &headers) + &body + FAKE);
                assert_eq!(response, PAYLOAD_TOO_LARGE, "{method} {target} {header}");
            }
        }
    }
}

#[test]
fn a_body_is_rejected_before_it_arrives() {
    let server = Server::start();
    for header in ["Content-Length: 200000000", "Transfer-Encoding: chunked"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let headers = format!("{header}\r\n{expect}");
            let response = last(&server, request("PUT", "/", &headers));
            assert_eq!(response, PAYLOAD_TOO_LARGE, "{headers}");
            let response = last(&server, request("POST", "/", &headers));
            assert_eq!(response, and_close(METHOD_NOT_ALLOWED), "{headers}");
            let response = last(&server, request("POST", "/nowhere", &headers));
            assert_eq!(response, and_close(NOT_FOUND), "{headers}");
        }
    }
}

#[test]
fn pipelined_posts_that_expect_100_end_with_the_first() {
    let server = Server::start();
    let post = request("POST", "/", "Content-Length: 5\r\nExpect: 100-continue\r\n");
    let response = last(&server, post.repeat(50));
    assert_eq!(response, and_close(METHOD_NOT_ALLOWED));
}

#[test]
fn an_empty_body_of_known_length_is_no_body() {
    let server = Server::start();
    let post = request("POST", "/", "Content-Length: 0\r\n");
    assert_eq!(kept(&server, &post), METHOD_NOT_ALLOWED);
    let get = request("GET", "/nowhere", "Content-Length: 0\r\n");
    assert_eq!(kept(&server, &get), NOT_FOUND);
}

#[test]
fn a_request_without_exactly_one_host_is_400() {
    let server = Server::start();
    for target in ["/", "/events", "/nowhere", "http://clock/events"] {
        for hosts in [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host: a\r\nX: y\r\nhost: b\r\n",
        ] {
            let request = format!("GET {target} HTTP/1.1\r\n{hosts}\r\n{FAKE}");
            assert_eq!(last(&server, request), WHICH_HOST, "{target} {hosts:?}");
        }
    }
}

#[test]
fn an_http_1_0_request_needs_no_host() {
    let server = Server::start();
    let response = last(&server, "GET /nowhere HTTP/1.0\r\n\r\n");
    assert!(
        response.starts_with("HTTP/1.0 404 Not Found\r\n"),
        "{response}"
    );
}

#[test]
fn validation_goes_from_host_to_body_to_path_to_options_to_method() {
    let server = Server::start();
    let body = "Content-Length: 5\r\n\r\nhello";
    assert_eq!(
        last(&server, format!("POST /nowhere HTTP/1.1\r\n{body}")),
        WHICH_HOST
    );
    assert_eq!(
        last(
            &server,
            format!("OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\n{body}")
        ),
        PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        kept(&server, &request("OPTIONS", "/nowhere", "")),
        NOT_FOUND
    );
    assert_eq!(kept(&server, &request("FOO", "/nowhere", "")), NOT_FOUND);
    assert_eq!(kept(&server, &request("OPTIONS", "/", "")), NO_CONTENT);
    assert_eq!(kept(&server, &request("FOO", "/", "")), METHOD_NOT_ALLOWED);
}

#[test]
fn an_http_1_0_client_gets_the_stream_bare_and_ended_by_the_close() {
    for requested in [
        "",
        "Connection: keep-alive\r\n",
        "Connection: Keep-Alive\r\n",
        "Connection: close\r\n",
    ] {
        let server = Server::start();
        let mut client = server.send(format!("GET /stream HTTP/1.0\r\n{requested}\r\n"));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"));
        assert!(!head.to_lowercase().contains("keep-alive"), "{head}");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
        let greeting = "data: hello from server sent events ---- [0]\n\n";
        assert_eq!(client.until("\n\n"), greeting);
        drop(server);
        assert_eq!(client.rest(), "", "nothing but the close ends it");
    }
}

#[test]
fn a_client_that_requests_close_gets_close_alone() {
    for requested in [
        "close",
        "Close",
        "keep-alive, close",
        "x\r\nConnection: CLOSE",
    ] {
        let server = Server::start();
        for path in ["/", "/events", "/stream", "/nowhere"] {
            let header = format!("Connection: {requested}\r\n");
            let head = server.send(request("HEAD", path, &header)).rest();
            let said: Vec<_> = head
                .lines()
                .filter(|line| line.to_lowercase().starts_with("connection:"))
                .collect();
            assert_eq!(said, ["Connection: close"], "{path} {requested}");
        }
        let header = format!("Connection: {requested}\r\n");
        let mut client = server.send(request("GET", "/stream", &header));
        assert!(client.head().contains("\r\nConnection: close\r\n"));
        assert!(client.chunk().starts_with(b"data: "));
        drop(server);
        assert!(client.chunk().is_empty(), "the terminating chunk");
        assert_eq!(client.rest(), "");
    }
}

#[test]
fn a_request_head_above_8_kib_is_431() {
    let server = Server::start();
    let long = format!("X: {}\r\n", "a".repeat(65_536));
    let many = "X: a\r\n".repeat(10_000);
    let megabyte = format!("X: {}\r\n", "a".repeat(1000)).repeat(1000);
    let over_a_hundred = "X: a\r\n".repeat(101);
    for headers in [long, many, megabyte, over_a_hundred] {
        let response = first_response(&server, &request("GET", "/", &headers));
        assert_eq!(response, TOO_LARGE_A_HEAD, "{} bytes", headers.len());
    }
    let empty = request("HEAD", "/", "X: \r\n").len();
    let filled =
        |size: usize| request("HEAD", "/", &format!("X: {}\r\n", "a".repeat(size - empty)));
    assert!(kept(&server, &filled(4096)).starts_with("HTTP/1.1 200 OK\r\n"));
    let mut client = server.send(filled(8192));
    assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(first_response(&server, &filled(8193)), TOO_LARGE_A_HEAD);
}

#[test]
fn a_target_above_8_kib_is_431() {
    let server = Server::start();
    for length in [70_000, 1_000_000] {
        let request = request("GET", &format!("/{}", "a".repeat(length)), "");
        assert_eq!(first_response(&server, &request), TOO_LARGE_A_HEAD);
    }
    let request = request("GET", &format!("/{}", "a".repeat(7000)), "");
    assert_eq!(kept(&server, &request), NOT_FOUND);
}

/// The first response head without Date. A client that still sends may lose the close to a reset.
#[track_caller]
fn first_response(server: &Server, request: &str) -> String {
    use std::io::Write;
    let mut client = crate::support::Client::connect(server.address());
    // The server may have responded and closed before the whole request is sent.
    let _ = client.0.write_all(request.as_bytes());
    let response = client.rest();
    dateless(&response)
}

#[test]
fn a_request_line_that_is_not_http_1_is_400() {
    let server = Server::start();
    for line in [
        "G@T / HTTP/9.9",
        "G(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "GET / HTTP/9.9",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET / http/1.1",
        "GET / HTTP/1.1 x",
        "GET /",
        "GET",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
    ] {
        let response = last(&server, format!("{line}\r\nHost: clock\r\n\r\n{FAKE}"));
        assert_eq!(response, BAD_REQUEST, "{line:?}");
    }
}

#[test]
fn an_ambiguous_request_is_rejected_and_no_response_follows() {
    let server = Server::start();
    for (headers, rejection) in [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            PAYLOAD_TOO_LARGE,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            PAYLOAD_TOO_LARGE,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            BAD_REQUEST,
        ),
        (
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            PAYLOAD_TOO_LARGE,
        ),
        ("Transfer-Encoding: chunked, identity", BAD_REQUEST),
        ("Transfer-Encoding: xchunked", BAD_REQUEST),
        ("Transfer-Encoding: ", BAD_REQUEST),
        ("Transfer-Encoding:\r\n chunked", BAD_REQUEST),
        ("Transfer-Encoding : chunked", BAD_REQUEST),
        ("Content-Length: 5\r\nContent-Length: 6", BAD_REQUEST),
        ("Content-Length: 5, 5", BAD_REQUEST),
        ("Content-Length: +5", BAD_REQUEST),
        ("Content-Length: -1", BAD_REQUEST),
        ("Content-Length: 0x5", BAD_REQUEST),
        ("Content-Length: 99999999999999999999", BAD_REQUEST),
        ("Content-Length : 5", BAD_REQUEST),
        ("Content-Length: 5\r\n X: y", BAD_REQUEST),
        ("X: y\r\n z", BAD_REQUEST),
        ("X : y", BAD_REQUEST),
        ("X: \0", BAD_REQUEST),
    ] {
        let request = request("PUT", "/", &format!("{headers}\r\n"));
        let response = last(&server, format!("{request}0\r\n\r\n{FAKE}"));
        assert_eq!(response, rejection, "{headers:?}");
    }
}

#[test]
fn chunks_in_an_http_1_0_request_are_400() {
    let server = Server::start();
    let request = "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let response = last(&server, format!("{request}{FAKE}"));
    assert!(response.starts_with("HTTP/1.1 400 ") || response.starts_with("HTTP/1.0 400 "));
    assert_eq!(response.matches("HTTP/1.").count(), 1, "{response}");
}

#[test]
fn a_stream_comes_whatever_the_client_accepts() {
    let server = Server::start();
    for accept in [
        "",
        "Accept: application/json\r\n",
        "Accept: ;;;junk\r\n",
        "Accept: text/event-stream\r\n",
        "Accept: text/html;q=0\r\n",
    ] {
        for path in ["/events", "/stream"] {
            let mut client = server.send(request("GET", path, accept));
            let head = format!("{STREAM_HEAD}Transfer-Encoding: chunked\r\n\r\n");
            assert_eq!(dateless(&client.head()), head, "{path} {accept}");
        }
    }
}

#[test]
fn a_stream_is_never_compressed() {
    let server = Server::start();
    for encoding in ["gzip", "gzip;q=1, identity;q=0", "br, zstd", "*"] {
        let header = format!("Accept-Encoding: {encoding}\r\n");
        let mut client = server.send(request("GET", "/stream", &header));
        assert!(!client.head().contains("Content-Encoding"));
        let event = client.chunk();
        let begin: &[u8] = b"data: hello from server sent events ---- [";
        assert!(event.starts_with(begin), "{encoding}");
    }
}
