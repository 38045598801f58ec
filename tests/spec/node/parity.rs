//! Compares the server with the Node examples: every difference that a client can see is listed
//! here.

use std::collections::BTreeSet;

use crate::support::node::{
    assert_both_say_the_same_time, assert_both_say_where_they_listen, beside_node, greeting,
    not_found, response,
};
use crate::support::{self, Binary, Client, Serves};

/// Node's server and this one, in the same time zone; `None` without Node.
fn twins() -> Option<[Binary; 2]> {
    beside_node(Binary::command())
}

fn get(server: &Binary, path: &str) -> (String, BTreeSet<String>, Client) {
    response(server.send(support::get(path)))
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
