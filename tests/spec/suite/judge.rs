//! `POST /cases`: the server judges a client by its events and by its requests.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::suite::cases::{Case, cases};
use crate::support::reply::{self, Reply};
use crate::support::{Server, Serves};

/// The key of most tests.
const KEY: &str = "k";

/// A case with one event, one reconnect and no id.
const SHORT: &str = "one-event";

/// A case with three events, one reconnect, and the id 1 for the first event.
const IDS: &str = "comment-ids-and-spaces";

/// A case with a reconnect after 300 ms.
const RETRY: &str = "retry";

/// A case without a reconnect.
const FAILURE: &str = "status-404";

/// A case with two events and a stream that stays open: whether the client reconnects is not judged.
const HELD: &str = "held-after-lf";

/// How long a key is quiet before a client counts as done.
const QUIET: Duration = Duration::from_secs(6);

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

/// The server's verdict on what a runner posts.
#[track_caller]
pub fn judge(server: &Server, post: &Value) -> Value {
    let reply = reply::post(server, "/cases", post.to_string());
    assert_eq!(reply.status(), "200 OK", "{post}: {}", reply.text());
    serde_json::from_str(&reply.text()).expect("a verdict is JSON")
}

/// A post of a client that may still reconnect.
fn open(case: &str, key: &str, events: &Value) -> Value {
    json!({"name": case, "key": key, "events": events})
}

/// A post of a client that is closed.
fn closed(case: &str, key: &str, events: &Value) -> Value {
    json!({"name": case, "key": key, "events": events, "closed": true})
}

fn case(name: &str) -> Case {
    let mut cases = cases().into_iter();
    cases.find(|case| case.name == name).expect(name)
}

/// The events that a case expects.
fn expected(name: &str) -> Value {
    serde_json::to_value(case(name).expect).unwrap()
}

fn event(kind: &str, data: &str, id: &str) -> Value {
    json!({"event": kind, "data": data, "id": id})
}

/// Requests a case once without an id, and follows a redirect.
fn request(server: &Server, name: &str, key: &str) {
    request_with(server, name, key, "");
}

fn request_with(server: &Server, name: &str, key: &str, id: &str) {
    let get = |target: &str| match id {
        "" => reply::get(server, target),
        _ => reply::come_back(server, target, id),
    };
    let reply = get(&format!("{}&key={key}", case(name).url));
    if let Some(location) = reply.header("Location") {
        get(location);
    }
}

/// Asserts the scores and the sentences of a verdict that is done.
#[track_caller]
fn assert_verdict(verdict: &Value, scores: [Option<bool>; 3], why: &[&str]) {
    let [events, ids, reconnects] = scores;
    let right = !scores.contains(&NO);
    let name = &verdict["name"];
    let should = json!({"name": name, "done": true, "right": right, "events": events, "ids": ids,
        "reconnects": reconnects, "why": why});
    assert_eq!(*verdict, should);
}

#[test]
fn a_client_with_all_events_and_requests_is_right() {
    let server = Server::start();
    request(&server, SHORT, KEY);
    request(&server, SHORT, KEY);
    let post = closed(SHORT, KEY, &expected(SHORT));
    assert_eq!(
        reply::post(&server, "/cases", post.to_string()).text(),
        "{\"name\":\"one-event\",\"done\":true,\"right\":true,\"events\":true,\"ids\":true,\
         \"reconnects\":true,\"why\":[]}"
    );
}

#[test]
fn a_wrong_event_is_described_by_what_was_expected_and_what_came() {
    let server = Server::start();
    request(&server, IDS, KEY);
    request(&server, IDS, KEY);
    let first = event("message", "first", "1");
    let second = event("message", "second", "");
    let third = event("message", " third", "");
    let long = "y".repeat(61);
    let cut = format!(
        "Event 3: expected \"message\" with the data \" third\"; \"message\" with the data \
         \"{}\"… of 61 characters came.",
        &long[1..]
    );
    for (events, scores, why) in [
        (json!([first, second, third]), [YES; 3], vec![]),
        (
            json!([first, event("message", "other", ""), third]),
            [NO, YES, YES],
            vec![
                "Event 2: expected \"message\" with the data \"second\"; \"message\" with the \
                 data \"other\" came.",
            ],
        ),
        (
            json!([event("add", "first", "1"), second, third]),
            [NO, YES, YES],
            vec![
                "Event 1: expected \"message\" with the data \"first\"; \"add\" with the data \
                 \"first\" came.",
            ],
        ),
        (
            json!([first, second, event("message", &long, "")]),
            [NO, YES, YES],
            vec![&cut],
        ),
        (
            json!([event("message", "first", "2"), second, third]),
            [YES, NO, YES],
            vec!["Event 1: expected the id \"1\"; \"2\" came."],
        ),
        (
            json!([first, second]),
            [NO, NO, YES],
            vec!["Expected 3 events; 2 came."],
        ),
        (
            json!([first, second, third, third]),
            [NO, NO, YES],
            vec!["Expected 3 events; 4 came."],
        ),
        (json!([]), [NO, NO, YES], vec!["Expected 3 events; 0 came."]),
        (
            json!([second, third]),
            [NO, NO, YES],
            vec![
                "Expected 3 events; 2 came.",
                "Event 1: expected \"message\" with the data \"first\"; \"message\" with the data \
                 \"second\" came.",
                "Event 1: expected the id \"1\"; \"\" came.",
            ],
        ),
    ] {
        let verdict = judge(&server, &closed(IDS, KEY, &events));
        assert_verdict(&verdict, scores, &why);
    }
}

#[test]
fn ids_that_a_runner_leaves_out_are_not_judged() {
    let server = Server::start();
    request(&server, IDS, KEY);
    request(&server, IDS, KEY);
    for id in [None, Some(json!(null))] {
        let mut events = expected(IDS);
        let first = events[0].as_object_mut().unwrap();
        first.remove("id");
        first.extend(id.map(|id| ("id".to_owned(), id)));
        let verdict = judge(&server, &closed(IDS, KEY, &events));
        assert_verdict(&verdict, [YES, None, YES], &[]);
    }
}

#[test]
fn large_data_is_posted_as_its_size() {
    const LARGE: &str = "size-64-kib";
    let server = Server::start();
    request(&server, LARGE, KEY);
    request(&server, LARGE, KEY);
    let of = |size: usize| json!([{"event": "message", "data": null, "size": size, "id": ""}]);
    let verdict = judge(&server, &closed(LARGE, KEY, &of(65_536)));
    assert_verdict(&verdict, [YES; 3], &[]);
    let verdict = judge(&server, &closed(LARGE, KEY, &of(65_535)));
    let why =
        "Event 1: expected \"message\" with 65536 times x; \"message\" with 65535 times x came.";
    assert_verdict(&verdict, [NO, YES, YES], &[why]);
    let in_full = json!([event("message", &"x".repeat(65_536), "")]);
    let verdict = judge(&server, &closed(LARGE, KEY, &in_full));
    assert_verdict(&verdict, [YES; 3], &[]);
}

#[test]
fn half_of_a_surrogate_pair_is_judged_and_is_wrong() {
    const CASE: &str = "utf-8-surrogate";
    let server = Server::start();
    request(&server, CASE, KEY);
    request(&server, CASE, KEY);
    let half = json!([event("message", "?", "")]);
    let post = closed(CASE, KEY, &half).to_string().replace('?', "\\ud83d");
    let reply = reply::post(&server, "/cases", &post);
    assert_eq!(reply.status(), "200 OK", "{}", reply.text());
    let verdict: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(verdict["events"], false, "{verdict}");
}

#[test]
fn every_fault_of_a_later_request_has_its_sentence() {
    const CASE: &str = "cut-off";
    let server = Server::start();
    request(&server, CASE, KEY);
    request_with(&server, CASE, KEY, "9");
    request(&server, CASE, KEY);
    let requests = server.stats_of(KEY).requests.unwrap();
    let after = requests[1].after_ms.expect("the first stream has ended");
    let wait = format!(
        "Request 2: expected 270 to 1200 ms after the end of the stream; it came after {after} ms."
    );
    let mut why = vec![
        "Expected 2 requests; 3 came.",
        "Request 2: expected Last-Event-ID \"2\"; \"9\" came.",
        &wait,
    ];
    // A busy machine makes this client late.
    why.truncate(if after < 90 { 3 } else { 2 });
    let verdict = judge(&server, &closed(CASE, KEY, &expected(CASE)));
    assert_verdict(&verdict, [YES, YES, NO], &why);
}

#[test]
fn a_client_is_done_once_it_is_closed_or_6_s_after_its_last_request() {
    let server = Server::start();
    let is_done = |case: &str, key: &str| {
        let verdict = judge(&server, &open(case, key, &expected(case)));
        if verdict["done"] == false {
            let pending = json!({"name": case, "done": false, "right": null, "events": null,
                "ids": null, "reconnects": null, "why": []});
            assert_eq!(verdict, pending);
        }
        verdict["done"] == true
    };
    let start = Instant::now();
    let held = server.get(&format!("{}&key=held", case(HELD).url));
    request(&server, SHORT, "once");
    let mut waiting = Vec::new();
    for (case, key, requests) in [
        (SHORT, "twice", 2),
        (SHORT, "thrice", 2),
        (FAILURE, "failure", 1),
    ] {
        let last = Instant::now();
        for _ in 0..requests {
            request(&server, case, key);
        }
        waiting.push((case, key, last));
    }
    while start.elapsed() < QUIET / 2 {
        thread::sleep(Duration::from_millis(200));
        assert!(!waiting.iter().any(|(case, key, _)| is_done(case, key)));
    }
    waiting[1].2 = Instant::now();
    request(&server, SHORT, "thrice");
    while !waiting.is_empty() {
        thread::sleep(Duration::from_millis(50));
        waiting.retain(|(case, key, last)| {
            let is_done = is_done(case, key);
            let quiet = last.elapsed();
            assert!(!is_done || quiet >= QUIET, "{key}: {quiet:?}");
            assert!(quiet < 2 * QUIET, "{key}");
            !is_done
        });
    }
    for (case, key) in [(SHORT, "once"), (HELD, "held"), (SHORT, "never")] {
        assert!(!is_done(case, key), "{key}");
    }

    let closed = |case: &str, key: &str| judge(&server, &closed(case, key, &expected(case)));
    let why = "Expected 2 requests; 1 came.";
    assert_verdict(&closed(SHORT, "once"), [YES, YES, NO], &[why]);
    assert_verdict(&closed(FAILURE, "failure"), [YES; 3], &[]);
    assert_verdict(&closed(HELD, "held"), [YES, YES, None], &[]);
    drop(held);
}

#[test]
fn a_client_that_does_not_reconnect_by_itself_is_done_once_it_is_closed() {
    let server = Server::start();
    request(&server, SHORT, KEY);
    let mut post = closed(SHORT, KEY, &expected(SHORT));
    post["reconnects"] = json!(false);
    assert_verdict(&judge(&server, &post), [YES, YES, None], &[]);
    request(&server, SHORT, KEY);
    assert_verdict(&judge(&server, &post), [YES, YES, None], &[]);
    post["closed"] = json!(false);
    thread::sleep(QUIET);
    assert_eq!(judge(&server, &post)["done"], false);
}

#[test]
fn more_requests_than_the_case_has_are_wrong_also_older_ones_of_the_key() {
    let server = Server::start();
    for _ in 0..3 {
        request(&server, SHORT, KEY);
    }
    let closed = |case: &str| judge(&server, &closed(case, KEY, &expected(case)));
    let why = "Expected 2 requests; 3 came.";
    assert_verdict(&closed(SHORT), [YES, YES, NO], &[why]);
    // The server keeps the newest 100 requests of a key.
    for _ in 0..110 {
        request(&server, SHORT, KEY);
    }
    let why = "Expected 2 requests; 100 or more came.";
    assert_verdict(&closed(SHORT), [YES, YES, NO], &[why]);
    let why = "Expected 1 request; 100 or more came.";
    assert_verdict(&closed(FAILURE), [YES, YES, NO], &[why]);
    assert_verdict(&closed(HELD), [YES, YES, None], &[]);
}

#[test]
fn a_wait_that_is_too_short_or_too_long_is_wrong() {
    let server = Server::start();
    for wait in [0, 300, 1300] {
        let key = format!("wait-{wait}");
        request(&server, RETRY, &key);
        thread::sleep(Duration::from_millis(wait));
        request(&server, RETRY, &key);
        let requests = server.stats_of(&key).requests.unwrap();
        let after = requests[1].after_ms.expect("the first stream has ended");
        let expected_wait = "expected 270 to 1200 ms after the end of the stream";
        let why = format!("Request 2: {expected_wait}; it came after {after} ms.");
        // A busy machine makes this client late.
        let is_right = (90..=1200).contains(&after);
        let why = if is_right { vec![] } else { vec![&*why] };
        let verdict = judge(&server, &closed(RETRY, &key, &expected(RETRY)));
        assert_verdict(&verdict, [YES, YES, Some(is_right)], &why);
    }
}

#[test]
fn a_client_sends_its_id_through_a_redirect() {
    const REDIRECT: &str = "redirect-302";
    let server = Server::start();
    for (key, id, scores, why) in [
        ("right", "r302", [YES; 3], vec![]),
        (
            "other",
            "r30",
            [YES, YES, NO],
            vec!["Request 2: expected Last-Event-ID \"r302\"; \"r30\" came."],
        ),
        (
            "none",
            "",
            [YES, YES, NO],
            vec!["Request 2: expected Last-Event-ID \"r302\"; \"\" came."],
        ),
    ] {
        request(&server, REDIRECT, key);
        request_with(&server, REDIRECT, key, id);
        assert_eq!(server.stats_of(key).redirects, Some(2));
        let verdict = judge(&server, &closed(REDIRECT, key, &expected(REDIRECT)));
        assert_verdict(&verdict, scores, &why);
    }
    reply::get(&server, &format!("{}&key={KEY}", case(REDIRECT).url));
    let verdict = judge(&server, &closed(REDIRECT, KEY, &json!([])));
    let why = "The server sent 1 redirect; no request followed.";
    assert_verdict(&verdict, [NO; 3], &[why]);
}

#[test]
fn a_key_without_requests_is_wrong_in_every_score_once_closed() {
    let server = Server::start();
    let pending = judge(&server, &open(SHORT, KEY, &expected(SHORT)));
    assert_eq!(pending["done"], false);
    for case in [SHORT, FAILURE, HELD] {
        let verdict = judge(&server, &closed(case, KEY, &expected(case)));
        assert_verdict(&verdict, [NO; 3], &["No request with the key k came."]);
    }
}

#[test]
fn a_post_that_is_no_result_of_a_case_is_400_with_one_line() {
    let server = Server::start();
    let without = |field: &str| {
        let mut post = closed(SHORT, KEY, &json!([]));
        post.as_object_mut().unwrap().remove(field);
        post.to_string()
    };
    let with = |field: &str, value: Value| {
        let mut post = closed(SHORT, KEY, &json!([]));
        post[field] = value;
        post.to_string()
    };
    let long = "\n\u{1b}".repeat(1000);
    for (content, begin) in [
        (
            with("name", json!("nope")),
            "name: no case is called \"nope\"\n",
        ),
        (with("name", json!(long)), "name: no case is called \"\\n"),
        (
            with("key", json!("a b")),
            "key: given \"a b\", allowed 1 to 64 of A-Z a-z 0-9 . _ -\n",
        ),
        (with("key", json!("")), "key: given \"\", allowed "),
        (with("key", json!("k".repeat(65))), "key: given \"kkk"),
        (without("name"), "no result of a case: missing field `name`"),
        (without("key"), "no result of a case: missing field `key`"),
        (
            without("events"),
            "no result of a case: missing field `events`",
        ),
        (with("name", json!(1)), "no result of a case: invalid type"),
        (
            with("events", json!({})),
            "no result of a case: invalid type",
        ),
        (
            with("events", json!([{"data": "x"}])),
            "no result of a case: missing field `event`",
        ),
        (
            with("events", json!([{"event": "message", "type": "x"}])),
            "no result of a case: unknown field `type`",
        ),
        (
            with("done", json!(true)),
            "no result of a case: unknown field `done`, expected one of `name`, ",
        ),
        (
            with(&long, json!(true)),
            "no result of a case: unknown field `\u{fffd}\u{fffd}",
        ),
        (without("name")[1..].to_owned(), "no result of a case: "),
        ("[]".to_owned(), "no result of a case: "),
        (
            r#"["one-event", "k", [], true, true]"#.to_owned(),
            "no result of a case: an object is expected",
        ),
        (
            with("key", json!("%71")),
            "key: given \"q\", allowed 1 to 64 of A-Z",
        ),
        (
            with(
                "events",
                json!([{"event": "message", "data": "x", "size": 2}]),
            ),
            "no result of a case: an event has data, or null and its size",
        ),
        (
            with("events", json!([{"event": "message", "id": ""}])),
            "no result of a case: an event has data, or null and its size",
        ),
        (String::new(), "no result of a case: EOF while parsing"),
        ("\u{feff}{}".to_owned(), "no result of a case: "),
    ] {
        let reply = reply::post(&server, "/cases", &content);
        let (status, line) = (reply.status(), reply.text());
        assert_eq!(status, "400 Bad Request", "{content:.99}");
        assert!(line.starts_with(begin), "{line}");
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
        assert!(line.chars().count() < 700, "{line}");
        let media_type = reply.header("Content-Type");
        assert_eq!(media_type, Some("text/plain; charset=utf-8"));
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    }
    let lone_surrogate = with("name", json!("?")).replace('?', "\\ud800");
    for content in [lone_surrogate.as_bytes(), b"\xff"] {
        let reply = reply::post(&server, "/cases", content);
        assert_eq!(reply.status(), "400 Bad Request");
    }
}

#[test]
fn content_of_1_mib_is_judged_and_of_one_byte_more_is_413() {
    let server = Server::start();
    request(&server, FAILURE, KEY);
    let post = closed(FAILURE, KEY, &json!([])).to_string();
    let of = |length: usize| post.clone() + &" ".repeat(length - post.len());
    let begin = "POST /cases HTTP/1.1\r\nHost: clock\r\n";
    let chunked = |content: &str, end: &str| {
        let head = format!("{begin}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("{:x}\r\n{content}{end}", content.len());
        Reply::read(server.send(head + &chunk))
    };
    for reply in [
        reply::post(&server, "/cases", of(1 << 20)),
        chunked(&of(1 << 20), "\r\n0\r\n\r\n"),
    ] {
        let verdict = serde_json::from_str(&reply.text()).expect("a verdict");
        assert_verdict(&verdict, [YES; 3], &[]);
    }
    let declared = format!("{begin}Content-Length: 1048577\r\n\r\n");
    for reply in [
        Reply::read(server.send(declared)),
        // The server closes the connection with the last byte, and leaves none unread.
        chunked(&of((1 << 20) + 1), ""),
    ] {
        assert_eq!(reply.status(), "413 Payload Too Large");
        assert_eq!(reply.header("Connection"), Some("close"));
        assert_eq!(reply.text(), "content: at most 1048576 bytes are taken\n");
    }
}

#[test]
fn a_page_of_any_origin_may_post_with_any_content_type_or_none() {
    let server = Server::start();
    request(&server, FAILURE, KEY);
    let content = closed(FAILURE, KEY, &json!([])).to_string();
    for kind in [
        "",
        "Content-Type: text/plain;charset=UTF-8\r\n",
        "Content-Type: application/json\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: \r\n",
    ] {
        let reply = Reply::to(
            &server,
            &format!(
                "POST /cases HTTP/1.1\r\nOrigin: http://elsewhere\r\n{kind}Content-Length: {}\r\n\
                 \r\n{content}",
                content.len()
            ),
        );
        let verdict = serde_json::from_str(&reply.text()).expect("a verdict");
        assert_verdict(&verdict, [YES; 3], &[]);
        for (name, value) in [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Access-Control-Allow-Origin", "*"),
            ("Timing-Allow-Origin", "*"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{kind}: {name}");
        }
    }
}

#[test]
fn a_preflight_allows_a_post_with_any_header() {
    let server = Server::start();
    let reply = Reply::to(
        &server,
        "OPTIONS /cases HTTP/1.1\r\nOrigin: http://elsewhere\r\n\
         Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,x-run\r\n\r\n",
    );
    assert_eq!(reply.status(), "204 No Content");
    for (name, value) in [
        ("Allow", "GET, HEAD, POST, OPTIONS"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "GET, POST"),
        ("Access-Control-Allow-Headers", "content-type,x-run"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_connection_takes_another_post_after_a_verdict_but_not_after_a_400() {
    let server = Server::start();
    request(&server, FAILURE, KEY);
    let post = |content: &str| {
        let length = content.len();
        format!("POST /cases HTTP/1.1\r\nHost: clock\r\nContent-Length: {length}\r\n\r\n{content}")
    };
    let right = post(&closed(FAILURE, KEY, &json!([])).to_string());
    let mut client = server.send(right.repeat(2) + &post("{}") + &right);
    for _ in 0..2 {
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let length = head.split("Content-Length: ").nth(1).unwrap();
        client.take(length.lines().next().unwrap().parse().unwrap());
    }
    let rest = client.rest();
    assert!(rest.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{rest}");
    assert!(rest.contains("\r\nConnection: close\r\n"), "{rest}");
    assert_eq!(rest.matches("HTTP/1.1").count(), 1, "{rest}");
}
