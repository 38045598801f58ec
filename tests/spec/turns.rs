//! Whose turn it is: what a request gets in place of the stream, in which order, and what of it is
//! remembered of its key.

use std::sync::{Arc, Barrier};
use std::thread;

use hyper::{Request, Response, StatusCode};
use sse_clock::service::{Shared, respond};
use sse_clock::stats::Arrival;
use tokio::runtime::Builder;

use crate::support::{Server, eventually};
use crate::wire::{Reply, come_back, frame, get, nothing, post};

const STREAM: &str = ":\n\ndata: x\n\n";

/// The statuses of so many requests for `target`, one after the other.
fn statuses(server: &Server, target: &str, requests: usize) -> Vec<u16> {
    let status = |_| status(&get(server, target));
    (0..requests).map(status).collect()
}

fn status(reply: &Reply) -> u16 {
    reply.status()[..3].parse().unwrap()
}

fn asked(server: &Server, method: &str, target: &str) -> Reply {
    Reply::to(server, &format!("{method} {target} HTTP/1.1\r\n\r\n"))
}

/// The status of the handler's answer, whose stream is not read.
async fn look(shared: &Arc<Shared>, target: &str) -> StatusCode {
    answer(shared, target).await.status()
}

async fn answer(shared: &Arc<Shared>, target: &str) -> Response<impl Sized + use<>> {
    let request = Request::get(target).body(nothing()).unwrap();
    respond(request, Arc::clone(shared)).await
}

/// Opens a thousand streams, each of a key of its own: what is returned keeps them open.
async fn all_keys_open(shared: &Arc<Shared>) -> Vec<impl Sized + use<>> {
    let mut streams = Vec::new();
    for key in 0..1000 {
        let request = Request::get(format!("/events?key=open-{key}")).body(nothing());
        let answer = respond(request.unwrap(), Arc::clone(shared)).await;
        let mut body = Box::pin(answer.into_body());
        assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
        streams.push(body);
    }
    streams
}

#[test]
fn a_redirect_leads_to_the_same_url_without_it() {
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
        // What is empty is no parameter.
        ("data=a&&redirect=308&&ids", "/events?data=a&ids"),
        ("&redirect=308&", "/events"),
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
fn the_first_requests_of_a_key_fail_and_then_comes_the_stream() {
    let server = Server::start();
    for (query, expected) in [
        ("key=a&fail=1", [503, 200, 200, 200]),
        ("key=b&fail=3", [503, 503, 503, 200]),
        ("key=c&fail=2&status=429", [429, 429, 200, 200]),
        ("key=d&fail=1&status=204", [204, 200, 200, 200]),
        ("key=e&fail=1&status=200", [200, 200, 200, 200]),
    ] {
        let target = format!("/stream?count=1&data=x&{query}");
        assert_eq!(statuses(&server, &target, 4), expected, "{query}");
        assert_eq!(get(&server, &target).text(), STREAM);
    }
    let reply = get(&server, "/events?key=f&fail=100");
    assert_eq!(reply.status(), "503 Service Unavailable");
    assert_eq!(reply.text(), "503 Service Unavailable\n");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    let most = statuses(&server, "/stream?key=g&fail=100&count=1", 101);
    assert_eq!(most[..100], [503; 100]);
    assert_eq!(most[100], 200);
}

#[test]
fn the_failures_of_a_key_are_counted_over_its_paths_and_methods() {
    let server = Server::start();
    let query = "key=k&fail=3&count=1&interval=10";
    assert_eq!(status(&get(&server, &format!("/events?{query}"))), 503);
    assert_eq!(status(&get(&server, &format!("/stream?{query}"))), 503);
    assert_eq!(
        status(&post(&server, &format!("/stream?{query}"), "x")),
        503
    );
    assert_eq!(
        status(&post(&server, &format!("/events?{query}"), "x")),
        200
    );
    let other = query.replace("key=k", "key=other");
    assert_eq!(status(&get(&server, &format!("/events?{other}"))), 503);
}

#[test]
fn one_request_of_a_key_gets_the_stream_and_later_ones_are_let_go() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&key=k&once";
    assert_eq!(get(&server, target).text(), STREAM);
    for reply in [
        get(&server, target),
        post(&server, target, "hello"),
        come_back(&server, target, "1"),
        get(&server, "/events?once&key=k"),
    ] {
        assert_eq!(reply.status(), "204 No Content");
        assert_eq!(reply.bytes(), b"");
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    }
    // Others of the key did not ask for it.
    assert_eq!(get(&server, "/stream?count=1&data=x&key=k").text(), STREAM);
    assert_eq!(get(&server, &target.replace("=k", "=other")).text(), STREAM);
    assert_eq!(server.stats_of("k").opened, 2);
}

#[test]
fn once_is_once_while_the_stream_is_open_and_after_its_client_has_left() {
    let server = Server::start();
    let target = "/events?interval=60000&key=k&once";
    let (head, client) = server.get(target);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(status(&get(&server, target)), 204);
    drop(client);
    eventually("the client has left", || server.stats().closed.client == 1);
    assert_eq!(status(&get(&server, target)), 204);
}

#[test]
fn of_two_requests_at_the_same_instant_one_gets_the_stream() {
    let server = Server::start();
    let both = Barrier::new(2);
    for key in 0..30 {
        let target = format!("/stream?count=1&data=x&once&key={key}");
        let ask = || {
            both.wait();
            status(&get(&server, &target))
        };
        let mut got = thread::scope(|scope| {
            let others = [scope.spawn(ask), scope.spawn(ask)];
            others.map(|other| other.join().unwrap())
        });
        got.sort_unstable();
        assert_eq!(got, [200, 204]);
    }
}

#[test]
fn of_many_requests_on_many_threads_so_many_fail_and_one_gets_the_stream() {
    let shared = Arc::<Shared>::default();
    let ask = || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let asking = async {
            let mut got = Vec::new();
            for _ in 0..50 {
                got.push(look(&shared, "/events?key=k&once&fail=50").await.as_u16());
            }
            got
        };
        runtime.block_on(asking)
    };
    let got = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(ask));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    let count = |status| got.iter().filter(|got| **got == status).count();
    assert_eq!([503, 200, 204].map(count), [50, 1, 149]);
}

#[test]
fn a_bad_option_then_a_redirect_a_failure_once_and_a_status_answer_in_this_order() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&then=404&fail=1&once&key=k";
    assert_eq!(status(&get(&server, &format!("{target}&nope"))), 400);
    assert_eq!(
        status(&get(&server, &format!("{target}&redirect=307"))),
        307
    );
    let redirected = format!("{target}&redirect=307");
    assert_eq!(status(&come_back(&server, &redirected, "1")), 404);
    assert_eq!(status(&come_back(&server, target, "1")), 404);
    // Nothing of that counted for the failure, nor that for the stream.
    assert_eq!(statuses(&server, target, 4), [503, 200, 204, 204]);
    assert_eq!(status(&come_back(&server, target, "1")), 404);

    let target = "/stream?count=1&data=x&once&status=418&key=other";
    assert_eq!(statuses(&server, target, 3), [418, 204, 204]);
}

#[test]
fn then_200_is_the_stream_at_once() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&then=200&fail=1&once&key=k&status=429";
    for target in [
        target.to_owned(),
        target.replace("&status=429", "&redirect=301"),
    ] {
        for _ in 0..2 {
            assert_eq!(come_back(&server, &target, "1").text(), STREAM);
        }
    }
    assert_eq!(statuses(&server, target, 3), [429, 200, 204]);
    assert_eq!(come_back(&server, target, "1").text(), STREAM);
}

#[test]
fn a_status_beside_fail_is_the_failures_alone() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&key=k&fail=1&status=500&once";
    assert_eq!(statuses(&server, target, 3), [500, 200, 204]);
}

#[test]
fn a_status_of_fail_once_or_then_has_no_wire_as_its_body() {
    let server = Server::start();
    let is_as_ever = |reply: Reply, body: &str| {
        assert_eq!(reply.text(), body);
        assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
        assert_eq!(reply.header("Content-Security-Policy"), None);
    };
    let wire = "wire=data:a%0A%0A";

    let target = format!("/events?fail=2&key=fail&status=500&{wire}");
    is_as_ever(get(&server, &target), "500 Internal Server Error\n");
    is_as_ever(
        post(&server, &target, "hello"),
        "500 Internal Server Error\n",
    );
    is_as_ever(get(&server, &target), "data:a\n\n");
    let target = format!("/events?fail=1&key=503&{wire}");
    is_as_ever(get(&server, &target), "503 Service Unavailable\n");
    let target = format!("/events?fail=1&key=204&status=204&{wire}");
    assert_eq!(statuses(&server, &target, 2), [204, 200]);

    let target = format!("/events?once&key=once&status=418&{wire}");
    let first = get(&server, &target);
    assert_eq!((status(&first), first.text().as_str()), (418, "data:a\n\n"));
    let second = get(&server, &target);
    assert_eq!(status(&second), 204);
    is_as_ever(second, "");

    let target = format!("/events?then=404&status=500&{wire}");
    assert_eq!(get(&server, &target).text(), "data:a\n\n");
    is_as_ever(come_back(&server, &target, "1"), "404 Not Found\n");
    let target = target.replace("404", "200");
    let stream = come_back(&server, &target, "1");
    assert_eq!(status(&stream), 200);
    is_as_ever(stream, "data:a\n\n");
}

#[test]
fn head_is_answered_as_a_get_would_be_now_and_changes_nothing() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&fail=1&once&key=k";
    for expected in [503, 200, 204, 204] {
        for _ in 0..3 {
            let head = asked(&server, "HEAD", target);
            assert_eq!((status(&head), head.bytes()), (expected, Vec::new()));
            assert_eq!(asked(&server, "OPTIONS", target).status(), "204 No Content");
            let redirect = format!("{target}&redirect=301");
            assert_eq!(status(&asked(&server, "HEAD", &redirect)), 301);
        }
        assert_eq!(status(&get(&server, target)), expected);
    }
    let requests = server.stats_of("k").requests.unwrap();
    assert_eq!(requests.len(), 4);
}

#[test]
fn what_stands_in_place_of_the_stream_has_the_same_head_for_head() {
    let server = Server::start();
    for query in [
        "status=503",
        "status=204",
        "redirect=301&ids",
        "key=k&fail=100",
        "key=k&fail=100&status=429&type=text/html",
        "nope",
        "credentials&interval=0",
    ] {
        let head = |method| {
            let head = asked(&server, method, &format!("/events?{query}")).head;
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
        asked(&server, method, target);
    }
    come_back(&server, &format!("{target}&redirect=301"), "1");
    let stats = server.stats_of("k");
    assert_eq!(
        (stats.requests, stats.last_event_ids),
        (Some(vec![]), Some(vec![]))
    );
}

/// The `Last-Event-ID` of each request of a key.
fn ids(server: &Server, key: &str) -> Vec<Option<String>> {
    let requests = server.stats_of(key).requests.unwrap();
    requests.into_iter().map(|it| it.last_event_id).collect()
}

#[test]
fn the_requests_of_a_key_come_with_their_header_alone() {
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
    get(&server, &format!("{target}&fail=1"));
    assert_eq!(after(), None, "no stream has ended");
    get(&server, target);
    assert_eq!(after(), None, "no stream has ended");
    let begin = std::time::Instant::now();
    thread::sleep(std::time::Duration::from_millis(30));
    get(&server, &format!("{target}&status=503"));
    let most = crate::wire::milliseconds(begin.elapsed()) + 20_000;
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
fn the_requests_of_a_key_stand_in_its_stats() {
    let server = Server::start();
    come_back(&server, "/stream?status=503&key=k", "a\"b");
    get(&server, "/stream?status=503&key=k");
    let text = get(&server, "/stats?key=k").text();
    let told = "\"requests\":[{\"last_event_id\":\"a\\\"b\",\"after_ms\":null},\
                {\"last_event_id\":null,\"after_ms\":null}]}";
    assert!(text.ends_with(told), "{text}");
    assert!(!get(&server, "/stats").text().contains("requests"));
}

#[tokio::test]
async fn a_key_that_cannot_be_kept_gets_the_stream() {
    let shared = Arc::<Shared>::default();
    let open = all_keys_open(&shared).await;
    for query in ["fail=1", "once", "fail=1&once", "fail=1&status=429"] {
        for _ in 0..3 {
            let status = look(&shared, &format!("/events?key=new&{query}")).await;
            assert_eq!(status, 200, "{query}");
            let request = Request::head(format!("/events?key=new&{query}"));
            let request = request.body(nothing()).unwrap();
            let head = respond(request, Arc::clone(&shared)).await;
            assert_eq!(head.status(), 200, "{query}");
        }
    }
    let stats = shared.streams.stats(Some("new"));
    assert_eq!(stats.requests, Some(vec![]));
    // A key that is known is known still.
    assert_eq!(look(&shared, "/events?key=open-7&fail=1").await, 503);
    drop(open);
    assert_eq!(look(&shared, "/events?key=new&fail=1").await, 503);
}

#[tokio::test]
async fn a_key_that_was_forgotten_begins_anew() {
    let shared = Arc::<Shared>::default();
    let target = "/events?key=k&fail=1&once";
    for _ in 0..2 {
        for status in [503, 200, 204] {
            assert_eq!(look(&shared, target).await, status);
        }
        assert_eq!(shared.streams.stats(Some("k")).requests.unwrap().len(), 3);
        // A look forgets nobody, and nobody for its sake.
        for key in 0..2000 {
            let request = Request::head(format!("/events?key={key}")).body(nothing());
            respond(request.unwrap(), Arc::clone(&shared)).await;
        }
        assert_eq!(look(&shared, target).await, 204);
        for key in 0..1000 {
            look(&shared, &format!("/events?key={key}&fail=1")).await;
        }
        let forgotten = shared.streams.stats(Some("k"));
        assert_eq!(forgotten.requests, Some(Vec::<Arrival>::new()));
    }
}
