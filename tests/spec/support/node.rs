//! The Node examples: a process that runs them, and what they send.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{Binary, Client, Serves, get, there_is};

const TWIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/twins/http.js");

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

/// The event with this number on `/stream`.
pub fn greeting(number: u64) -> Vec<u8> {
    format!("data: hello from server sent events ---- [{number}]\n\n").into_bytes()
}

/// Whether `text` is a time in the format of en-US: `9:05:07 AM`.
pub fn is_time(text: &str) -> bool {
    let number = |text: &str, range: std::ops::Range<u8>| {
        text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse().is_ok_and(|number| range.contains(&number))
    };
    let Some((clock, half)) = text.split_once(' ') else {
        return false;
    };
    let [hour, minute, second] = clock.split(':').collect::<Vec<_>>()[..] else {
        return false;
    };
    (half == "AM" || half == "PM")
        && number(hour, 1..13)
        && !hour.starts_with('0')
        && [minute, second].map(|part| part.len() == 2 && number(part, 0..60)) == [true; 2]
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
    let (status, headers, mut client) = response(server.send(get(url)));
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
