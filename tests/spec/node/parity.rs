//! Compares the server with the Node examples: every difference that a client can see is listed
//! here.

use std::collections::BTreeSet;
use std::process::Command;

use crate::node::both_streams::{greeting, is_time};
use crate::support::{self, Binary, Client, Serves, there_is};

const TWIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/twins/http.js");

/// Node's server and this one, in the same time zone; `None` without Node.
fn twins() -> Option<[Binary; 2]> {
    beside_node(Binary::command())
}

/// Node's server and the server that `ours` starts.
pub fn beside_node(ours: Command) -> Option<[Binary; 2]> {
    there_is("node").then(|| {
        let mut node = Command::new("node");
        node.arg(TWIN);
        [node, ours].map(|mut twin| {
            twin.env("PORT", "0").env("TZ", "Asia/Kolkata");
            Binary::spawn(twin)
        })
    })
}

fn get(server: &Binary, path: &str) -> (String, BTreeSet<String>, Client) {
    response(server.send(support::get(path)))
}

/// The status and the headers of the response to `client`, without the date.
pub fn response(mut client: Client) -> (String, BTreeSet<String>, Client) {
    let head = client.head();
    let (status, headers) = head.split_once("\r\n").unwrap();
    let headers = headers
        .split_terminator("\r\n")
        .filter(|header| !header.is_empty() && !header.starts_with("Date: "))
        .map(|header| {
            let (name, value) = header.split_once(": ").unwrap();
            format!("{}: {value}", name.to_lowercase())
        });
    (status.to_owned(), headers.collect(), client)
}

/// The status and the body of the `Not Found` response.
pub fn not_found(server: &Binary, url: &str) -> (String, Vec<u8>) {
    let (status, headers, mut client) = get(server, url);
    let body = if headers.contains("transfer-encoding: chunked") {
        client.chunk()
    } else {
        client.take(9)
    };
    (status, body)
}

#[track_caller]
pub fn assert_both_say_where_they_listen(twins: &[Binary; 2]) {
    for twin in twins {
        let line = format!("Server listening on http://localhost:{}", twin.port);
        assert_eq!(twin.first, line);
    }
}

/// Reads three events from each server, each of them one chunk with the time.
#[track_caller]
pub fn assert_both_say_the_same_time(node: &mut Client, ours: &mut Client) {
    for _ in 0..3 {
        let [theirs, ours] = [node.chunk(), ours.chunk()].map(|chunk| {
            let event = String::from_utf8(chunk).expect("ASCII");
            let time = event.strip_prefix("data: ").expect("one data field");
            let time = time.strip_suffix("\n\n").expect("one event in one chunk");
            assert!(is_time(time), "{event:?}");
            seconds(time)
        });
        let apart = (theirs - ours).rem_euclid(12 * 3600);
        assert!(
            apart.min(12 * 3600 - apart) <= 5,
            "{theirs} s and {ours} s are one time zone apart"
        );
    }
}

/// Seconds since the last noon or midnight.
fn seconds(time: &str) -> i64 {
    let (clock, _) = time.split_once(' ').unwrap();
    let part: Vec<i64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
    part[0] % 12 * 3600 + part[1] * 60 + part[2]
}

#[test]
fn both_say_where_they_listen_in_the_same_words() {
    let Some(twins) = twins() else { return };
    assert_both_say_where_they_listen(&twins);
}

#[test]
fn events_differs_from_the_node_example_by_one_header_only() {
    let Some([node, ours]) = twins() else { return };
    let (node_status, node_headers, mut node) = get(&node, "/events");
    let (status, headers, mut client) = get(&ours, "/events");
    assert_eq!(status, node_status);
    let more: Vec<_> = headers.difference(&node_headers).collect();
    assert_eq!(more, ["x-accel-buffering: no"]);
    let less: Vec<_> = node_headers.difference(&headers).collect();
    assert!(less.is_empty(), "{less:?}");
    assert_both_say_the_same_time(&mut node, &mut client);
}

#[test]
fn stream_has_the_status_the_headers_and_the_greetings_of_the_express_example() {
    let Some(twins) = twins() else { return };
    let [theirs, ours] = twins.map(|twin| {
        let (status, headers, mut first) = get(&twin, "/stream");
        let named: Vec<_> = headers
            .into_iter()
            .filter(|header| {
                ["content-type", "cache-control", "access-control-"]
                    .iter()
                    .any(|name| header.starts_with(name))
            })
            .collect();
        assert_eq!(first.chunk(), greeting(0));
        let (_, _, mut second) = get(&twin, "/stream");
        // On a busy machine the order of the two may vary; a number goes to one of them.
        let next = |client: &mut Client| {
            let event = client.chunk();
            (1..99).find(|number| event == greeting(*number))
        };
        let numbers = [
            next(&mut first),
            next(&mut second),
            next(&mut first),
            next(&mut second),
        ];
        assert!(numbers.iter().all(Option::is_some), "{numbers:?}");
        assert!(
            numbers[0] < numbers[2] && numbers[1] < numbers[3],
            "{numbers:?}"
        );
        assert_eq!(BTreeSet::from(numbers).len(), 4, "{numbers:?}");
        (status, named)
    });
    assert_eq!(ours, theirs);
    assert_eq!(ours.1.len(), 5, "{ours:?}");
}

#[test]
fn an_unknown_path_has_the_status_and_the_body_of_the_node_example() {
    let Some(twins) = twins() else { return };
    let [theirs, ours] = twins.map(|twin| not_found(&twin, "/nowhere"));
    assert_eq!(ours, theirs);
    assert_eq!(ours.1, b"Not Found");
}
