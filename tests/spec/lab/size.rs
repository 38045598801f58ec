//! Events of any size, generated while they are sent.

use std::net::TcpStream;
use std::thread;

use crate::support::get as request;
use crate::support::reply::{assert_played, body_of, frame, get, whole};
use crate::support::{Binary, Client, Server, Serves, eventually};

/// The largest value of `size`, in bytes.
const MAX_SIZE: usize = 16_777_216;

/// The event with this many `x` as its data.
fn event(size: usize) -> String {
    format!("data: {}\n\n", "x".repeat(size))
}

#[tokio::test(start_paused = true)]
async fn a_size_is_the_bytes_of_the_data_of_each_event() {
    for size in [1, 2, 4095, 4096, 4097, 8192, 100_000] {
        for path in ["/events", "/stream"] {
            let target = format!("{path}?interval=10&count=2&size={size}");
            let body = whole(&mut body_of(&target).await).await;
            let expected = format!(":\n\n{0}{0}", event(size));
            assert!(body == expected.as_bytes(), "{size}: {} bytes", body.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sixteen_mebibytes_are_made_frame_by_frame() {
    let mut body = body_of(&format!("/stream?count=1&size={MAX_SIZE}")).await;
    assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
    assert_eq!(frame(&mut body).await.unwrap(), "data: ");
    let (mut xs, mut end) = (0, Vec::new());
    while let Some(frame) = frame(&mut body).await {
        assert!(frame.len() <= 4096, "a frame of {} bytes", frame.len());
        if frame.starts_with(b"x") {
            xs += frame.len();
            assert!(frame.iter().all(|byte| *byte == b'x'));
        } else {
            end.extend_from_slice(&frame);
        }
    }
    assert_eq!((xs, end.as_slice()), (MAX_SIZE, &b"\n\n"[..]));
}

#[test]
fn an_event_of_a_size_has_its_other_lines_and_line_ends() {
    for (query, sent) in [
        (
            "event=e&ids&retry=7",
            ":\n\nretry: 7\nevent: e\nid: 0\ndata: xxxxx\n\nevent: e\nid: 1\ndata: xxxxx\n\n",
        ),
        (
            "eol=crlf&comment=0",
            "data: xxxxx\r\n\r\ndata: xxxxx\r\n\r\n",
        ),
        (
            "eol=cr&ids",
            ":\r\rid: 0\rdata: xxxxx\r\rid: 1\rdata: xxxxx\r\r",
        ),
        ("bom&comment=0", "\u{feff}data: xxxxx\n\ndata: xxxxx\n\n"),
    ] {
        let target = format!("/stream?interval=10&count=2&size=5&{query}");
        let reply = get(&Server::start(), &target);
        assert_eq!(reply.text(), sent, "{query}");
        assert!(reply.complete);
    }
}

#[test]
fn a_clock_of_a_size_has_ids_and_sends_missed_ticks_late() {
    let server = Server::start();
    let last = crate::support::reply::now() - 50;
    let target = format!("/events?ids&interval=10&size=3&count=5&lastEventId={last}");
    let events = (1..=5).map(|k| format!("id: {}\ndata: xxx\n\n", last + 10 * k));
    let events: String = events.collect();
    assert_eq!(get(&server, &target).text(), format!(":\n\n{events}"));
}

#[tokio::test(start_paused = true)]
async fn a_split_and_a_pace_apply_to_a_size_too() {
    let target = "/stream?count=1&comment=0&size=9&split=4&pace=10";
    let frames = [
        (0, "data"),
        (10, ": "),
        (20, "xxxx"),
        (30, "xxxx"),
        (40, "x"),
        (50, "\n\n"),
        (50, ""),
    ];
    assert_played(target, &frames).await;
}

#[test]
fn the_counter_of_the_greetings_goes_on_under_a_size() {
    let server = Server::start();
    get(&server, "/stream?interval=10&count=2&size=5000");
    let greeting = get(&server, "/stream?count=1&comment=0").text();
    assert_eq!(greeting, "data: hello from server sent events ---- [2]\n\n");
}

#[test]
fn a_truncated_size_ends_with_half_of_the_event() {
    for (size, half) in [(1, 0), (2, 1), (5, 2), (9000, 4500)] {
        let server = Server::start();
        let target = format!("/stream?interval=10&count=1&size={size}&end=truncate");
        let reply = get(&server, &target);
        let half = "x".repeat(half);
        assert_eq!(reply.text(), format!(":\n\n{}data: {half}", event(size)));
        assert!(reply.complete);
        assert_eq!(server.stats().events, 1);
    }
}

#[test]
fn an_event_of_a_size_is_whole_before_an_abort() {
    let reply = get(&Server::start(), "/stream?count=1&size=100000&end=abort");
    assert_eq!(reply.text(), format!(":\n\n{}", event(100_000)));
    assert!(!reply.complete);
}

/// A stream of one huge event, after the client has read only its first frames.
fn unread(server: &Server) -> Client {
    let mut client = Client::connect_narrow(server.address());
    let target = format!("/stream?count=1&size={MAX_SIZE}&key=k");
    std::io::Write::write_all(&mut client.0, request(&target).as_bytes()).unwrap();
    client.head();
    assert_eq!(client.chunk(), b":\n\n");
    assert_eq!(client.chunk(), b"data: ");
    assert_eq!(client.chunk().len(), 4096);
    client
}

/// The number of `x` in the rest of the event, up to the last chunk.
fn rest(client: &mut Client) -> usize {
    let (mut xs, mut chunk) = (4096, client.chunk());
    while !chunk.is_empty() {
        xs += if chunk.starts_with(b"x") {
            chunk.len()
        } else {
            0
        };
        chunk = client.chunk();
    }
    xs
}

#[test]
fn an_event_of_a_size_is_counted_when_all_of_it_is_sent() {
    let server = Server::start();
    let mut client = unread(&server);
    let stats = server.stats_of("k");
    assert_eq!((stats.open, stats.events), (1, 0));
    assert_eq!(rest(&mut client), MAX_SIZE);
    eventually("it is finished", || server.stats().closed.finished == 1);
    assert_eq!(server.stats_of("k").events, 1);
}

#[test]
fn a_client_that_leaves_within_an_event_of_a_size_was_sent_no_event() {
    let server = Server::start();
    drop(unread(&server));
    eventually("it has left", || server.stats().closed.client == 1);
    assert_eq!(server.stats_of("k").events, 0);
}

#[test]
fn shutdown_ends_an_event_of_a_size_where_it_is() {
    let server = Server::start();
    let mut client = unread(&server);
    let address = server.address();
    let stopping = thread::spawn(move || drop(server));
    eventually("the server takes nobody any more", || {
        TcpStream::connect(address).is_err()
    });
    assert!(rest(&mut client) < MAX_SIZE / 2);
    assert_eq!(client.rest(), "");
    stopping.join().unwrap();
}

#[test]
fn an_event_of_any_size_takes_no_memory() {
    let server = Binary::start(&[]);
    // A short event of a size, which loads the same pages of the program.
    let (_, mut client) = server.get("/stream?count=1&size=65536");
    while !client.chunk().is_empty() {}
    let before = server.memory();
    let (_, mut client) = server.get(&format!("/stream?count=1&size={MAX_SIZE}"));
    let (mut peak, mut read) = (0, 0);
    let mut buffer = vec![0; 1 << 20];
    while read < MAX_SIZE {
        read += std::io::Read::read(&mut client.0, &mut buffer).unwrap();
        peak = peak.max(server.memory());
    }
    let grown = peak.saturating_sub(before);
    assert!(grown < 512, "{grown} KiB more");
}
