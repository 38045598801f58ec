//! A body chosen by the client: `wire`, byte for byte and block by block.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use sse_clock::service::{Shared, respond};
use sse_clock::stream::wire::wire;
use tokio::time::Instant as VirtualInstant;
use tokio_stream::StreamExt;

use crate::support::Server;
use crate::support::reply::{
    Reply, assert_played, body_of, come_back, encoded, frame, get, nothing, post, whole,
};

/// Every byte there is, each `%XX`.
fn every_byte() -> (Vec<u8>, String) {
    let bytes: Vec<u8> = (0..=255).collect();
    let encoded: Vec<_> = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    (bytes, encoded.concat())
}

#[tokio::test(start_paused = true)]
async fn a_wire_of_one_byte_is_that_byte() {
    for byte in 0..=255_u8 {
        for escape in [format!("%{byte:02X}"), format!("%{byte:02x}")] {
            let mut body = body_of(&format!("/events?wire={escape}")).await;
            assert_eq!(whole(&mut body).await, [byte], "{escape}");
        }
    }
}

#[test]
fn a_wire_of_every_byte_is_the_body_verbatim() {
    let server = Server::start();
    let (bytes, encoded) = every_byte();
    for path in ["/events", "/stream"] {
        let target = format!("{path}?interval=10&wire={encoded}");
        for reply in [get(&server, &target), post(&server, &target, "content")] {
            assert_eq!(reply.status(), "200 OK");
            assert_eq!(reply.header("Content-Type"), Some("text/event-stream"));
            assert_eq!(reply.bytes(), bytes);
            assert!(reply.complete);
        }
        let reply = get(&server, &format!("{target}&split=7"));
        assert_eq!(reply.bytes(), bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wire_is_decoded_as_forms_are() {
    for (given, sent) in [
        ("a+b%2B%20c", &b"a b+ c"[..]),
        ("a=b=c", b"a=b=c"),
        ("%26%3D%25", b"&=%"),
        ("%zz%F", b"%zz%F"),
        ("%FF%C3%28", b"\xff\xc3("),
        ("data:%20%C3%A9", "data: é".as_bytes()),
        ("!$'()*,-./:;?@[]_{|}~", b"!$'()*,-./:;?@[]_{|}~"),
    ] {
        let mut body = body_of(&format!("/events?wire={given}")).await;
        assert_eq!(whole(&mut body).await, sent, "{given}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_comes_each_interval_the_first_at_once_and_the_end_with_the_last() {
    for (wire, frames) in [
        ("data: a\n\n", &[(0, "data: a\n\n"), (0, "")][..]),
        ("data: a", &[(0, "data: a"), (0, "")]),
        ("data: a\n", &[(0, "data: a\n"), (0, "")]),
        (
            "a\n\nb\r\rc\r\n\r\nd\n\n",
            &[
                (0, "a\n\n"),
                (70, "b\r\r"),
                (140, "c\r\n\r\n"),
                (210, "d\n\n"),
                (210, ""),
            ],
        ),
        (
            "a\r\r\nb\n\r\nc\r\n\nd\n\re\r\n\rf",
            &[
                (0, "a\r\r\n"),
                (70, "b\n\r\n"),
                (140, "c\r\n\n"),
                (210, "d\n\r"),
                (280, "e\r\n\r"),
                (350, "f"),
                (350, ""),
            ],
        ),
        (
            "\n\r\r\n:\n\n",
            &[
                (0, "\n"),
                (70, "\r"),
                (140, "\r\n"),
                (210, ":\n\n"),
                (210, ""),
            ],
        ),
        ("", &[(0, "")]),
    ] {
        for path in ["/events", "/stream"] {
            let target = format!("{path}?interval=70&wire={}", encoded(wire));
            assert_played(&target, frames).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wire_has_a_block_each_second_and_no_comment_of_ours() {
    let wire = encoded("data: a\n\ndata: b");
    let second = [(0, "data: a\n\n"), (1000, "data: b"), (1000, "")];
    assert_played(&format!("/events?wire={wire}"), &second).await;
    assert_played(&format!("/stream?wire={wire}&comment=0"), &second).await;
    let hour = [(0, "data: a\n\n"), (3_600_000, "data: b"), (3_600_000, "")];
    assert_played(&format!("/events?wire={wire}&interval=3600000"), &hour).await;
}

#[tokio::test(start_paused = true)]
async fn a_wire_without_an_interval_comes_at_once_in_one_frame() {
    for wire in ["data: a\n\ndata: b\n\n:c", "data: a", "\n\n\n"] {
        let target = format!("/events?interval=0&wire={}", encoded(wire));
        assert_played(&target, &[(0, wire), (0, "")]).await;
    }
    let wire = "\n".repeat(2500);
    let target = format!("/events?interval=0&wire={}", "%0A".repeat(2500));
    assert_played(&target, &[(0, &wire), (0, "")]).await;
}

#[test]
fn each_block_of_a_wire_is_its_own_chunk() {
    let server = Server::start();
    let target = format!(
        "/events?interval=10&wire={}",
        encoded("a\n\nb\r\rc\r\n\r\nd")
    );
    let reply = get(&server, &target);
    let blocks: [&[u8]; 4] = [b"a\n\n", b"b\r\r", b"c\r\n\r\n", b"d"];
    assert_eq!(reply.chunks, blocks);
    assert!(reply.complete);
    let reply = get(&server, &target.replace("interval=10", "interval=0"));
    assert_eq!(reply.chunks, [blocks.concat()]);
}

#[test]
fn an_empty_wire_is_an_empty_body() {
    let server = Server::start();
    for query in [
        "wire",
        "wire=",
        "wire=&interval=0",
        "wire=&split=1&pace=10000",
    ] {
        let reply = get(&server, &format!("/events?{query}"));
        assert_eq!(reply.status(), "200 OK");
        assert_eq!(reply.chunks, Vec::<Vec<u8>>::new());
        assert!(reply.complete, "{query}");
    }
    assert_eq!(server.stats().closed.finished, 4);
}

#[test]
fn a_wire_ends_as_end_says() {
    let server = Server::start();
    let target = "/events?interval=3600000&wire=data:%20a%0A%0A";
    for (end, complete) in [("", true), ("&end=clean", true), ("&end=abort", false)] {
        for more in ["", "&split=4", "&interval=0"] {
            let target = match more {
                "&interval=0" => target.replace("=3600000", "=0"),
                more => format!("{target}{more}"),
            };
            let reply = get(&server, &format!("{target}{end}"));
            assert_eq!(reply.text(), "data: a\n\n", "{end}{more}");
            assert_eq!(reply.complete, complete, "{end}{more}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_wire_is_held_for_ten_minutes_without_a_comment() {
    let wire = encoded("data: a\n\nb");
    let held = [(0, "data: a\n\n"), (10, "b"), (600_010, "")];
    assert_played(&format!("/events?interval=10&wire={wire}&end=stall"), &held).await;
}

#[test]
fn blocks_with_a_data_field_count_as_events() {
    for (wire, events) in [
        ("data: a\n\n", 1),
        (
            "data: a\n\nid: 1\n\n:data: b\r\n\r\ndata\r\r\ndata:c\ndata:d\n\n",
            3,
        ),
        ("data: a\n\ndata: b\n", 1),
        // A byte order mark is ignored at the beginning of a stream only.
        ("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n", 2),
        ("data: a", 0),
        ("\n\n", 0),
        ("", 0),
    ] {
        for interval in [0, 10] {
            let server = Server::start();
            let wire = encoded(wire);
            get(
                &server,
                &format!("/events?interval={interval}&wire={wire}&key=k"),
            );
            assert_eq!(server.stats().events, events, "{wire} {interval}");
            assert_eq!(server.stats_of("k").events, events, "{wire} {interval}");
        }
    }
}

#[test]
fn a_client_that_reconnects_to_a_wire_resumes_after_the_last_block_with_an_id() {
    let server = Server::start();
    let wire = "id: 1\ndata: a\n\nid:2\r\rid: 1\ndata: b\n\nid: \u{e9}\n\n:c\n\nd";
    for interval in [0, 10] {
        let target = format!("/events?interval={interval}&wire={}", encoded(wire));
        for (id, rest) in [
            ("1", "id: \u{e9}\n\n:c\n\nd"),
            ("2", "id: 1\ndata: b\n\nid: \u{e9}\n\n:c\n\nd"),
            ("\u{e9}", ":c\n\nd"),
            ("3", wire),
            ("a", wire),
            ("", wire),
        ] {
            assert_eq!(
                come_back(&server, &format!("{target}&ids"), id).text(),
                rest,
                "{id}"
            );
            assert_eq!(come_back(&server, &target, id).text(), wire, "without ids");
            let first = format!("{target}&ids&lastEventId={}", encoded(id));
            assert_eq!(get(&server, &first).text(), rest, "{id}");
        }
        // Two values are an error.
        let twice = format!("GET {target}&ids HTTP/1.1\r\nLast-Event-ID: 1\r\n");
        let twice = format!("{twice}Last-Event-ID: 1\r\n\r\n");
        assert_eq!(Reply::to(&server, &twice).text(), wire);
    }
}

#[test]
fn a_wire_with_a_count_ends_after_that_many_events_and_resumes_with_the_next() {
    let server = Server::start();
    let blocks = [
        "retry: 9\nid: 1\ndata: a\n\n",
        "id: 2\n\n:c\n\nid: 3\ndata: b\r\r",
        "data: c\n\nd",
    ];
    let wire = encoded(blocks.concat());
    for interval in [0, 10] {
        for (count, id, sent) in [
            (1, "", blocks[0].to_owned()),
            (1, "1", blocks[1].to_owned()),
            (1, "2", ":c\n\nid: 3\ndata: b\r\r".to_owned()),
            (1, "3", "data: c\n\n".to_owned()),
            (2, "", blocks[..2].concat()),
            (3, "", blocks.concat().replace("\n\nd", "\n\n")),
            (4, "", blocks.concat()),
        ] {
            let target = format!("/events?ids&interval={interval}&count={count}&wire={wire}");
            for (end, complete) in [("clean", true), ("abort", false)] {
                let target = format!("{target}&end={end}&lastEventId={id}");
                let reply = get(&server, &target);
                assert_eq!(reply.text(), sent, "{target}");
                assert_eq!(reply.complete, complete, "{target}");
            }
            for split in [1, 5] {
                let reply = get(&server, &format!("{target}&split={split}&lastEventId={id}"));
                assert_eq!(reply.text(), sent, "{target} {split}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_wire_comes_at_once_and_an_empty_rest_ends_at_once() {
    let wire = encoded("id: 1\n\nid: 2\n\nid: 3\n\n");
    let target = format!("/events?interval=70&ids&wire={wire}");
    let left = [(0, "id: 2\n\n"), (70, "id: 3\n\n"), (70, "")];
    assert_played(&format!("{target}&lastEventId=1"), &left).await;
    assert_played(&format!("{target}&lastEventId=3"), &[(0, "")]).await;
    let more = format!("{target}d");
    assert_played(&format!("{more}&lastEventId=3"), &[(0, "d"), (0, "")]).await;
}

#[test]
fn a_client_that_has_seen_all_of_a_wire_gets_the_end_of_it() {
    let server = Server::start();
    let target = "/events?ids&wire=id:1%0A%0A";
    for (end, complete) in [("clean", true), ("abort", false)] {
        let reply = come_back(&server, &format!("{target}&end={end}"), "1");
        assert_eq!(reply.bytes(), b"");
        assert_eq!(reply.complete, complete, "{end}");
    }
}

#[test]
fn the_counter_of_the_greetings_stands_still_under_a_wire() {
    let server = Server::start();
    let wire = encoded("data: a\n\ndata: b\n\n");
    for query in ["", "&ids", "&split=1"] {
        let target = format!("/stream?interval=10&wire={wire}{query}");
        assert_eq!(get(&server, &target).text(), "data: a\n\ndata: b\n\n");
    }
    let greeting = get(&server, "/stream?count=1&comment=0").text();
    assert_eq!(greeting, "data: hello from server sent events ---- [0]\n\n");
}

#[test]
fn a_split_divides_a_wire_across_its_blocks_when_all_is_sent_at_once() {
    let server = Server::start();
    let (bytes, encoded) = every_byte();
    for split in [1, 7, 1024] {
        let target = format!("/events?interval=0&split={split}&wire={encoded}");
        let reply = get(&server, &target);
        assert_eq!(reply.chunks, bytes.chunks(split).collect::<Vec<_>>());
    }
    let reply = get(&server, "/events?interval=10&split=2&wire=abc%0A%0Ad");
    let cut: [&[u8]; 4] = [b"ab", b"c\n", b"\n", b"d"];
    assert_eq!(reply.chunks, cut);
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_the_time_between_two_frames() {
    let wire = encoded("data: a\n\ndata: b\n\n");
    let paced = [(0, "data: "), (30, "a\n\ndat"), (60, "a: b\n\n"), (60, "")];
    let target = format!("/events?interval=0&split=6&pace=30&wire={wire}");
    assert_played(&target, &paced).await;
    let target = "/stream?split=5&pace=10000&count=1&data=x";
    let paced = [
        (0, ":\n\n"),
        (10_000, "data:"),
        (20_000, " x\n\n"),
        (20_000, ""),
    ];
    assert_played(target, &paced).await;
}

#[tokio::test(start_paused = true)]
async fn no_block_of_a_wire_is_left_out_under_a_pace() {
    let wire = encoded("a\n\nb\n\nc\n\nd\n\ne");
    let target = format!("/events?interval=10&split=2&pace=30&wire={wire}");
    let paced = [
        (0, "a\n"),
        (30, "\n"),
        (60, "b\n"),
        (90, "\n"),
        (120, "c\n"),
        (150, "\n"),
        (180, "d\n"),
        (210, "\n"),
        (240, "e"),
        (240, ""),
    ];
    assert_played(&target, &paced).await;
    // A client waits for a block that is not due yet.
    let target = target.replace("interval=10", "interval=100");
    let waits = [
        (0, "a\n"),
        (30, "\n"),
        (100, "b\n"),
        (130, "\n"),
        (200, "c\n"),
    ];
    assert_played(&target, &waits).await;
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_is_held_up_sends_its_missed_blocks_late() {
    let mut body = body_of(&format!(
        "/events?interval=10&wire={}",
        "a%0A%0A".repeat(50)
    ))
    .await;
    frame(&mut body).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let before = VirtualInstant::now();
    assert_eq!(whole(&mut body).await, b"a\n\n".repeat(49));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_wire_is_logged_and_counted_like_a_stream() {
    let shared = Arc::<Shared>::default();
    let request = Request::get("/events?wire=data:a%0A%0Adata:b%0A%0A").body(nothing());
    let mut body = Box::pin(
        respond(request.unwrap(), Arc::clone(&shared))
            .await
            .into_body(),
    );
    frame(&mut body).await;
    let stats = shared.streams.stats(None);
    assert_eq!((stats.open, stats.opened, stats.events), (1, 1, 1));
    drop(body);
    assert_eq!(shared.streams.stats(None).closed.client, 1);
}

/// The blocks of a body, each with the number of its events, for a client that saw the id `last`.
async fn blocks(body: &[u8], interval: u64, last: Option<&str>) -> Vec<(Bytes, u64)> {
    let body = Bytes::copy_from_slice(body);
    let blocks = wire(&body, Duration::from_millis(interval), true, last);
    blocks
        .map(|block| (block.bytes, block.events))
        .collect()
        .await
}

#[tokio::test(start_paused = true)]
async fn a_block_ends_with_its_blank_line_whatever_the_line_end() {
    for (body, parts) in [
        ("", &[][..]),
        ("data: a", &["data: a"]),
        ("data: a\n", &["data: a\n"]),
        ("data: a\n\n", &["data: a\n\n"]),
        (
            "a\r\rb\r\n\r\nc\n\nd",
            &["a\r\r", "b\r\n\r\n", "c\n\n", "d"],
        ),
        ("a\r\r\nb\n", &["a\r\r\n", "b\n"]),
        ("a\n\r\nb\r\n\n", &["a\n\r\n", "b\r\n\n"]),
        ("\n\n\r\r\n", &["\n", "\n", "\r", "\r\n"]),
    ] {
        let blocks = blocks(body.as_bytes(), 1, None).await;
        let found: Vec<_> = blocks.iter().map(|(block, _)| block.clone()).collect();
        assert_eq!(found, parts, "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_with_data_is_an_event() {
    for (body, events) in [
        ("data: a\n\n", &[1][..]),
        ("data\r\r", &[1]),
        ("\u{feff}data:\n\n", &[1]),
        ("\n\u{feff}data:\n\n", &[0, 0]),
        ("id: 1\ndata:a\r\n\r\n", &[1]),
        ("datas: a\n\n", &[0]),
        (" data: a\n\n", &[0]),
        (":data: a\n\n", &[0]),
        ("id: 1\n\n", &[0]),
        ("\n", &[0]),
        ("data: a\n", &[0]),
    ] {
        let found: Vec<_> = blocks(body.as_bytes(), 1, None).await;
        let found: Vec<_> = found.iter().map(|(_, events)| *events).collect();
        assert_eq!(found, events, "{body:?}");
        let whole: u64 = blocks(body.as_bytes(), 0, None)
            .await
            .iter()
            .map(|it| it.1)
            .sum();
        assert_eq!(whole, events.iter().sum::<u64>(), "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_resumes_after_the_last_block_with_its_id() {
    let marked = "\u{feff}id: 1\ndata: a\n\n\u{feff}id: 2\n\n".as_bytes();
    let body = b"id: 1\ndata: a\n\nid:2\r\rid: 1\nid: 3\n\nid: 2\n\ndata: b\n\nid: 4\0\n\nid\n\n";
    for (body, id, begin) in [
        (marked, "1", 18),
        (marked, "2", 0),
        (body, "1", 15),
        (body, "2", 41),
        (body, "3", 34),
        (body, "4", 0),
        (body, "4\0", 0),
        (body, "", body.len()),
        (body, "data", 0),
    ] {
        let rest = blocks(body, 0, Some(id)).await;
        let rest: Vec<u8> = rest.iter().flat_map(|(block, _)| block.to_vec()).collect();
        assert_eq!(rest, body[begin..], "{id:?}");
    }
}
