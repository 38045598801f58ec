//! Random HTTP/2 sessions: valid frames in any order, and frames of random bytes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::support::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PING,
    PREFACE, Peer, RST_STREAM, SETTINGS, frame, head, reset, settings, window,
};
use crate::support::tls::{get, handshake, http2};
use crate::support::{DEADLINE, Random, Server, Serves};

/// The identifier of the setting for the size of the header table (RFC 9113 section 6.5.2).
const HEADER_TABLE_SIZE: u16 = 1;

/// Waits until the server has no open stream, then reads one more stream.
async fn assert_in_order(server: &Server) {
    let start = Instant::now();
    while server.stats().open > 0 {
        assert!(start.elapsed() < DEADLINE, "{:?}", server.stats());
        sleep(Duration::from_millis(2)).await;
    }
    let mut requests = http2(server.address()).await;
    let request = get("/stream?count=1&interval=10");
    let response = requests.send_request(request, true).unwrap().0.await;
    let mut body = response.unwrap().into_body();
    while let Some(data) = body.data().await {
        data.unwrap();
    }
}

/// A step that a client takes with a stream or with the connection.
fn any_frame(random: &mut Random, stream: u32) -> Vec<u8> {
    let paths = [
        "/events?interval=10",
        "/stream?count=3&interval=10&end=abort",
        "/events?delay=50&count=1&interval=10",
        "/events?size=20000&interval=10&split=100",
        "/stats",
        "/",
    ];
    let path = paths[random.below(paths.len())];
    let kind = random.below(12);
    let mut number = |bound| u32::try_from(random.below(bound)).unwrap();
    match kind {
        0..=3 => frames::get(stream, path),
        4 => {
            let block = head("POST", "/events?echo&count=1&interval=10", []);
            let begun = frame(HEADERS, END_HEADERS, stream, block);
            [begun, frame(DATA, END_STREAM, stream, b"content")].concat()
        }
        5 => [
            frame(HEADERS, END_STREAM, stream, head("GET", path, [])),
            frame(CONTINUATION, END_HEADERS, stream, b""),
        ]
        .concat(),
        6 => [frames::get(stream, path), reset(stream)].concat(),
        7 => [frames::get(stream, path), window(stream, 1)].concat(),
        8 => settings(&[(INITIAL_WINDOW_SIZE, number(70_000))]),
        9 => settings(&[(HEADER_TABLE_SIZE, number(5000))]),
        10 => frame(PING, 0, 0, [7; 8]),
        _ => window(0, 1 + number(1000)),
    }
}

#[tokio::test]
async fn streams_in_any_order_of_frames_end_and_leave_nothing_behind() {
    let server = Server::start_tls();
    for seed in 1..=5 {
        let random = &mut Random(seed);
        let mut client = Peer::connect(server.address(), &[]).await;
        for number in 0..300_u32 {
            let bytes = any_frame(random, 2 * number + 1);
            if !client.try_to_send(&bytes, Duration::from_millis(100)).await {
                break;
            }
        }
        drop(client);
    }
    assert_in_order(&server).await;
}

#[tokio::test]
async fn sessions_with_random_bytes_changed_break_nothing() {
    let server = Server::start_tls();
    let session = [
        PREFACE,
        &settings(&[(INITIAL_WINDOW_SIZE, 1000)]),
        &frames::get(1, "/events?interval=10"),
        &frames::get(3, "/stream?count=2&interval=10"),
        &window(0, 100),
        &frame(HEADERS, END_HEADERS, 5, head("POST", "/events?echo", [])),
        &frame(DATA, END_STREAM, 5, b"content"),
        &reset(1),
    ]
    .concat();
    let random = &mut Random(42);
    for _ in 0..60 {
        let mut bytes = session.clone();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            bytes[place] = random.byte();
        }
        bytes.truncate(1 + random.below(bytes.len()));
        let mut io = handshake(server.address(), "h2").await;
        let _ = io.write_all(&bytes).await;
        let _ = timeout(Duration::from_millis(5), io.read(&mut [0; 1024])).await;
    }
    assert_in_order(&server).await;
}

#[tokio::test]
async fn streams_go_on_when_their_client_announces_its_end() {
    let server = Server::start_tls();
    let mut client = Peer::connect(server.address(), &[]).await;
    client
        .send(frames::get(1, "/stream?interval=10&count=5"))
        .await;
    client.until(DATA, 1).await;
    client.send(frame(GOAWAY, 0, 0, [0; 8])).await;
    loop {
        let frame = client.next().await.expect("the stream goes on");
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        if frame.kind == DATA && frame.flags & END_STREAM != 0 {
            break;
        }
    }
    // The server has nothing left to send, and closes.
    let rest = client.rest().await;
    assert!(rest.iter().all(|frame| frame.kind != SETTINGS), "{rest:?}");
    assert_in_order(&server).await;
}
