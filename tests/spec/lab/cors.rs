//! CORS for pages of other origins: requests with credentials, and preflights.

use crate::support::Server;
use crate::support::reply::{Reply, get, post};

const LIST: &str = "Content-Type, Cache-Control, Last-Event-ID";

fn reply_to(server: &Server, method: &str, target: &str, headers: &str) -> Reply {
    Reply::to(
        server,
        &format!("{method} {target} HTTP/1.1\r\n{headers}\r\n"),
    )
}

/// The response headers that decide on access with credentials.
fn taken(reply: &Reply) -> [Option<&str>; 3] {
    for name in [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "vary",
    ] {
        let lines = reply.head.to_lowercase();
        assert!(
            lines.matches(&format!("\r\n{name}: ")).count() <= 1,
            "{lines}"
        );
    }
    [
        reply.header("Access-Control-Allow-Origin"),
        reply.header("Access-Control-Allow-Credentials"),
        reply.header("Vary"),
    ]
}

const NONE: [Option<&str>; 3] = [Some("*"), None, None];

const ORIGIN: &str = "Origin: http://elsewhere:99\r\n";

const PREFLIGHT: &str = "Access-Control-Request-Method: POST\r\n";

#[test]
fn every_response_of_a_url_with_credentials_allows_them() {
    for (method, query, headers, status) in [
        ("GET", "interval=10&count=1&credentials", "", "200"),
        ("HEAD", "credentials=true", "", "200"),
        ("POST", "interval=10&count=1&credentials=", "", "200"),
        ("GET", "wire=a&%63redentials=%74rue", "", "200"),
        ("GET", "status=204&credentials", "", "204"),
        ("GET", "status=503&credentials", "", "503"),
        ("GET", "status=503&wire=a&credentials", "", "503"),
        (
            "GET",
            "interval=10&count=1&header=Content-Type:text/html&credentials",
            "",
            "200",
        ),
        ("GET", "redirect=301&credentials", "", "301"),
        ("GET", "key=k&responses=503&credentials", "", "503"),
        ("GET", "nope&credentials", "", "400"),
        ("GET", "credentials&nope", "", "400"),
        ("GET", "credentials&interval=0", "", "400"),
        ("GET", "credentials&credentials", "", "400"),
        ("PUT", "credentials", "", "405"),
        (
            "GET",
            "count=1&credentials",
            "Sec-Fetch-Dest: script\r\n",
            "403",
        ),
        ("POST", "credentials", "Content-Length: 1048577\r\n", "413"),
        ("POST", "credentials&nope", "Content-Length: 1\r\n", "400"),
        ("OPTIONS", "credentials", PREFLIGHT, "204"),
        ("OPTIONS", "nope&credentials", PREFLIGHT, "204"),
        ("OPTIONS", "credentials", "", "204"),
    ] {
        let server = Server::start();
        for path in ["/events", "/stream"] {
            let target = format!("{path}?{query}");
            for (origin, allowed) in [(ORIGIN, "http://elsewhere:99"), ("", "*")] {
                let reply = reply_to(&server, method, &target, &format!("{origin}{headers}"));
                assert_eq!(&reply.status()[..3], status, "{method} {target}");
                let expected = [Some(allowed), Some("true"), Some("Origin")];
                assert_eq!(taken(&reply), expected, "{method} {target}");
            }
        }
    }
}

#[test]
fn an_origin_over_the_length_limit_is_not_repeated() {
    let server = Server::start();
    for (length, allowed) in [(512, None), (513, Some("*"))] {
        let origin = format!("http://{}", "o".repeat(length - "http://".len()));
        let headers = format!("Origin: {origin}\r\n");
        let reply = reply_to(&server, "GET", "/stream?count=1&credentials", &headers);
        assert_eq!(taken(&reply)[0], Some(allowed.unwrap_or(&origin)));
    }
}

#[test]
fn one_request_with_credentials_gets_the_stream_and_later_responses_allow_them_too() {
    let server = Server::start();
    for status in ["200", "204", "204"] {
        let target = "/stream?count=1&key=k&responses=200,204&credentials";
        let reply = reply_to(&server, "GET", target, "Origin: null\r\n");
        assert_eq!(&reply.status()[..3], status);
        assert_eq!(taken(&reply), [Some("null"), Some("true"), Some("Origin")]);
    }
}

#[test]
fn content_that_is_rejected_while_it_arrives_allows_credentials_too() {
    let server = Server::start();
    let rejected = "Transfer-Encoding: chunked\r\n\r\nx";
    let reply = reply_to(
        &server,
        "POST",
        "/events?credentials",
        &format!("{ORIGIN}{rejected}"),
    );
    assert_eq!(reply.status(), "400 Bad Request");
    assert_eq!(
        taken(&reply),
        [Some("http://elsewhere:99"), Some("true"), Some("Origin")]
    );
}

#[test]
fn no_response_allows_credentials_that_were_not_requested() {
    let server = Server::start();
    for (method, target, status) in [
        ("GET", "/stream?count=1", "200"),
        ("GET", "/stream?count=1&credentials=false", "200"),
        ("GET", "/stream?credentials=1", "400"),
        ("GET", "/stream?credentials=TRUE", "400"),
        ("GET", "/stream?credentials=+", "400"),
        ("GET", "/stream?credentials=false&nope", "400"),
        ("GET", "/stream?Credentials", "400"),
        ("GET", "/stream?data=credentials=true&count=1", "200"),
        ("GET", "/stats", "200"),
        ("GET", "/stats?credentials", "400"),
        ("GET", "/stats?key=k&credentials=true", "400"),
        ("PUT", "/stats?credentials", "405"),
        ("OPTIONS", "/stats?credentials", "204"),
        ("GET", "/nowhere?credentials", "404"),
    ] {
        let headers = format!("{ORIGIN}{PREFLIGHT}");
        let reply = reply_to(&server, method, target, &headers);
        assert_eq!(&reply.status()[..3], status, "{method} {target}");
        assert_eq!(taken(&reply), NONE, "{method} {target}");
    }
    let page = reply_to(&server, "GET", "/?credentials", ORIGIN);
    assert_eq!(taken(&page), [None; 3]);
}

#[test]
fn credentials_change_only_the_headers() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&credentials";
    for reply in [get(&server, target), post(&server, target, "hello")] {
        assert_eq!(reply.text(), ":\n\ndata: x\n\n");
        let methods = reply.header("Access-Control-Allow-Methods");
        assert_eq!(methods, Some("GET"));
        assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
    }
}

/// The headers that the response to a preflight with these lines allows.
#[track_caller]
fn granted(server: &Server, path: &str, lines: &str) -> String {
    let headers = format!("{ORIGIN}{PREFLIGHT}{lines}");
    let reply = reply_to(server, "OPTIONS", path, &headers);
    assert_eq!(reply.status(), "204 No Content");
    assert_eq!(reply.header("Access-Control-Max-Age"), Some("86400"));
    assert_eq!(reply.bytes(), b"");
    let names = reply.header("Access-Control-Allow-Headers");
    names.expect("a list").to_owned()
}

#[test]
fn a_preflight_of_a_stream_allows_get_and_post_and_the_requested_headers() {
    let server = Server::start();
    let most = format!("x-{}", "y".repeat(1022));
    for names in [
        "x-own",
        "authorization,content-type,x-own",
        "Authorization, X-Own ,\tx",
        "a!#$%&'*+-.^_`|~0",
        &most,
    ] {
        for path in ["/events", "/stream?count=1&nope"] {
            let line = format!("Access-Control-Request-Headers: {names}\r\n");
            assert_eq!(granted(&server, path, &line), names);
            let headers = format!("{ORIGIN}{PREFLIGHT}{line}");
            let reply = reply_to(&server, "OPTIONS", path, &headers);
            let methods = reply.header("Access-Control-Allow-Methods");
            assert_eq!(methods, Some("GET, POST"));
            assert_eq!(reply.header("Allow"), Some("GET, HEAD, POST, OPTIONS"));
        }
        for path in ["/", "/stats"] {
            let line = format!("Access-Control-Request-Headers: {names}\r\n");
            assert_eq!(granted(&server, path, &line), LIST);
        }
    }
}

#[test]
fn a_preflight_that_requests_junk_or_too_much_gets_the_usual_headers() {
    let server = Server::start();
    let more = "x".repeat(1025);
    let many = "x,".repeat(512) + "x";
    for names in [
        "", ",", "a,", "a,,b", "a b", "a;b", "a\"b", "a:b", "é", "(a)", "a/b", "*,@", &more, &many,
    ] {
        let line = format!("Access-Control-Request-Headers: {names}\r\n");
        assert_eq!(granted(&server, "/events", &line), LIST, "{names:?}");
    }
    let twice = "Access-Control-Request-Headers: a\r\n".repeat(2);
    assert_eq!(granted(&server, "/events", &twice), LIST);
    assert_eq!(granted(&server, "/events", ""), LIST);
}
