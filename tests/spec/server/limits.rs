//! The limits of what clients may cost: time, bytes, memory, file descriptors, connections.

use std::collections::VecDeque;
use std::future::ready;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use longhaul::Limits;
use longhaul::socket::{Accept, Listener};
use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_stream::StreamExt;

use crate::support::{
    Binary, Client, DEADLINE, Hosted, Random, Server, Serves, body, eventually, get,
    room_for_files, ticks,
};

/// A server with short and complete responses.
fn brief(limits: Limits) -> Hosted {
    Hosted::start(limits, |_| {
        ready(Response::new(Full::new(Bytes::from_static(b"whole"))))
    })
}

/// Starts the server as a process, in a shell after the ulimit command `limit`.
fn limited(limit: &str, arguments: &str) -> Binary {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{limit} && exec \"$@\" --port 0 {arguments}"))
        .arg("sh")
        .args(Binary::program())
        .env_remove("RUST_LOG");
    Binary::spawn(command)
}

#[test]
fn no_client_may_take_longer_than_ten_seconds_for_a_request_head() {
    let server = Binary::start(&[]);
    let base = server.files();
    let (_, mut canary) = server.get("/events");
    let count = room_for_files(1000);
    let start = Instant::now();
    let mut silent: Vec<_> = (0..count)
        .map(|_| Client::connect(server.address()))
        .collect();
    let mut dripping: Vec<_> = (0..100)
        .map(|_| server.send("GET /events HTTP/1.1\r\n"))
        .collect();
    let mut idle: Vec<_> = (0..100)
        .map(|_| server.send("HEAD / HTTP/1.1\r\nHost: clock\r\n\r\n"))
        .collect();
    eventually("all are connected", || {
        server.files() == base + 1 + count + 200
    });
    let connected = start.elapsed();
    for _ in 0..8 {
        let before = Instant::now();
        canary.chunk();
        let waited = before.elapsed();
        assert!(
            waited < Duration::from_secs(2),
            "a tick came {waited:?} late"
        );
        for client in &mut dripping {
            client.0.write_all(b"X").unwrap();
        }
    }
    for client in silent.iter_mut().chain(&mut idle).chain(&mut dripping) {
        assert!(!client.has_ended(), "ended before {:?}", start.elapsed());
    }
    for client in silent.iter_mut().chain(&mut idle).chain(&mut dripping) {
        client.rest();
    }
    let time = start.elapsed();
    assert!(
        time < connected + Duration::from_secs(11),
        "closed after {time:?}"
    );
    eventually("the files are closed", || server.files() == base + 1);
    canary.chunk();
}

#[test]
fn a_slow_request_head_and_an_idle_connection_are_closed_after_the_head_timeout() {
    let head_timeout = Duration::from_millis(300);
    let mut limits = Limits::default();
    limits.head_timeout = head_timeout;
    let server = brief(limits);
    let start = Instant::now();
    for request in ["", "GET / HTTP/1.1\r\nHo"] {
        assert_eq!(server.send(request).rest(), "");
    }
    let mut kept = server.get("/").1;
    assert_eq!(kept.rest(), "whole");
    assert!(start.elapsed() >= 3 * head_timeout);
    assert!(start.elapsed() < 3 * head_timeout + Duration::from_secs(2));
}

#[test]
fn a_request_head_of_more_than_100_fields_is_431() {
    let server = Server::start();
    let of = |fields: usize| {
        let others = "X: y\r\n".repeat(fields - 1);
        format!("GET / HTTP/1.1\r\nHost: clock\r\n{others}\r\n")
    };
    for (fields, status) in [(100, "HTTP/1.1 200 "), (101, "HTTP/1.1 431 ")] {
        let head = server.send(of(fields)).head();
        assert!(head.starts_with(status), "{fields}: {head}");
    }
}

#[test]
fn a_request_head_over_8_kib_is_431() {
    let server = Server::start();
    let of = |length: usize| {
        let around = "GET / HTTP/1.1\r\nHost: clock\r\nX: \r\n\r\n".len();
        let filler = "x".repeat(length - around);
        format!("GET / HTTP/1.1\r\nHost: clock\r\nX: {filler}\r\n\r\n")
    };
    let mut client = server.send(of(8192));
    assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
    let many = format!(
        "GET / HTTP/1.1\r\nHost: clock\r\n{}\r\n",
        "X: y\r\n".repeat(10_000)
    );
    let few = format!(
        "GET / HTTP/1.1\r\nHost: clock\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    );
    for request in [of(8193), of(64 * 1024), of(1 << 20), few, many] {
        let response = server.exchange(&request);
        assert!(
            response.starts_with("HTTP/1.1 431 "),
            "{} bytes: {response:?}",
            request.len()
        );
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response:?}");
    }
}

#[test]
fn a_huge_target_is_414_or_431() {
    let server = Server::start();
    for length in [8 * 1024, 70 * 1024, 1 << 20] {
        let response = server.exchange(get(&format!("/{}", "x".repeat(length))));
        let status = &response[..response.len().min(13)];
        assert!(
            ["HTTP/1.1 414 ", "HTTP/1.1 431 "].contains(&status),
            "{response:?}"
        );
    }
}

#[test]
fn rejected_content_is_not_read_into_memory_and_its_sender_gets_one_response() {
    let server = Binary::start(&[]);
    server.get("/");
    let before = server.memory();
    let post =
        "PUT / HTTP/1.1\r\nHost: clock\r\nExpect: 100-continue\r\nContent-Length: 65536\r\n\r\n";
    let pipelined = [post.as_bytes(), &vec![b'x'; 65536]].concat();
    let mut client = Client::connect(server.address());
    let mut sent = 0;
    while sent < 200 << 20 {
        match client.0.write_all(&pipelined) {
            Ok(()) => sent += pipelined.len(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("still open"),
            Err(_) => break,
        }
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 1024, "{grown} KiB more after {sent} bytes");

    let response = server.send(&pipelined).rest();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response:?}");
    assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response:?}");
}

#[test]
fn no_input_breaks_the_server() {
    const VALID: &[u8] = b"GET /?a=b HTTP/1.1\r\nHost: clock\r\nLast-Event-ID: 17\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let mut random = Random(0x5eed);
    let truncated = (0..VALID.len()).map(|end| VALID[..end].to_vec());
    let mut cases: Vec<_> = truncated.collect();
    for _ in 0..1500 {
        let mut flipped = VALID.to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(flipped.len());
            flipped[place] ^= 1 << random.below(8);
        }
        cases.push(flipped);
        let noise = (0..random.below(512)).map(|_| random.byte());
        cases.push(noise.collect());
    }
    let mut limits = Limits::default();
    limits.head_timeout = Duration::from_secs(2);
    let server = Server::start_with(limits);
    for case in &cases {
        let mut client = server.send(case);
        let _ = client.0.shutdown(Shutdown::Write);
        let response = client.rest();
        assert!(
            response.is_empty() || response.starts_with("HTTP/1."),
            "{case:?}: {response:?}"
        );
    }
    let mut open: Vec<_> = cases
        .iter()
        .step_by(17)
        .map(|case| server.send(case))
        .collect();
    for client in &mut open {
        client.rest();
    }
    assert!(server.get("/").0.starts_with("HTTP/1.1 200"));
}

#[test]
fn a_stream_that_waits_between_its_frames_takes_no_cpu_time() {
    let server = Binary::start(&[]);
    let (_, mut canary) = server.get("/events");
    let paced = "split=1&pace=10000";
    let _waiting: Vec<_> = ["wire=abc&interval=0", "ids", "size=1000", "comment=50"]
        .map(|option| {
            let (_, mut client) = server.get(&format!("/events?{option}&{paced}"));
            client.chunk();
            client
        })
        .into();
    let (cpu, start) = (server.cpu(), Instant::now());
    for _ in 0..3 {
        canary.chunk();
    }
    let share = server.cpu().saturating_sub(cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share < 0.15, "{share} of a core while nothing is due");
}

#[test]
fn running_out_of_files_neither_spins_nor_ends_the_server() {
    let server = limited("ulimit -n 100", "--max-connections 1000");
    let (_, mut canary) = server.get("/events");
    let mut clients: Vec<_> = (0..150).map(|_| server.send(get("/events"))).collect();
    server.log_line("cannot accept a connection");
    let (cpu, start) = (server.cpu(), Instant::now());
    for _ in 0..3 {
        canary.chunk();
    }
    let share = server.cpu().saturating_sub(cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share < 0.15, "{share} of a core while out of files");
    println!("{share} of a core while out of files");
    clients.drain(..100);
    for client in &mut clients {
        assert!(client.head().starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn the_cap_follows_from_the_file_limit_and_keeps_clear_of_it() {
    let server = limited("ulimit -n 200", "");
    let mut clients: Vec<_> = (0..300).map(|_| server.send(get("/events"))).collect();
    let cores = std::thread::available_parallelism().unwrap().get();
    server.log_line(&format!(
        "all {} connection permits are taken",
        200 - 48 - 8 * cores
    ));
    eventually("one gets in", || clients.iter().any(Client::has_bytes));
    clients.drain(..200);
    for client in &mut clients {
        assert!(client.head().starts_with("HTTP/1.1 200"));
    }
    let log = server.log_so_far();
    assert!(
        !log.iter().any(|line| line.contains("cannot accept")),
        "{log:?}"
    );
}

#[test]
fn the_soft_file_limit_is_raised_to_the_hard_one() {
    let server = limited("ulimit -Sn 100", "");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut numbers = line.split_whitespace().skip(3);
    let (soft, hard) = (numbers.next(), numbers.next());
    assert_eq!(soft, hard);
    assert_ne!(soft, Some("100"));
}

/// A listener that first fails with these errors, one after the other.
struct Failing {
    listener: Listener,
    errors: VecDeque<Errno>,
    calls: Arc<AtomicUsize>,
}

impl Accept for Failing {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.calls.fetch_add(1, SeqCst);
        match self.errors.pop_front() {
            Some(error) => Err(error.into()),
            None => Accept::accept(&mut self.listener).await,
        }
    }
}

fn failing(errors: impl IntoIterator<Item = Errno>) -> (Hosted, Arc<AtomicUsize>) {
    let errors = errors.into_iter().collect();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let server = Hosted::start_on(
        move |listener| Failing {
            listener,
            errors,
            calls: counter,
        },
        Limits::default(),
        |_| ready(Response::new(Full::new(Bytes::from_static(b"whole")))),
    );
    (server, calls)
}

#[test]
fn a_client_that_gave_up_before_it_was_accepted_holds_up_no_other() {
    let errors = [Errno::CONNABORTED, Errno::CONNRESET, Errno::CONNREFUSED];
    let start = Instant::now();
    let (server, calls) = failing(errors.into_iter().cycle().take(3000));
    assert_eq!(server.get("/").1.take(5), b"whole");
    assert!(calls.load(SeqCst) > 3000);
    // A pause of 10 ms for each error would take half a minute.
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_accept_that_fails_without_resources_is_retried_without_spinning() {
    for error in [
        Errno::MFILE,
        #[cfg(unix)]
        Errno::NFILE,
        Errno::NOBUFS,
        #[cfg(unix)]
        Errno::NOMEM,
        #[cfg(unix)]
        Errno::PERM,
        #[cfg(unix)]
        Errno::PROTO,
        Errno::INVAL,
    ] {
        let start = Instant::now();
        let (server, calls) = failing([error; 5]);
        assert_eq!(server.get("/").1.take(5), b"whole");
        let time = start.elapsed();
        assert!(calls.load(SeqCst) > 5);
        assert!(
            time >= Duration::from_millis(10 + 20 + 40 + 80 + 100),
            "{error}: five retries in {time:?}"
        );
        assert!(time < Duration::from_secs(2), "{error}: {time:?}");
    }
}

#[test]
fn shutdown_is_heard_while_accept_fails() {
    for error in [Errno::CONNABORTED, Errno::MFILE] {
        let endless = if error == Errno::MFILE {
            1000
        } else {
            10_000_000
        };
        let (mut server, calls) = failing(std::iter::repeat_n(error, endless));
        eventually("accept fails", || calls.load(SeqCst) > 3);
        server.stop();
        eventually("the server is over", || server.is_over());
        assert!(calls.load(SeqCst) < endless);
    }
}

#[test]
fn one_connection_too_many_waits_for_a_permit() {
    let mut limits = Limits::default();
    limits.max_connections = 1;
    let server = Hosted::start(limits, |_| {
        let ticks = ticks(Duration::from_millis(5));
        ready(Response::new(body(
            ticks.map(|()| Bytes::from_static(b"tick")),
        )))
    });
    let (_, mut first) = server.get("/");
    let mut second = server.send(get("/"));
    for _ in 0..20 {
        first.chunk();
    }
    assert!(!second.has_ended());
    assert!(!second.has_bytes());
    drop(first);
    assert!(second.head().starts_with("HTTP/1.1 200"));
    assert_eq!(second.chunk(), b"tick");
}

#[test]
fn all_clients_that_wait_for_a_permit_get_one_and_the_log_says_so_once() {
    let server = Binary::start(&["--max-connections", "100"]);
    let clients: Vec<_> = (0..200).map(|_| server.send(get("/events"))).collect();
    server.log_line("all 100 connection permits are taken");
    // Each thread accepts clients, so those that get in need not be the first.
    let get_in = || clients.iter().filter(|client| client.has_bytes()).count() == 100;
    eventually("100 clients get in", get_in);
    let (mut clients, waiting): (Vec<_>, Vec<_>) = clients.into_iter().partition(Client::has_bytes);
    assert_eq!(clients.len(), 100);
    for client in &mut clients {
        assert!(client.head().starts_with("HTTP/1.1 200"));
    }
    for line in server.log_so_far() {
        assert!(line.contains("stream opened"), "{line}");
    }
    drop(clients);
    for mut client in waiting {
        assert!(client.head().starts_with("HTTP/1.1 200"));
    }
    server.log_line("a connection permit is free again");
}

#[test]
fn memory_comes_back_after_many_connections() {
    let server = Binary::start(&[]);
    let churn = |cycles| {
        for cycle in 0..cycles {
            let (_, client) = server.get(["/events", "/stream", "/"][cycle % 3]);
            if cycle % 2 == 0 {
                client.reset();
            }
        }
        server.log_so_far();
        server.memory()
    };
    let first = churn(6000);
    let last = churn(14_000);
    println!("{first} KiB after 6,000 connections, {last} KiB after 20,000");
    assert!(last * 5 < first * 6, "{first} KiB, then {last} KiB");
}

type Behaviour<'a> = &'a dyn Fn(&mut Client);

#[test]
fn a_connection_costs_less_than_32_kib_whatever_the_client_does() {
    let page_then_stream = |client: &mut Client| {
        client.0.write_all(get("/").as_bytes()).unwrap();
        let head = client.head();
        let length = head.split("Content-Length: ").nth(1).expect("a length");
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        client.take(length);
        client.0.write_all(get("/events").as_bytes()).unwrap();
        client.head();
    };
    let half_a_head = |client: &mut Client| {
        let half = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8000));
        client.0.write_all(half.as_bytes()).unwrap();
    };
    let huge_head = |client: &mut Client| {
        let _ = client.0.write_all(&vec![b'x'; 1 << 20]);
    };
    let never_reading = |client: &mut Client| {
        let _ = client
            .0
            .write_all((get("/cases") + &get("/")).repeat(100).as_bytes());
    };
    let stream_with_junk = |client: &mut Client| {
        let request = get("/events") + &get("/").repeat(400);
        let _ = client.0.write_all(request.as_bytes());
    };
    for (what, behave, narrow) in [
        ("page, then stream", &page_then_stream as Behaviour, false),
        ("half a head", &half_a_head, false),
        ("a head of a megabyte", &huge_head, false),
        ("files unread", &never_reading, true),
        ("requests behind a stream", &stream_with_junk, false),
    ] {
        assert_cost(what, behave, narrow);
    }
}

/// The longest request head that is allowed, with the header lines `more`.
fn long_head(target: &str, more: &str) -> String {
    let begin = format!("POST {target} HTTP/1.1\r\nHost: clock\r\n{more}X-Test-X: ");
    let filler = "x".repeat(8192 - begin.len() - 4);
    format!("{begin}{filler}\r\n\r\n")
}

#[test]
fn a_connection_costs_less_than_32_kib_whatever_the_client_requests() {
    let delayed = |client: &mut Client| {
        let request = long_head("/events?delay=60000", "");
        client.0.write_all(request.as_bytes()).unwrap();
    };
    let delayed_wire = |client: &mut Client| {
        let target = format!("/events?delay=60000&status=500&wire={}", "x".repeat(4096));
        client
            .0
            .write_all(long_head(&target, "").as_bytes())
            .unwrap();
    };
    let echo = |client: &mut Client| {
        let request = long_head("/events?echo&interval=60000", "Content-Length: 20000\r\n");
        client.0.write_all(request.as_bytes()).unwrap();
        client.0.write_all(&vec![0; 20_000]).unwrap();
        client.head();
    };
    let many_fields = |client: &mut Client| {
        let field = |number| format!("X-Test-{number:02}: {}\r\n", "a".repeat(54));
        let fields = (0..96).map(field).collect::<Vec<_>>().concat();
        let request = format!(
            "POST /events?echo HTTP/1.1\r\nHost: clock\r\n{fields}Content-Length: 1000000\r\n\r\n"
        );
        client.0.write_all(request.as_bytes()).unwrap();
        client.0.write_all(&vec![0; 100_000]).unwrap();
    };
    let half_the_content = |client: &mut Client| {
        let request = long_head("/events?echo", "Content-Length: 1000000\r\n");
        client.0.write_all(request.as_bytes()).unwrap();
        client.0.write_all(&vec![0; 200_000]).unwrap();
    };
    let half_a_result = |client: &mut Client| {
        let request = long_head("/cases", "Content-Length: 900000\r\n");
        client.0.write_all(request.as_bytes()).unwrap();
        let _ = client.0.write_all(&vec![b' '; 64 * 1024]);
    };
    let whole_wire = |client: &mut Client| {
        let wire = "%0A".repeat(2500);
        let request = get(&format!(
            "/events?wire={wire}&interval=0&split=1&pace=10000"
        ));
        client.0.write_all(request.as_bytes()).unwrap();
        client.head();
    };
    let size = |client: &mut Client| {
        let request = get("/stream?size=16777216&interval=10&eol=crlf&bom");
        client.0.write_all(request.as_bytes()).unwrap();
    };
    let delayed_id = |client: &mut Client| {
        let id = "i".repeat(7900);
        let request = format!(
            "GET /events?delay=60000&key=k HTTP/1.1\r\nHost: clock\r\nLast-Event-ID: {id}\r\n\r\n"
        );
        client.0.write_all(request.as_bytes()).unwrap();
    };
    let delayed_echo = |client: &mut Client| {
        let id = "i".repeat(7900);
        let request = format!(
            "POST /events?echo&delay=60000 HTTP/1.1\r\nHost: clock\r\nContent-Length: 5000\r\nLast-Event-ID: {id}\r\n\r\n"
        );
        client.0.write_all(request.as_bytes()).unwrap();
        client.0.write_all(&vec![0; 5000]).unwrap();
    };
    let delayed_redirect = |client: &mut Client| {
        let target = format!("/events?delay=60000&redirect=307&data={}", "x".repeat(1024));
        client
            .0
            .write_all(long_head(&target, "").as_bytes())
            .unwrap();
    };
    let stats = |client: &mut Client| {
        let _ = client.0.write_all(get("/stats").repeat(400).as_bytes());
    };
    // Each client first changes what the key remembers, and then requests the counts.
    let stats_of_a_key = |client: &mut Client| {
        let long = "%01".repeat(64);
        let fill = get(&format!("/stream?key=k&status=204&lastEventId={long}"));
        let _ = client.0.write_all(fill.repeat(8).as_bytes());
        let _ = client
            .0
            .write_all(get("/stats?key=k").repeat(50).as_bytes());
    };
    for (what, behave, narrow) in [
        ("a long head and a delay", &delayed as Behaviour, false),
        ("a long id and a delay", &delayed_id, false),
        ("a long id, an echo and a delay", &delayed_echo, false),
        ("a redirect and a delay", &delayed_redirect, false),
        ("stats unread", &stats, true),
        ("stats of a key unread", &stats_of_a_key, true),
        ("a status with a wire and a delay", &delayed_wire, false),
        ("an echo of much", &echo, false),
        ("content that does not end", &half_the_content, false),
        ("many fields and such content", &many_fields, false),
        ("a result that does not end", &half_a_result, false),
        ("a wire byte by byte", &whole_wire, false),
        ("events of 16 MiB unread", &size, true),
    ] {
        assert_cost(what, behave, narrow);
    }
}

/// The server reads 16 results at a time. Each has 10 s from its request head, and at least 500 ms: the
/// 184 that wait take 12 times that, 16 s in all.
#[test]
fn results_that_do_not_end_cost_at_most_32_mib_in_all_and_hold_up_another_for_seconds() {
    const COUNT: usize = 200;
    let server = Binary::start(&[]);
    let result = r#"{"name": "status-404", "key": "k", "events": [], "closed": true}"#;
    let post = |length: usize| {
        format!("POST /cases HTTP/1.1\r\nHost: clock\r\nContent-Length: {length}\r\n\r\n")
    };
    let judged = |mut client: Client| {
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(client.until("}").contains(r#""done":true"#));
    };
    judged(server.send(post(result.len()) + result));
    let before = server.memory();
    let mut peak = before;
    let start = Instant::now();
    let mut clients: Vec<_> = (0..COUNT)
        .map(|_| {
            let mut client = server.send(post(1 << 20));
            let brief = Some(Duration::from_millis(20));
            client.0.set_write_timeout(brief).unwrap();
            let _ = client.0.write_all(&vec![b' '; (1 << 20) - 1]);
            peak = peak.max(server.memory());
            client
        })
        .collect();
    let other = server.send(post(result.len()) + result);
    other.0.set_nonblocking(true).unwrap();
    let first = peak - before;
    assert!(first < 16 * 1024 + COUNT * 32, "{first} KiB");
    while other.0.peek(&mut [0]).is_err() {
        assert!(start.elapsed() < Duration::from_secs(30), "never judged");
        peak = peak.max(server.memory());
        thread::sleep(Duration::from_millis(20));
    }
    let time = start.elapsed();
    other.0.set_nonblocking(false).unwrap();
    judged(other);
    let grown = peak - before;
    println!("{first} KiB at first, {grown} KiB at most, another judged after {time:?}");
    assert!(time > Duration::from_secs(10), "{time:?}");
    // What the allocator keeps of the results before comes to those that are read.
    assert!(grown < 32 * 1024 + COUNT * 32, "{grown} KiB");
    // The first has sent nothing that the server has not read.
    let first = clients[0].head();
    assert!(first.starts_with("HTTP/1.1 408 "), "{first}");
}

/// Asserts that each of many clients that `behave` this way costs less than 32 KiB of memory.
#[track_caller]
fn assert_cost(what: &str, behave: Behaviour, narrow: bool) {
    const COUNT: usize = 500;
    let server = Binary::start(&[]);
    server.get("/");
    let before = server.memory();
    let mut peak = before;
    let clients: Vec<_> = (0..COUNT)
        .map(|_| {
            let mut client = if narrow {
                Client::connect_narrow(server.address())
            } else {
                Client::connect(server.address())
            };
            client
                .0
                .set_write_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            behave(&mut client);
            peak = peak.max(server.memory());
            client
        })
        .collect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        peak = peak.max(server.memory());
    }
    drop(clients);
    let each = (peak - before) / COUNT;
    println!("{what}: {each} KiB a connection");
    assert!(each < 32, "{what}: {each} KiB a connection");
}

/// A listener that reports the socket options of each accepted connection.
struct Looked {
    listener: Listener,
    seen: Arc<Mutex<Vec<Options>>>,
}

#[derive(Debug)]
struct Options {
    no_delay: bool,
    send: usize,
    receive: usize,
    keepalive: bool,
    #[cfg(target_os = "linux")]
    user_timeout: Option<Duration>,
}

impl Accept for Looked {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Accept::accept(&mut self.listener).await?;
        let socket = SockRef::from(&stream);
        let options = Options {
            no_delay: socket.tcp_nodelay()?,
            send: socket.send_buffer_size()?,
            receive: socket.recv_buffer_size()?,
            keepalive: socket.keepalive()?,
            #[cfg(target_os = "linux")]
            user_timeout: socket.tcp_user_timeout()?,
        };
        self.seen.lock().unwrap().push(options);
        Ok((stream, peer))
    }
}

#[test]
fn an_accepted_socket_is_small_prompt_and_notices_a_dead_peer() {
    let seen = Arc::default();
    let shared = Arc::clone(&seen);
    let server = Hosted::start_on(
        move |listener| Looked {
            listener,
            seen: shared,
        },
        Limits::default(),
        |_| ready(Response::new(Full::new(Bytes::from_static(b"whole")))),
    );
    server.get("/");
    let options = seen.lock().unwrap().pop().expect("one was accepted");
    assert!(options.no_delay && options.keepalive, "{options:?}");
    assert!(options.send <= 32 * 1024, "{options:?}");
    assert!(options.receive <= 32 * 1024, "{options:?}");
    #[cfg(target_os = "linux")]
    assert!(
        options.user_timeout.is_some_and(|time| time <= DEADLINE),
        "{options:?}"
    );
}

#[test]
fn the_log_names_the_requests_rejected_before_the_handler_and_the_reason() {
    let mut command = Binary::command();
    command.args(["--port", "0"]).env("RUST_LOG", "debug");
    let server = Binary::spawn(command);
    let request = |header: &str| format!("GET /events HTTP/1.1\r\nHost: clock\r\n{header}\r\n\r\n");
    for (bytes, status, reason) in [
        (
            request("Last-Event-ID: a\u{1}b"),
            "400",
            "invalid HTTP header parsed",
        ),
        (request("no colon"), "400", "invalid HTTP header parsed"),
        (
            request(&format!("X: {}", "x".repeat(9000))),
            "431",
            "message head is too large",
        ),
        (
            request(&"a: b\r\n".repeat(101)),
            "431",
            "message head is too large",
        ),
        (
            "GET / HTTP/9.9\r\n\r\n".into(),
            "400",
            "invalid HTTP version parsed",
        ),
        (
            "GET\u{1} / HTTP/1.1\r\n\r\n".into(),
            "400",
            "invalid HTTP method parsed",
        ),
        (
            request("Content-Length: x"),
            "400",
            "invalid content-length parsed",
        ),
        (
            request("Transfer-Encoding: x"),
            "400",
            "invalid transfer-encoding parsed",
        ),
    ] {
        let mut client = server.send(&bytes);
        let peer = client.0.local_addr().unwrap();
        let response = client.rest();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
        // A client that has not read the whole response closes with a reset.
        drop(client);
        let line = server.log_line("no valid request");
        assert!(line.contains(reason), "{bytes:?}: {line}");
        assert!(line.contains(&format!("peer={peer}")), "{line}");
    }
    // A client that disconnects, or with a stream that is cut on purpose, sent a valid request.
    drop(server.get("/events"));
    server.get("/events?count=1&interval=10&end=abort").1.rest();
    drop(Client::connect(server.address()));
    drop(server.send("GET / HT"));
    server.log_line("why=\"finished\"");
    let end = server.send("GET").0;
    drop(end);
    let log = server.log_so_far().join("\n");
    assert!(!log.contains("no valid request"), "{log}");
}
