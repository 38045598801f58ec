//! How streams begin and end: by the client, by a fault, by the server's shutdown.

use std::future::{pending, poll_fn, ready};
use std::io::{self, ErrorKind, Read, Write, pipe};
use std::iter::repeat_with;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use longhaul::host::Host;
use longhaul::socket::{Accept, Listener};
use longhaul::{Limits, serve, socket};
use socket2::SockRef;
use sse_clock::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::command::command;
use crate::support::system::{self, Signal};
use crate::support::{
    Binary, Client, DEADLINE, Hosted, Server, Serves, body, eventually, get, in_own_network,
    port_of_our_own, room_for_files, ticks,
};

const END: &str = "0\r\n\r\n";

/// Sends the time when the last body that holds this value is dropped.
#[derive(Clone)]
struct Note(Sender<Instant>);

impl Drop for Note {
    fn drop(&mut self) {
        let _ = self.0.send(Instant::now());
    }
}

/// A server with ticking responses; counts all ticks and reports the drop of each body.
fn ticking(interval: Duration) -> (Hosted, Arc<AtomicU64>, Receiver<Instant>) {
    let (sender, dropped) = channel();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let server = Hosted::start(Limits::default(), move |_| {
        let (note, counter) = (Note(sender.clone()), Arc::clone(&counter));
        ready(Response::new(body(ticks(interval).map(move |()| {
            let _held = &note;
            counter.fetch_add(1, SeqCst);
            Bytes::from_static(b"tick")
        }))))
    });
    (server, count, dropped)
}

/// A server with endless responses, written as fast as the client reads.
fn gushing(limits: Limits) -> (Hosted, Receiver<Instant>, Arc<AtomicU64>) {
    let (sender, dropped) = channel();
    let frames = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&frames);
    let server = Hosted::start(limits, move |_| {
        let (note, counter) = (Note(sender.clone()), Arc::clone(&counter));
        let frames = repeat_with(move || {
            let _held = &note;
            counter.fetch_add(1, SeqCst);
            Bytes::from_static(&[b'.'; 1024])
        });
        ready(Response::new(body(tokio_stream::iter(frames))))
    });
    (server, dropped, frames)
}

/// A client that never reads, once the server can write nothing more to the socket.
fn stuck_client(address: SocketAddr, frames: &AtomicU64) -> Client {
    let mut client = Client::connect_narrow(address);
    client.0.write_all(get("/").as_bytes()).unwrap();
    eventually("the server is stuck", || {
        let before = frames.load(SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        before > 0 && before == frames.load(SeqCst)
    });
    client
}

/// How long the process keeps the socket of a client that disconnects by `leave`.
fn lingering(server: &Binary, leave: impl Fn(Client)) -> Duration {
    let base = server.sockets();
    let mut times: Vec<_> = repeat_with(|| {
        let (_, client) = server.get("/events");
        server.log_line("stream opened");
        assert_eq!(server.sockets(), base + 1);
        let start = Instant::now();
        leave(client);
        eventually("the socket is closed", || server.sockets() == base);
        let time = start.elapsed();
        let line = server.log_line("stream ended");
        assert!(line.contains("client left"), "{line}");
        time
    })
    .take(9)
    .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_leaving_client_cancels_its_interval() {
    let (server, ticks, dropped) = ticking(Duration::from_millis(5));
    let (_, mut client) = server.get("/");
    assert_eq!(client.chunk(), b"tick");
    drop(client);
    dropped
        .recv_timeout(DEADLINE)
        .expect("the body was dropped");
    let ticked = ticks.load(SeqCst);
    let (_, mut other) = server.get("/");
    for _ in 0..3 {
        other.chunk();
    }
    let of_the_other = ticks.load(SeqCst) - ticked;
    assert!(
        (3..=4).contains(&of_the_other),
        "{of_the_other} ticks for 3 chunks"
    );
}

#[test]
fn a_client_that_closes_is_gone_within_50_milliseconds() {
    let server = Binary::start(&[]);
    let time = lingering(&server, drop);
    assert!(time < Duration::from_millis(50), "{time:?}");
}

#[test]
fn a_client_that_resets_is_gone_within_50_milliseconds() {
    let server = Binary::start(&[]);
    let time = lingering(&server, Client::reset);
    assert!(time < Duration::from_millis(50), "{time:?}");
}

#[test]
fn a_client_that_half_closes_counts_as_gone() {
    let (server, _, dropped) = ticking(Duration::from_secs(1));
    let (_, mut client) = server.get("/");
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), "");
    dropped
        .recv_timeout(DEADLINE)
        .expect("the body was dropped");
}

/// Bytes that a client may send after its request: a line end, other requests, or more than the
/// buffers of hyper and of both sockets hold.
fn left_behind() -> [Vec<u8>; 4] {
    [
        b"\r\n".into(),
        get("/events").repeat(3).into_bytes(),
        vec![b'x'; 200_000],
        vec![b'x'; 4 << 20],
    ]
}

/// Requests with a response that writes nothing for an hour, or for a short time.
fn quiet_requests() -> Vec<String> {
    let targets = [
        "/events?comment=0&interval=3600000",
        "/events?comment=3600000&interval=3600000&ids",
        "/stream?count=1&interval=10&end=stall",
        "/events?wire=data:1%0A%0Adata:2%0A%0A&interval=3600000",
        "/events?wire=data:1%0A%0A&end=stall",
        "/events?split=1&pace=10000",
        "/events?delay=60000",
        "/events?delay=60000&status=500",
        "/events?delay=60000&redirect=307",
        "/events?delay=60000&key=left&responses=503,200",
    ];
    let gets = targets.iter().map(|target| get(target));
    let post =
        |target: &str, content: &str| format!("POST {target} HTTP/1.1\r\nHost: clock\r\n{content}");
    let quiet = "/events?echo&comment=0&interval=3600000";
    let late = "/events?echo&delay=60000";
    let known = "Content-Length: 2\r\n\r\nhi";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let posts = [
        post(quiet, known),
        post(quiet, chunked),
        post(quiet, &format!("Expect: 100-continue\r\n{known}")),
        post(late, known),
    ];
    gets.chain(posts).collect()
}

/// Waits until the server has closed all connections except `base`.
fn assert_gone_within_three_seconds(server: &Binary, base: usize) {
    let left = Instant::now();
    eventually("they are gone", || server.sockets() <= base);
    let gone = left.elapsed();
    assert!(gone < Duration::from_secs(3), "took {gone:?}");
}

#[test]
fn a_client_that_left_bytes_behind_is_gone_within_three_seconds() {
    let server = Binary::start(&[]);
    let base = server.sockets();
    for leave in [drop, Client::reset] {
        let mut clients = Vec::new();
        for request in quiet_requests() {
            for bytes in left_behind() {
                clients.push((server.send(&request), bytes));
            }
        }
        eventually("all are connected", || {
            server.sockets() == base + clients.len()
        });
        // The server reads all requests before the bytes that follow.
        std::thread::sleep(Duration::from_millis(300));
        for (client, bytes) in &mut clients {
            client.0.set_nonblocking(true).unwrap();
            let _ = client.0.write(bytes);
        }
        // A server that closes with unread bytes would send a reset.
        std::thread::sleep(Duration::from_millis(300));
        for (client, _) in &mut clients {
            assert!(!client.has_ended());
        }
        for (client, _) in clients {
            leave(client);
        }
        assert_gone_within_three_seconds(&server, base);
    }
}

#[test]
fn a_client_that_left_bytes_in_the_packet_of_its_request_is_gone_within_three_seconds() {
    let server = Binary::start(&[]);
    let base = server.sockets();
    let mut clients = Vec::new();
    for request in quiet_requests() {
        clients.push(server.send(format!("{request}\r\n")));
        clients.push(server.send(format!("{request}{}", get("/stats"))));
    }
    eventually("all are connected", || {
        server.sockets() == base + clients.len()
    });
    drop(clients);
    assert_gone_within_three_seconds(&server, base);
}

/// The number of responses to a client that sends each part at its time.
fn responses(server: &Server, parts: &[(u64, &str)]) -> usize {
    let start = Instant::now();
    let mut client = Client::connect(server.address());
    for (time, part) in parts {
        let due = start + Duration::from_millis(*time);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        client.0.write_all(part.as_bytes()).unwrap();
    }
    let last = get("/last").replace("Host", "Connection: close\r\nHost");
    client.0.write_all(last.as_bytes()).unwrap();
    let response = client.rest();
    assert!(response.ends_with("Not Found"), "{response}");
    response.matches("HTTP/1.1 200 OK\r\n").count()
}

#[test]
fn requests_that_arrive_during_a_stream_all_get_their_responses() {
    let server = Server::start();
    let stream = get("/events?count=3&interval=500");
    let two = stream.repeat(2);
    let (begin, end) = stream.split_at(20);
    let post =
        "POST /events?count=1&interval=10 HTTP/1.1\r\nHost: clock\r\nContent-Length: 3\r\n\r\n";
    let many = get("/stats").repeat(200);
    let first = format!("{}{many}", get("/events?count=1&interval=600"));
    let cases = [
        (vec![(0, two.as_str()), (1000, &stream)], 3),
        (vec![(0, &stream), (300, &stream), (1000, &stream)], 3),
        (vec![(0, &two), (1000, "\r\n")], 2),
        (vec![(0, &stream), (200, "\r\n"), (1000, &stream)], 2),
        (vec![(0, &stream), (300, begin), (1200, end)], 2),
        (vec![(0, &stream), (300, post), (1200, "abc")], 2),
        (vec![(0, &first)], 201),
    ];
    std::thread::scope(|scope| {
        for (parts, expected) in &cases {
            let server = &server;
            scope.spawn(move || assert_eq!(responses(server, parts), *expected, "{parts:?}"));
        }
    });
}

#[test]
fn a_request_that_waits_behind_a_stream_gets_its_response_after_it() {
    let server = Server::start();
    let stream = get("/stream?count=1&interval=10&delay=1500");
    let mut client = server.send(format!("{stream}{}", get("/stats")));
    client.head();
    client.until("0\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));

    // Content that the handler reads late is complete, even after the response has begun.
    let late = Hosted::start(Limits::default(), |request| async move {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            sleep(Duration::from_millis(1500)).await;
            let content = request.into_body().collect().await.unwrap();
            let length = content.to_bytes().len().to_string();
            sender.send(Bytes::from(length)).await.unwrap();
        });
        Response::new(body(ReceiverStream::new(receiver)))
    });
    let length = 300_000;
    let head = format!("POST / HTTP/1.1\r\nHost: clock\r\nContent-Length: {length}\r\n\r\n");
    let mut client = late.send(head);
    client.0.write_all(&vec![b'x'; length]).unwrap();
    client.head();
    assert_eq!(client.chunk(), length.to_string().as_bytes());
}

#[test]
fn junk_during_a_stream_is_thrown_away_and_costs_no_memory() {
    let server = Binary::start(&[]);
    let (_, mut client) = server.get("/events");
    client.chunk();
    let before = server.memory();
    client.0.set_nonblocking(true).unwrap();
    let junk = vec![b'x'; 64 * 1024];
    let (mut sent, start) = (0, Instant::now());
    while start.elapsed() < Duration::from_secs(3) {
        match client.0.write(&junk) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("the stream ended: {error}"),
        }
    }
    client.0.set_nonblocking(false).unwrap();
    assert!(sent > 0);
    assert!(client.chunk().starts_with(b"data: "));
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 512, "{grown} KiB more for {sent} bytes of junk");
}

#[test]
fn a_client_that_never_reads_is_gone_within_thirty_seconds() {
    let (server, dropped, frames) = gushing(Limits::default());
    let _client = stuck_client(server.address(), &frames);
    let held = frames.load(SeqCst);
    assert!(
        held < 256,
        "{held} KiB were written to a client that never reads"
    );
    let stuck = Instant::now();
    let gone = dropped.recv_timeout(Duration::from_secs(30));
    println!(
        "gone after {:?}",
        gone.expect("the body was dropped") - stuck
    );
}

/// A listener of sockets without a timeout of the operating system, as on Windows and macOS.
struct WithoutUserTimeout(Listener);

impl Accept for WithoutUserTimeout {
    type Io = tokio::net::TcpStream;

    const WRITE_TIMEOUT: Option<Duration> = Some(Duration::from_secs(1));

    async fn accept(&mut self) -> io::Result<(Self::Io, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream).set_tcp_user_timeout(None)?;
        Ok((stream, peer))
    }
}

#[test]
fn a_client_that_never_reads_is_gone_without_a_timeout_of_the_operating_system() {
    let (sender, dropped) = channel();
    let server = Hosted::start_on(WithoutUserTimeout, Limits::default(), move |_| {
        let note = Note(sender.clone());
        let frames = repeat_with(move || {
            let _held = &note;
            Bytes::from_static(&[b'.'; 1024])
        });
        ready(Response::new(body(tokio_stream::iter(frames))))
    });
    let mut slow = Client::connect_narrow(server.address());
    slow.0.write_all(get("/").as_bytes()).unwrap();
    let mut client = Client::connect_narrow(server.address());
    client.0.write_all(get("/").as_bytes()).unwrap();
    let stuck = Instant::now();
    // A client that reads is no such client, however long the server has to wait for room.
    let gone = loop {
        slow.take(32 * 1024);
        match dropped.recv_timeout(Duration::from_millis(200)) {
            Ok(gone) => break gone - stuck,
            Err(_) => assert!(stuck.elapsed() < DEADLINE),
        }
    };
    assert!(gone >= Duration::from_secs(1), "gone after {gone:?}");
    slow.take(256 * 1024);
}

/// A process that is killed when the value is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_that_vanished_is_gone_within_thirty_seconds() {
    let programs = ["nft", "nsenter", "bash"];
    let Some(mut command) = in_own_network("nft list ruleset", &programs) else {
        return;
    };
    command
        .args(Binary::program())
        .args(["--host", "127.0.0.1", "--port", "0"])
        .env_remove("RUST_LOG");
    let server = Binary::spawn(command);
    let inside = |script: &str| {
        let mut command = Command::new("nsenter");
        command.args(["--target", &server.id().to_string(), "--net"]);
        if !system::is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["bash", "-c", script]).stdout(Stdio::null());
        command
    };
    let base = server.sockets();
    let client = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'GET /events HTTP/1.1\\r\\nHost: clock\\r\\n\\r\\n' >&3; exec cat <&3",
        server.port
    );
    let _client = Killed(inside(&client).spawn().unwrap());
    server.log_line("stream opened");
    let drop_all = "nft add table ip cut && nft add chain ip cut everything '{ type filter hook input priority 0; policy drop; }'";
    assert!(inside(drop_all).status().unwrap().success());
    let cut = Instant::now();
    let line = server.log_line_within(Duration::from_secs(30), "stream ended");
    println!("gone after {:?}: {line}", cut.elapsed());
    eventually("the socket is closed", || server.sockets() == base);
}

#[test]
fn a_head_request_opens_no_stream() {
    let (server, ticks, dropped) = ticking(Duration::ZERO);
    let mut client = server.send("HEAD / HTTP/1.1\r\nHost: clock\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200"));
    dropped
        .recv_timeout(DEADLINE)
        .expect("the body was dropped");
    assert_eq!(ticks.load(SeqCst), 0);
    client.0.write_all(get("/").as_bytes()).unwrap();
    assert!(client.head().starts_with("HTTP/1.1 200"));
    assert_eq!(client.chunk(), b"tick");
}

#[test]
fn a_panic_in_a_handler_or_a_body_loses_one_connection_only() {
    let mut limits = Limits::default();
    limits.max_connections = 2;
    let server = Hosted::start(limits, |request| {
        let path = request.uri().path().to_owned();
        async move {
            assert_ne!(path, "/handler", "on purpose");
            let mut count = 0;
            let ticks = ticks(Duration::from_millis(5));
            Response::new(body(ticks.map(move |()| {
                count += 1;
                assert!(path != "/body" || count < 3, "on purpose");
                Bytes::from_static(b"tick")
            })))
        }
    });
    let (_, mut other) = server.get("/");
    for _ in 0..3 {
        assert_eq!(server.send(get("/handler")).rest(), "");
        let (_, mut client) = server.get("/body");
        // A tick that is not flushed when the body panics is lost with the connection.
        let rest = client.rest();
        assert!("4\r\ntick\r\n4\r\ntick\r\n".starts_with(&rest), "{rest:?}");
    }
    let (_, mut last) = server.get("/");
    assert_eq!(last.chunk(), b"tick");
    assert_eq!(other.chunk(), b"tick");
}

#[test]
fn shutdown_ends_open_streams_cleanly() {
    let (mut server, _, _dropped) = ticking(Duration::from_millis(50));
    let mut clients: Vec<_> = (0..20).map(|_| server.get("/").1).collect();
    for client in &mut clients {
        client.chunk();
    }
    server.stop();
    for mut client in clients {
        let rest = client.rest();
        assert_eq!(rest.replace("4\r\ntick\r\n", ""), END);
    }
    eventually("the server is over", || server.is_over());
}

#[test]
fn shutdown_ends_thousands_of_streams_cleanly() {
    let server = Binary::start(&[]);
    let count = room_for_files(5000);
    let mut clients: Vec<_> = (0..count)
        .map(|_| {
            let mut client = server.send(get("/events"));
            let mut head = [0; 4096];
            let length = client.0.read(&mut head).unwrap();
            (
                client,
                String::from_utf8_lossy(&head[..length]).into_owned(),
            )
        })
        .collect();
    let start = Instant::now();
    server.signal(Signal::INT);
    for (client, response) in &mut clients {
        response.push_str(&client.rest());
    }
    let elapsed = start.elapsed();
    println!("{count} streams ended in {elapsed:?}");
    // The promise is 1 s; an unoptimized build on a busy machine gets 3 s.
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    for (_, response) in clients {
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let events = body
            .strip_suffix(END)
            .unwrap_or_else(|| panic!("no terminating chunk in {response:?}"));
        for event in events.split_inclusive("\n\n\r\n") {
            let (size, data) = event.split_once("\r\n").expect("a chunk");
            let data = data.strip_suffix("\r\n").expect("a whole chunk");
            assert_eq!(usize::from_str_radix(size, 16), Ok(data.len()), "{event:?}");
            assert!(
                data.starts_with("data: ") && data.ends_with("M\n\n"),
                "{data:?}"
            );
        }
    }
    let mut server = server;
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn shutdown_drops_idle_connections_at_once() {
    let mut limits = Limits::default();
    limits.drain = Duration::from_secs(60);
    let (silent, half, idle);
    let mut server = Hosted::start(limits, |request| async move {
        if request.uri().path() == "/waits" {
            std::future::pending::<()>().await;
        }
        Response::new(Full::new(Bytes::from_static(b"whole")))
    });
    silent = Client::connect(server.address());
    half = server.send("GET / HTTP/1.1\r\nHo");
    let waiting = server.send(get("/waits"));
    idle = {
        let (_, mut client) = server.get("/");
        assert_eq!(client.take(5), b"whole");
        client
    };
    let mut half_of_the_second = {
        let (_, mut client) = server.get("/");
        assert_eq!(client.take(5), b"whole");
        client
    };
    half_of_the_second.0.write_all(b"GET / HTTP").unwrap();
    server.stop();
    for mut client in [silent, half, waiting, idle, half_of_the_second] {
        assert_eq!(client.rest(), "");
    }
    eventually("the server is over", || server.is_over());
}

#[test]
fn shutdown_closes_the_listener_at_once_and_drops_stuck_streams_at_the_deadline() {
    let drain = Duration::from_secs(1);
    let mut limits = Limits::default();
    limits.drain = drain;
    let (mut server, _dropped, frames) = gushing(limits);
    let _client = stuck_client(server.address(), &frames);
    let start = Instant::now();
    server.stop();
    eventually("connections are refused", || {
        TcpStream::connect(server.address()).is_err()
    });
    let refused = start.elapsed();
    eventually("the server is over", || server.is_over());
    let over = start.elapsed();
    assert!(refused < drain, "still listening after {refused:?}");
    assert!(over >= drain, "dropped after {over:?}");
}

#[test]
fn without_a_drain_stuck_streams_are_dropped_at_once() {
    let mut limits = Limits::default();
    limits.drain = Duration::ZERO;
    let (mut server, _dropped, frames) = gushing(limits);
    let _client = stuck_client(server.address(), &frames);
    server.stop();
    eventually("the server is over", || server.is_over());
}

#[test]
fn shutdown_lets_a_slow_reader_finish_its_response() {
    static BODY: [u8; 512 * 1024] = [b'.'; 512 * 1024];
    let mut limits = Limits::default();
    limits.drain = DEADLINE;
    let mut server = Hosted::start(limits, |_| {
        ready(Response::new(Full::new(Bytes::from_static(&BODY))))
    });
    let mut client = Client::connect_narrow(server.address());
    client.0.write_all(get("/").as_bytes()).unwrap();
    client.head();
    server.stop();
    eventually("the server is stopping", || {
        TcpStream::connect(server.address()).is_err()
    });
    assert_eq!(client.rest().len(), BODY.len());
    eventually("the server is over", || server.is_over());
}

#[test]
fn a_handler_that_keeps_its_connection_does_not_hold_up_shutdown() {
    let (sender, kept) = channel::<Connection>();
    let mut limits = Limits::default();
    limits.drain = Duration::from_secs(60);
    let mut server = Hosted::start(limits, move |request| {
        let connection = request.extensions().get().cloned().unwrap();
        drop(sender.send(connection));
        ready(Response::new(Full::new(Bytes::from_static(b"whole"))))
    });
    let (_, client) = server.get("/");
    let connection = kept.recv_timeout(DEADLINE).unwrap();
    assert_eq!(connection.peer(), client.0.local_addr().unwrap());
    assert!(!connection.is_shutting_down());
    server.stop();
    eventually("the server is over", || server.is_over());
    assert!(connection.is_shutting_down());
}

#[test]
fn a_kept_connection_gets_no_new_stream_during_shutdown() {
    let (mut server, _, _dropped) = ticking(Duration::from_secs(1));
    let (_, mut client) = server.get("/");
    client.0.write_all(get("/").as_bytes()).unwrap();
    let (_, mut idle) = server.get("/");
    server.stop();
    assert_eq!(idle.chunk(), b"");
    drop(idle.0.write_all(get("/").as_bytes()));
    assert_eq!(idle.rest(), "");
    assert_eq!(client.rest(), END);
}

/// A process with one connection that is stuck, because the client does not read.
fn stuck_process(drain: &str) -> (Binary, Client) {
    let server = Binary::start(&["--drain", drain]);
    let client = stuck_connection(&server);
    (server, client)
}

fn stuck_connection(server: &Binary) -> Client {
    let mut client = Client::connect_narrow(server.address());
    client.0.write_all(get("/").repeat(100).as_bytes()).unwrap();
    // The server writes without a pause until the connection is stuck, and then checks for signals.
    client.0.peek(&mut [0]).unwrap();
    client
}

#[test]
fn hostile_clients_hold_up_shutdown_for_the_drain_at_most() {
    let (mut server, _stuck) = stuck_process("1");
    let base = server.sockets();
    let mut half: Vec<_> = (0..50)
        .map(|_| server.send("GET /events HTTP/1.1\r\nHo"))
        .collect();
    let never: Vec<_> = (0..50)
        .map(|_| {
            let mut client = Client::connect_narrow(server.address());
            client.0.write_all(get("/events").as_bytes()).unwrap();
            client
        })
        .collect();
    eventually("all are connected", || server.sockets() == base + 100);
    let start = Instant::now();
    server.signal(Signal::INT);
    for client in &mut half {
        assert_eq!(client.rest(), "");
    }
    let dropped = start.elapsed();
    server.log_line("1 connections are dropped unfinished");
    assert_eq!(server.wait().code(), Some(0));
    let ended = start.elapsed();
    assert!(dropped < Duration::from_secs(1), "{dropped:?}");
    assert!(ended < Duration::from_secs(5), "{ended:?}");
    drop(never);
}

#[test]
fn a_second_signal_exits_at_once_with_130() {
    let (mut server, _stuck) = stuck_process("60");
    server.signal(Signal::INT);
    server.log_line(": stopping");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130));
}

#[test]
fn a_signal_after_the_end_of_stdin_is_no_second_signal() {
    let (stdin, parent) = pipe().unwrap();
    let flags = ["--port", "0", "--drain", "1", "--until-stdin-closes"];
    let mut server = Binary::spawn_with_stdin(command(&flags), stdin);
    let _stuck = stuck_connection(&server);
    drop(parent);
    server.log_line("stdin closed: stopping");
    server.signal(Signal::INT);
    server.log_line("1 connections are dropped unfinished");
    assert_eq!(server.wait().code(), Some(0));
}

/// Sends a signal to a process with a stream, and returns the log line about the signal.
fn stopped_by(signal: Signal) -> String {
    let mut server = Binary::start(&[]);
    let (_, mut client) = server.get("/events");
    server.signal(signal);
    assert!(client.rest().ends_with(END));
    let stopping = server.log_line(": stopping");
    let line = server.log_line("stream ended");
    assert!(line.contains("server stopping"), "{line}");
    assert_eq!(server.wait().code(), Some(0));
    stopping
}

#[test]
fn ctrl_c_ends_every_stream_and_the_process_with_status_0() {
    stopped_by(Signal::INT);
}

#[test]
fn interrupt_terminate_and_hangup_end_the_process_with_status_0() {
    for (signal, name) in [
        (Signal::INT, "SIGINT"),
        (Signal::TERM, "SIGTERM"),
        (Signal::HUP, "SIGHUP"),
    ] {
        let line = stopped_by(signal);
        assert!(line.contains(&format!("{name}: stopping")), "{line}");
    }
}

#[test]
fn user_signals_and_a_broken_pipe_are_survived() {
    let server = Binary::start(&[]);
    let (_, mut client) = server.get("/events");
    server.signal(Signal::USR1);
    server.log_line("SIGUSR1 means nothing here");
    server.signal(Signal::USR2);
    server.log_line("SIGUSR2 means nothing here");
    server.signal(Signal::PIPE);
    assert!(client.chunk().starts_with(b"data: "));
    assert!(server.get("/").0.starts_with("HTTP/1.1 200"));
}

#[test]
fn a_reconnect_storm_is_over_within_five_seconds() {
    let server = Binary::start(&[]);
    let address = server.address();
    let count = room_for_files(2000);
    let clients: Vec<_> = (0..count).map(|_| server.get("/events").1).collect();
    drop(server);
    for mut client in clients {
        client.rest();
    }
    let mut command = Binary::command();
    command.args(["--port", &address.port().to_string()]);
    let server = Binary::spawn(command);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let start = Instant::now();
    let streams = runtime.block_on(async {
        let mut storm = JoinSet::new();
        for _ in 0..count {
            storm.spawn(async move {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                stream.write_all(get("/events").as_bytes()).await.unwrap();
                let mut response = [0; 15];
                stream.read_exact(&mut response).await.unwrap();
                assert_eq!(&response, b"HTTP/1.1 200 OK");
                stream
            });
        }
        storm.join_all().await
    });
    let time = start.elapsed();
    assert_eq!(streams.len(), count);
    assert!(time < Duration::from_secs(5), "{count} clients in {time:?}");
    println!("{count} clients were back in {time:?}");
    drop(server);
}

#[tokio::test]
async fn a_server_that_is_dropped_drops_its_connections() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let tick = Duration::from_millis(10);
    let handler = move |_| {
        let frames = ticks(tick).map(|()| Bytes::from_static(b"tick"));
        ready(Response::new(body(frames)))
    };
    let serving = tokio::spawn(serve(listener, handler, Limits::default(), pending()));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(get("/").as_bytes()).await.unwrap();
    client.read_u8().await.unwrap();

    serving.abort();
    let rest = timeout(DEADLINE, client.read_to_end(&mut Vec::new())).await;
    rest.expect("the connection is closed").unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_while_it_drains_drops_its_connections() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, requested) = tokio::sync::oneshot::channel::<()>();
    let begun = std::sync::Mutex::new(Some(begun));
    let handler = move |_| {
        drop(begun.lock().unwrap().take());
        ready(Response::new(Full::new(Bytes::from(vec![b'.'; 1 << 20]))))
    };
    let mut limits = Limits::default();
    limits.drain = Duration::MAX;
    let handler = Arc::new(handler);
    let handler = move |request| handler(request);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, handler, limits, async {
        drop(stopped.await);
    }));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(get("/").as_bytes()).await.unwrap();
    drop(requested.await);
    drop(stop);
    // The listener is closed once the drain has begun.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished(), "the response is not read");

    serving.abort();
    let rest = timeout(DEADLINE, client.read_to_end(&mut Vec::new())).await;
    let length = rest.expect("the connection is closed").unwrap_or_default();
    assert!(length < 1 << 20, "the whole response");
}

#[tokio::test]
async fn after_a_shutdown_every_accept_loop_has_closed_its_listener() {
    let host = Host::Address([127, 0, 0, 1].into());
    let mut taken = 0;
    for _ in 0..20 {
        let server = longhaul::Server::new(Limits::default());
        // A port of the system's choice could be taken by a client of another test in between.
        let port = port_of_our_own();
        let sockets = Arc::new(socket::bind(host, port).unwrap());
        let accepts = || {
            let (server, sockets) = (server.clone(), Arc::clone(&sockets));
            let (running, runs) = oneshot::channel();
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let hello = |_| async { Response::new(Full::new(Bytes::from("hello"))) };
                    let listener = sockets.listener().unwrap();
                    drop(sockets);
                    let mut serving = pin!(server.serve(listener, hello));
                    let polled = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx))).await;
                    assert!(polled.is_pending());
                    running.send(()).unwrap();
                    serving.await;
                });
            });
            runs
        };
        for runs in [accepts(), accepts(), accepts()] {
            runs.await.unwrap();
        }
        drop(sockets);
        server.shutdown().await;
        taken += usize::from(socket::bind(host, port).is_err());
    }
    // A process that another test starts at that moment has the listener too, until its exec.
    assert!(taken <= 10, "{taken} of 20 ports are still taken");
}

#[test]
fn a_shutdown_right_after_the_start_on_every_core_waits_for_all_cores() {
    let host = Host::Address([127, 0, 0, 1].into());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut taken = 0;
    for _ in 0..20 {
        let server = longhaul::Server::new(Limits::default());
        let port = port_of_our_own();
        let (held, released) = channel::<()>();
        // Each accept loop has a handler, and so a sender.
        let hello = move |_| {
            let _held = &held;
            ready(Response::new(Full::new(Bytes::from("hello"))))
        };
        let sockets = socket::bind(host, port).unwrap();
        server.spawn_on_every_core(sockets, hello).unwrap();
        runtime.block_on(server.shutdown());
        let handlers = released.recv_timeout(DEADLINE);
        assert_eq!(
            handlers,
            Err(RecvTimeoutError::Disconnected),
            "all are dropped"
        );
        taken += usize::from(socket::bind(host, port).is_err());
    }
    // A process that another test starts at that moment has the listener too, until its exec.
    assert!(taken <= 10, "{taken} of 20 ports are still taken");
}
