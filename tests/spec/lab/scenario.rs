//! The scenario of a key: the response to each of its requests, in order, and what the server
//! remembers of these requests.

use std::io::Write;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use hyper::{Request, Response, StatusCode};
use sse_clock::DropConnection;
use sse_clock::service::{Shared, respond};
use sse_clock::stats::Arrival;
use tokio::runtime::Builder;
use tokio::time::Instant as VirtualInstant;

use crate::support::reply::{Reply, come_back, frame, get, nothing, post};
use crate::support::{self, Client, Server, Serves, eventually};

const STREAM: &str = ":\n\ndata: x\n\n";

/// The statuses of successive requests for `target`.
fn statuses(server: &Server, target: &str, requests: usize) -> Vec<u16> {
    let status = |_| status(&get(server, target));
    (0..requests).map(status).collect()
}

fn status(reply: &Reply) -> u16 {
    reply.status()[..3].parse().unwrap()
}

fn reply_to(server: &Server, method: &str, target: &str) -> Reply {
    Reply::to(server, &format!("{method} {target} HTTP/1.1\r\n\r\n"))
}

/// Asserts that the server closes the connection before any byte, without `Connection: close`.
#[track_caller]
fn assert_dropped(mut client: Client) {
    assert_eq!(client.rest(), "");
}

/// A request on a persistent connection.
fn lasting(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: clock\r\n\r\n")
}

/// The status of the handler's response; the stream is not read.
async fn status_of(shared: &Arc<Shared>, target: &str) -> StatusCode {
    response(shared, target).await.status()
}

async fn response(shared: &Arc<Shared>, target: &str) -> Response<impl Sized + use<>> {
    let request = Request::get(target).body(nothing()).unwrap();
    respond(request, Arc::clone(shared)).await
}

/// Opens a thousand streams, each with its own key; the returned clients keep them open.
async fn all_keys_open(shared: &Arc<Shared>) -> Vec<impl Sized + use<>> {
    let mut streams = Vec::new();
    for key in 0..1000 {
        let request = Request::get(format!("/events?key=open-{key}")).body(nothing());
        let response = respond(request.unwrap(), Arc::clone(shared)).await;
        let mut body = Box::pin(response.into_body());
        assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
        streams.push(body);
    }
    streams
}

#[test]
fn a_redirect_leads_to_the_same_url_without_the_redirect() {
    let server = Server::start();
    for (code, line) in [
        (301, "301 Moved Permanently"),
        (302, "302 Found"),
        (303, "303 See Other"),
        (307, "307 Temporary Redirect"),
        (308, "308 Permanent Redirect"),
    ] {
        for path in ["/events", "/stream"] {
            let target = format!("{path}?redirect={code}&count=1");
            for reply in [get(&server, &target), post(&server, &target, "hello")] {
                assert_eq!(reply.status(), line);
                let location = format!("{path}?count=1");
                assert_eq!(reply.header("Location"), Some(location.as_str()));
                assert_eq!(reply.header("Cache-Control"), Some("no-store"));
                assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
                let text = Some("text/plain; charset=utf-8");
                assert_eq!(reply.header("Content-Type"), text);
                assert_eq!(reply.text(), format!("{line}\n"));
                assert!(reply.complete);
            }
        }
    }
    assert_eq!(server.stats().opened, 0);
    let reply = get(&server, "/stream?count=1&data=x");
    assert_eq!(reply.text(), STREAM);
}

#[test]
fn a_redirect_keeps_the_other_parameters_byte_for_byte() {
    let server = Server::start();
    for (query, location) in [
        ("redirect=301", "/events"),
        ("&redirect=301", "/events"),
        ("redirect=301&", "/events"),
        ("redirect=301&data=a", "/events?data=a"),
        ("data=a&redirect=301", "/events?data=a"),
        ("data=a&redirect=301&ids", "/events?data=a&ids"),
        ("%72edirect=301&data=a", "/events?data=a"),
        ("r%65direc%74=%3301&data=a", "/events?data=a"),
        (
            "data=redirect=301&redirect=302",
            "/events?data=redirect=301",
        ),
        (
            "data=%63+%2B%zz%e9%C3%A9&redirect=307&ids=",
            "/events?data=%63+%2B%zz%e9%C3%A9&ids=",
        ),
        (
            "data=//elsewhere/&redirect=308",
            "/events?data=//elsewhere/",
        ),
        ("data=a?b/c:d@e&redirect=308", "/events?data=a?b/c:d@e"),
        (
            "data=%0d%0aX:%20y&redirect=308",
            "/events?data=%0d%0aX:%20y",
        ),
        (
            "data=!$'()*,;[]^`{|}~\\&redirect=308",
            "/events?data=!$'()*,;[]^`{|}~\\",
        ),
        // An empty value is no parameter.
        ("data=a&&redirect=308&&ids", "/events?data=a&ids"),
        ("&redirect=308&", "/events"),
        (
            "key=k&responses=503,%64rop,200&redirect=307",
            "/events?key=k&responses=503,%64rop,200",
        ),
        (
            "_=1&redirect=301&%5f=/v1/%7e&_",
            "/events?_=1&%5f=/v1/%7e&_",
        ),
        ("data=é&redirect=308", "/events?data=é"),
    ] {
        let reply = get(&server, &format!("/events?{query}"));
        assert!(
            reply.status().starts_with('3'),
            "{query}: {}",
            reply.status()
        );
        assert_eq!(reply.header("Location"), Some(location), "{query}");
        assert_eq!(reply.head.matches("Location").count(), 1);
    }
}

#[test]
fn a_redirect_never_leads_elsewhere() {
    let server = Server::start();
    for target in [
        "http://elsewhere/events?redirect=301",
        "http://user@elsewhere:99/events?redirect=301",
        "https://elsewhere/events?redirect=301&",
    ] {
        let reply = get(&server, target);
        assert_eq!(reply.header("Location"), Some("/events"), "{target}");
    }
    for target in [
        "//elsewhere/events?redirect=301",
        "//events?redirect=301",
        "http://elsewhere//events?redirect=301",
        "/?redirect=301",
    ] {
        let reply = get(&server, target);
        assert_eq!(reply.header("Location"), None, "{target}");
    }
}

#[test]
fn a_browser_that_follows_a_redirect_comes_to_the_stream() {
    let server = Server::start();
    for code in [301, 302, 303, 307, 308] {
        let url = server.url(&format!("/stream?redirect={code}&count=1&data=x"));
        let text = reqwest::blocking::get(&url).unwrap().text().unwrap();
        assert_eq!(text, STREAM);
        let posted = reqwest::blocking::Client::new().post(url).body("hello");
        assert_eq!(posted.send().unwrap().text().unwrap(), STREAM);
    }
}

#[test]
fn the_n_th_request_of_a_key_gets_the_n_th_item_and_later_ones_the_last() {
    let server = Server::start();
    let most = [
        [500; 4],
        [501, 502, 503, 504],
        [200, 204, 404, 410],
        [418, 599, 201, 429],
    ]
    .concat();
    let all: Vec<_> = most.iter().map(u16::to_string).collect();
    for (key, responses, expected) in [
        ("a", "503,200", &[503, 200, 200, 200][..]),
        ("b", "503,503,503,200", &[503, 503, 503, 200, 200]),
        ("c", "429,429,200", &[429, 429, 200, 200]),
        ("d", "204,200", &[204, 200, 200]),
        ("e", "200", &[200, 200, 200]),
        ("f", "200,204", &[200, 204, 204, 204]),
        ("g", "200,503,200,204", &[200, 503, 200, 204, 204]),
        ("h", "503", &[503, 503, 503]),
        (
            "i",
            &all.join(","),
            &[most.as_slice(), &[429, 429]].concat(),
        ),
    ] {
        let target = format!("/stream?count=1&data=x&key={key}&responses={responses}");
        for (number, expected) in expected.iter().enumerate() {
            let reply = get(&server, &target);
            assert_eq!(status(&reply), *expected, "{responses}: request {number}");
            if *expected == 200 {
                assert_eq!(reply.text(), STREAM);
            }
        }
    }
    let reply = get(&server, "/events?key=j&responses=503");
    assert_eq!(reply.status(), "503 Service Unavailable");
    assert_eq!(reply.text(), "503 Service Unavailable\n");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
}

#[test]
fn the_items_of_a_key_are_counted_over_its_paths_and_methods() {
    let server = Server::start();
    let query = "key=k&responses=500,501,502,200&count=1&interval=10";
    assert_eq!(status(&get(&server, &format!("/events?{query}"))), 500);
    assert_eq!(status(&get(&server, &format!("/stream?{query}"))), 501);
    assert_eq!(
        status(&post(&server, &format!("/stream?{query}"), "x")),
        502
    );
    assert_eq!(
        status(&post(&server, &format!("/events?{query}"), "x")),
        200
    );
    let other = query.replace("key=k", "key=other");
    assert_eq!(status(&get(&server, &format!("/events?{other}"))), 500);
}

#[test]
fn only_requests_that_carry_responses_are_counted() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&key=k";
    let others = [
        (target.to_owned(), 200),
        (format!("{target}&status=418"), 418),
        (format!("{target}&then=404"), 404),
        (format!("{target}&then=200"), 200),
        (format!("{target}&redirect=301"), 301),
    ];
    for expected in [503, 410, 200, 200] {
        for (other, expected) in &others {
            assert_eq!(status(&come_back(&server, other, "1")), *expected);
        }
        let target = format!("{target}&responses=503,410,200");
        assert_eq!(status(&get(&server, &target)), expected);
    }
    // Another list continues at the position of the first one.
    let other = format!("{target}&responses=500,501,502,503,504,505");
    assert_eq!(statuses(&server, &other, 3), [504, 505, 505]);
}

#[test]
fn with_200_and_204_one_request_gets_the_stream_and_later_ones_a_204() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&key=k&responses=200,204";
    assert_eq!(get(&server, target).text(), STREAM);
    for reply in [
        get(&server, target),
        post(&server, target, "hello"),
        come_back(&server, target, "1"),
        get(&server, "/events?responses=200,204&key=k"),
    ] {
        assert_eq!(reply.status(), "204 No Content");
        assert_eq!(reply.bytes(), b"");
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    }
    // Other requests of the key did not set the option.
    assert_eq!(get(&server, "/stream?count=1&data=x&key=k").text(), STREAM);
    assert_eq!(get(&server, &target.replace("=k", "=other")).text(), STREAM);
    assert_eq!(server.stats_of("k").opened, 2);
}

#[test]
fn an_item_is_taken_while_its_stream_is_open_and_after_its_client_has_left() {
    let server = Server::start();
    let target = "/events?interval=60000&key=k&responses=200,204";
    let (head, client) = server.get(target);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(status(&get(&server, target)), 204);
    drop(client);
    eventually("the client has left", || server.stats().closed.client == 1);
    assert_eq!(status(&get(&server, target)), 204);
}

#[test]
fn two_requests_at_the_same_instant_take_two_items() {
    let server = Server::start();
    let both = Barrier::new(2);
    for key in 0..30 {
        let target = format!("/stream?count=1&data=x&responses=200,204,500&key={key}");
        let request = || {
            both.wait();
            status(&get(&server, &target))
        };
        let mut got = thread::scope(|scope| {
            let others = [scope.spawn(request), scope.spawn(request)];
            others.map(|other| other.join().unwrap())
        });
        got.sort_unstable();
        assert_eq!(got, [200, 204]);
    }
}

#[test]
fn of_many_requests_on_many_threads_each_item_goes_to_one_and_the_last_to_the_rest() {
    let shared = Arc::<Shared>::default();
    let items: Vec<_> = (501..516).chain([204]).collect();
    let list: Vec<_> = items.iter().map(u16::to_string).collect();
    let target = format!("/events?key=k&responses={}", list.join(","));
    let request = || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let asking = async {
            let mut got = Vec::new();
            for _ in 0..50 {
                got.push(status_of(&shared, &target).await.as_u16());
            }
            got
        };
        runtime.block_on(asking)
    };
    let mut got = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(request));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    got.sort_unstable();
    let expected: Vec<_> = [204; 185].into_iter().chain(501..516).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_bad_option_precedes_a_redirect_and_a_redirect_the_next_item() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&responses=503,200,204&key=k";
    assert_eq!(status(&get(&server, &format!("{target}&nope"))), 400);
    let redirected = format!("{target}&redirect=307");
    assert_eq!(status(&get(&server, &format!("{redirected}&nope"))), 400);
    for reply in [
        get(&server, &redirected),
        post(&server, &redirected, "hello"),
        come_back(&server, &redirected, "1"),
    ] {
        assert_eq!(status(&reply), 307);
        assert_eq!(reply.header("Location"), Some(target));
    }
    // None of these requests took an item.
    assert_eq!(statuses(&server, target, 4), [503, 200, 204, 204]);
    assert_eq!(status(&get(&server, &redirected)), 307);
    // A redirect takes no item even if the next item is a drop.
    let target = "/stream?count=1&data=x&responses=drop&key=other&redirect=307";
    assert_eq!(statuses(&server, target, 2), [307, 307]);
    assert_eq!(server.stats_of("other").dropped, Some(0));
}

#[test]
fn then_precedes_a_redirect_and_a_status() {
    let server = Server::start();
    for fault in ["status=429", "redirect=301"] {
        for (then, expected) in [("404", 404), ("200", 200)] {
            let target = format!("/stream?count=1&data=x&then={then}&key=k&{fault}");
            assert_eq!(status(&come_back(&server, &target, "1")), expected);
        }
        let target = format!("/stream?count=1&data=x&then=200&key=k&{fault}");
        for _ in 0..2 {
            assert_eq!(come_back(&server, &target, "1").text(), STREAM);
        }
        assert_ne!(status(&get(&server, &target)), 200);
    }
}

#[test]
fn a_4xx_of_the_servers_own_takes_no_item() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&responses=503,200&key=k";
    for (method, query, headers, expected) in [
        ("GET", "&nope", "", 400),
        ("GET", "&interval=9", "", 400),
        ("GET", "&key=k", "", 400),
        ("GET", "&then=204", "", 400),
        ("PUT", "", "", 405),
        ("DELETE", "", "", 405),
        ("GET", "", "Sec-Fetch-Dest: script\r\n", 403),
        ("POST", "", "Content-Length: 1048577\r\n", 413),
        ("POST", "", "Transfer-Encoding: chunked\r\n\r\nx", 400),
    ] {
        let request = format!("{method} {target}{query} HTTP/1.1\r\n{headers}\r\n");
        assert_eq!(status(&Reply::to(&server, &request)), expected, "{request}");
    }
    assert_eq!(server.stats_of("k").requests, Some(vec![]));
    assert_eq!(statuses(&server, target, 2), [503, 200]);
}

#[test]
fn an_item_is_taken_once_the_content_is_read() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&responses=503,410,200&key=k";
    let mut client = server.send(format!(
        "POST {target} HTTP/1.1\r\nHost: clock\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    ));
    // The server reads the content, because the server requested for it with 100 Continue.
    client.until("HTTP/1.1 100 Continue\r\n\r\n");
    client.0.write_all(b"h").unwrap();
    assert_eq!(status(&get(&server, target)), 503);
    client.0.write_all(b"i").unwrap();
    assert!(client.head().starts_with("HTTP/1.1 410 Gone\r\n"));
    assert_eq!(status(&get(&server, target)), 200);
}

#[test]
fn an_item_is_taken_before_the_delay_though_the_client_leaves() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&responses=503,drop,200&key=k";
    for number in 1..3 {
        let waits = server.send(support::get(&format!("{target}&delay=60000")));
        let requests = || server.stats_of("k").requests.unwrap().len();
        eventually("the request waits", || requests() == number);
        drop(waits);
    }
    assert_eq!(get(&server, target).text(), STREAM);
    assert_eq!(server.stats_of("k").dropped, Some(1));
}

#[test]
fn a_status_of_responses_or_then_has_no_wire_as_its_body() {
    let server = Server::start();
    let is_as_ever = |reply: Reply, body: &str| {
        assert_eq!(reply.text(), body);
        assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
        assert_eq!(reply.header("Content-Security-Policy"), None);
    };
    let wire = "wire=data:a%0A%0A";

    let target = format!("/events?responses=500,500,200,204&key=k&{wire}");
    is_as_ever(get(&server, &target), "500 Internal Server Error\n");
    is_as_ever(
        post(&server, &target, "hello"),
        "500 Internal Server Error\n",
    );
    is_as_ever(get(&server, &target), "data:a\n\n");
    let last = get(&server, &target);
    assert_eq!(status(&last), 204);
    is_as_ever(last, "");
    let target = format!("/events?responses=204,200&key=204&{wire}");
    assert_eq!(statuses(&server, &target, 2), [204, 200]);

    let target = format!("/events?then=404&status=500&{wire}");
    assert_eq!(get(&server, &target).text(), "data:a\n\n");
    is_as_ever(come_back(&server, &target, "1"), "404 Not Found\n");
    let target = target.replace("404", "200");
    let stream = come_back(&server, &target, "1");
    assert_eq!(status(&stream), 200);
    is_as_ever(stream, "data:a\n\n");
}

#[test]
fn a_dropped_request_gets_no_byte_and_its_connection_is_closed() {
    let server = Server::start();
    for path in ["/events", "/stream"] {
        for query in [
            "",
            "&count=1&data=x",
            "&wire=data:a%0A%0A&interval=0",
            "&header=Retry-After:1",
            "&credentials",
            "&echo",
            "&delay=10",
        ] {
            let target = format!("{path}?key=k&responses=drop{query}");
            assert_dropped(server.send(support::get(&target)));
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: clock\r\nContent-Length: 2\r\n\r\n");
            assert_dropped(server.send(head + "hi"));
            assert_dropped(server.send(lasting("HEAD", &target)));
            assert_dropped(server.send(format!("GET {target} HTTP/1.0\r\n\r\n")));
        }
    }
    assert_eq!(server.stats().opened, 0);
    // None of these requests advances the counter of the greetings.
    let greeting = get(&server, "/stream?count=1&comment=0").text();
    assert_eq!(greeting, "data: hello from server sent events ---- [0]\n\n");
}

#[test]
fn a_drop_may_be_any_of_the_items() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&key=k&responses=drop,503,drop,drop,200,drop";
    for expected in [None, Some(503), None, None, Some(200), None, None] {
        match expected {
            Some(expected) => assert_eq!(status(&get(&server, target)), expected),
            None => assert_dropped(server.send(support::get(target))),
        }
    }
}

#[test]
fn a_drop_ends_a_connection_that_was_used_before_and_what_waits_behind_it() {
    let server = Server::start();
    let first = support::get("/stream?count=1&data=x");
    let dropped = support::get("/stream?key=k&responses=drop");
    let mut client = server.send([first.as_str(), &dropped, &dropped].concat());
    assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
    for chunk in [":\n\n", "data: x\n\n", ""] {
        assert_eq!(client.chunk(), chunk.as_bytes());
    }
    assert_dropped(client);
    assert_eq!(server.stats_of("k").dropped, Some(1));
}

#[test]
fn a_delay_comes_before_a_drop() {
    let server = Server::start();
    let begin = Instant::now();
    assert_dropped(server.send(support::get("/events?key=k&responses=drop&delay=300")));
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn the_response_that_is_dropped_is_marked_and_comes_after_the_delay() {
    let shared = Arc::<Shared>::default();
    let begin = VirtualInstant::now();
    let target = "/events?key=k&responses=drop,503&delay=60000";
    let dropped = response(&shared, target).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(60));
    assert!(dropped.extensions().get::<DropConnection>().is_some());
    let next = response(&shared, target).await;
    assert_eq!(next.status(), 503);
    assert!(next.extensions().get::<DropConnection>().is_none());
}

#[test]
fn curl_reports_an_empty_reply_for_a_drop_and_gets_the_stream_on_retry() {
    let server = Server::start();
    let url = server.url("/stream?count=1&data=x&key=k&responses=drop,200");
    // A new client each time, so that no connection pool repeats the request.
    let first = reqwest::blocking::get(&url).unwrap_err();
    assert!(first.is_request(), "{first}");
    let second = reqwest::blocking::get(&url).unwrap().text().unwrap();
    assert_eq!(second, STREAM);
}

#[test]
fn a_head_request_gets_what_the_next_get_would_get_and_takes_no_item() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&responses=503,drop,200,204&key=k";
    for expected in [503, 0, 200, 204, 204] {
        for _ in 0..3 {
            if expected == 0 {
                assert_dropped(server.send(lasting("HEAD", target)));
            } else {
                let head = reply_to(&server, "HEAD", target);
                assert_eq!((status(&head), head.bytes()), (expected, Vec::new()));
            }
            assert_eq!(
                reply_to(&server, "OPTIONS", target).status(),
                "204 No Content"
            );
            let redirect = format!("{target}&redirect=301");
            assert_eq!(status(&reply_to(&server, "HEAD", &redirect)), 301);
        }
        if expected == 0 {
            assert_dropped(server.send(support::get(target)));
        } else {
            assert_eq!(status(&get(&server, target)), expected);
        }
    }
    let stats = server.stats_of("k");
    assert_eq!(stats.requests.unwrap().len(), 5);
    assert_eq!((stats.redirects, stats.dropped), (Some(0), Some(1)));
}

#[test]
fn a_head_request_gets_the_headers_of_whatever_replaces_the_stream() {
    let server = Server::start();
    for query in [
        "status=503",
        "status=204",
        "redirect=301&ids",
        "key=k&responses=503",
        "key=k&responses=429&header=Content-Type:text/html",
        "nope",
        "credentials&interval=0",
    ] {
        let head = |method| {
            let head = reply_to(&server, method, &format!("/events?{query}")).head;
            let lines = head.lines().filter(|line| !line.starts_with("Date: "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(head("HEAD"), head("GET"), "{query}");
    }
}

#[test]
fn redirects_and_400_and_head_and_options_are_no_requests_of_a_key() {
    let server = Server::start();
    let target = "/events?count=1&key=k";
    get(&server, &format!("{target}&redirect=301"));
    get(&server, &format!("{target}&nope"));
    come_back(&server, &format!("{target}&interval=0"), "1");
    for method in ["HEAD", "OPTIONS", "PUT"] {
        reply_to(&server, method, target);
    }
    come_back(&server, &format!("{target}&redirect=301"), "1");
    let stats = server.stats_of("k");
    assert_eq!(
        (stats.requests, stats.last_event_ids),
        (Some(vec![]), Some(vec![]))
    );
}

#[test]
fn the_redirects_and_the_drops_of_a_key_are_counted_and_a_drop_is_a_request() {
    let server = Server::start();
    for number in 1..4 {
        get(&server, "/events?key=k&redirect=301");
        post(&server, "/stream?key=k&redirect=307", "hello");
        reply_to(&server, "HEAD", "/events?key=k&redirect=301");
        let dropped = "/events?key=k&responses=drop";
        assert_dropped(server.send(format!(
            "GET {dropped} HTTP/1.1\r\nHost: clock\r\nLast-Event-ID: {number}\r\n\r\n"
        )));
        assert_dropped(server.send(lasting("HEAD", dropped)));
    }
    let stats = server.stats_of("k");
    assert_eq!((stats.redirects, stats.dropped), (Some(6), Some(3)));
    assert_eq!((stats.opened, stats.open), (0, 0));
    assert_eq!(stats.last_event_ids.unwrap(), ["1", "2", "3"]);
    let text = get(&server, "/stats?key=k").text();
    let items: Vec<_> = (1..4)
        .map(|id| format!("{{\"last_event_id\":\"{id}\",\"after_ms\":null}}"))
        .collect();
    let end = format!(
        "\"requests\":[{}],\"redirects\":6,\"dropped\":3}}",
        items.join(",")
    );
    assert!(text.ends_with(&end), "{text}");
    let all = get(&server, "/stats").text();
    assert!(
        !all.contains("redirects") && !all.contains("dropped"),
        "{all}"
    );
}

/// The `Last-Event-ID` of each request of a key.
fn ids(server: &Server, key: &str) -> Vec<Option<String>> {
    let requests = server.stats_of(key).requests.unwrap();
    requests.into_iter().map(|it| it.last_event_id).collect()
}

#[test]
fn the_requests_of_a_key_list_their_last_event_id_header_alone() {
    let server = Server::start();
    let target = "/stream?count=1&status=503&key=k";
    get(&server, target);
    come_back(&server, target, "7");
    come_back(&server, target, "");
    get(&server, &format!("{target}&lastEventId=9"));
    come_back(&server, &format!("{target}&lastEventId=9"), "8");
    come_back(&server, &format!("{target}&then=204"), &"x".repeat(65));
    come_back(&server, target, &format!("x{}", "é".repeat(40)));
    post(&server, target, "hello");
    let sent = ["7", "", "8"].map(|id| Some(id.to_owned()));
    let [seven, empty, eight] = sent;
    let long = ["x".repeat(61), format!("x{}", "é".repeat(30))].map(|id| Some(id + "…"));
    let [xs, es] = long;
    assert_eq!(
        ids(&server, "k"),
        [None, seven, empty, None, eight, xs, es, None]
    );
}

#[test]
fn the_requests_of_a_key_are_the_newest_hundred() {
    let server = Server::start();
    for id in 0..102 {
        come_back(&server, "/stream?status=503&key=k", &id.to_string());
    }
    let newest: Vec<_> = (2..102).map(|id: u32| Some(id.to_string())).collect();
    assert_eq!(ids(&server, "k"), newest);
}

#[test]
fn after_ms_is_the_time_since_the_newest_end_of_a_stream_of_the_key() {
    let server = Server::start();
    let after = || {
        let requests = server.stats_of("k").requests.unwrap();
        requests.last().unwrap().after_ms
    };
    let target = "/stream?count=1&key=k";
    get(&server, &format!("{target}&responses=503"));
    assert_eq!(after(), None, "no stream has ended");
    get(&server, target);
    assert_eq!(after(), None, "no stream has ended");
    let begin = Instant::now();
    thread::sleep(Duration::from_millis(30));
    get(&server, &format!("{target}&status=503"));
    let most = crate::support::reply::milliseconds(begin.elapsed()) + 20_000;
    assert!((30..most).contains(&after().unwrap()), "{:?}", after());

    let (_, mut open) = server.get("/events?interval=60000&key=k");
    assert_eq!(open.chunk(), b":\n\n");
    assert!(after().unwrap() >= 30);
    get(&server, target);
    assert_eq!(after(), None, "one is open");
    drop(open);
    eventually("it has ended", || server.stats_of("k").open == 0);
    get(&server, target);
    assert!(after().is_some());
    assert_eq!(server.stats_of("other").requests, Some(vec![]));
}

#[test]
fn the_requests_of_a_key_are_in_its_stats() {
    let server = Server::start();
    come_back(&server, "/stream?status=503&key=k", "a\"b");
    get(&server, "/stream?status=503&key=k");
    let text = get(&server, "/stats?key=k").text();
    let listed = "\"requests\":[{\"last_event_id\":\"a\\\"b\",\"after_ms\":null},\
                {\"last_event_id\":null,\"after_ms\":null}],\"redirects\":0,\"dropped\":0}";
    assert!(text.ends_with(listed), "{text}");
    assert!(!get(&server, "/stats").text().contains("requests"));
}

#[tokio::test]
async fn a_key_that_cannot_be_kept_gets_the_stream() {
    let shared = Arc::<Shared>::default();
    let open = all_keys_open(&shared).await;
    for responses in ["503,200", "200,204", "drop", "429"] {
        for _ in 0..3 {
            let target = format!("/events?key=new&responses={responses}");
            for request in [Request::get(&target), Request::head(&target)] {
                let request = request.body(nothing()).unwrap();
                let response = respond(request, Arc::clone(&shared)).await;
                assert_eq!(response.status(), 200, "{responses}");
                assert!(response.extensions().get::<DropConnection>().is_none());
                assert!(response.headers().contains_key("content-type"));
            }
        }
    }
    let stats = shared.streams.stats(Some("new"));
    assert_eq!(stats.requests, Some(vec![]));
    // A known key is still known.
    let responses = "responses=503,200";
    assert_eq!(
        status_of(&shared, &format!("/events?key=open-7&{responses}")).await,
        503
    );
    drop(open);
    assert_eq!(
        status_of(&shared, &format!("/events?key=new&{responses}")).await,
        503
    );
}

#[tokio::test]
async fn a_forgotten_key_starts_again() {
    let shared = Arc::<Shared>::default();
    let target = "/events?key=k&responses=503,200,204";
    for _ in 0..2 {
        for status in [503, 200, 204] {
            assert_eq!(status_of(&shared, target).await, status);
        }
        assert_eq!(shared.streams.stats(Some("k")).requests.unwrap().len(), 3);
        // A HEAD request evicts no key, and is not remembered.
        for key in 0..2000 {
            let request = Request::head(format!("/events?key={key}")).body(nothing());
            respond(request.unwrap(), Arc::clone(&shared)).await;
        }
        assert_eq!(status_of(&shared, target).await, 204);
        for key in 0..1000 {
            status_of(&shared, &format!("/events?key={key}&responses=503,200")).await;
        }
        let forgotten = shared.streams.stats(Some("k"));
        assert_eq!(forgotten.requests, Some(Vec::<Arrival>::new()));
    }
}
