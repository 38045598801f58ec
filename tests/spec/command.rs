//! The process: its command line, its output, and its log.

use std::collections::BTreeMap;
use std::io::{PipeReader, Read, Write, pipe};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::command::{accounted, command, ends, left_out, rejection};
use crate::support::node::greeting;
use crate::support::system::{self, Signal};
use crate::support::{Binary, Client, Serves, eventually, free_port, has_ipv6, in_own_network};

const GET_STREAM: &str = "GET /stream HTTP/1.1\r\nHost: clock\r\n\r\n";
const GET_NOWHERE: &str = "GET /nowhere HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n";

fn serves(address: impl Into<SocketAddr>) -> bool {
    let Ok(mut stream) = TcpStream::connect(address.into()) else {
        return false;
    };
    stream.write_all(GET_NOWHERE.as_bytes()).unwrap();
    Client(stream).rest().ends_with("\r\n\r\nNot Found")
}

#[test]
fn help_names_every_flag_with_its_unit_and_default() {
    let output = ends(command(&["--help"]));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
    let help = String::from_utf8(output.stdout).unwrap();
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for promised in [
        "Usage: sse-clock",
        "--host <HOST>",
        "[default: localhost]",
        "--port <PORT>",
        "TCP port",
        "[env: PORT=]",
        "[default: 3000]",
        "--max-connections <N>",
        "Connections at a time",
        "[default: what the limit of open files allows]",
        "--drain <SECONDS>",
        "Seconds that",
        "[default: 5]",
        "--until-stdin-closes",
        "--tls",
        "--cert <FILE>",
        "--key <FILE>",
        "--version",
    ] {
        assert!(flat.contains(promised), "{promised:?} is not in {help}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_how_to_build_one_with_tls() {
    let line = rejection(command(&["--tls"]), 1);
    let said =
        "error: this build has no TLS; to build one with TLS: cargo run --features tls -- --tls";
    assert_eq!(line, said);
}

#[test]
fn version_is_the_crates() {
    let output = ends(command(&["--version"]));
    assert_eq!(output.status.code(), Some(0));
    let version = format!("sse-clock {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}

#[test]
fn the_first_line_says_where_it_listens_and_the_second_what_to_try() {
    let server = Binary::start(&[]);
    let port = server.port;
    assert_ne!(port, 0);
    assert_eq!(
        server.first,
        format!("Server listening on http://localhost:{port}")
    );
    assert_eq!(
        server.line(),
        format!("Open it in a browser, or try: curl -N http://localhost:{port}/events")
    );
    assert!(serves(server.address()), "it listens once it says so");
}

#[test]
fn port_comes_from_the_environment_and_the_flag_wins() {
    let port = free_port();
    let mut from_environment = command(&[]);
    from_environment.env("PORT", port.to_string());
    let server = Binary::spawn(from_environment);
    assert_eq!(server.port, port);
    let mut both = command(&["--port", "0"]);
    both.env("PORT", port.to_string());
    let other = Binary::spawn(both);
    assert_ne!(other.port, port);
    assert!(serves(server.address()) && serves(other.address()));
}

#[test]
fn a_port_in_use_is_one_line_with_the_port_and_the_remedy() {
    let server = Binary::start(&[]);
    let port = server.port.to_string();
    let line =
        format!("error: port {port} is in use: stop its owner, or choose another with --port");
    for host in ["localhost", "127.0.0.1", "0.0.0.0"] {
        assert_eq!(
            rejection(command(&["--host", host, "--port", &port]), 1),
            line
        );
    }
    let mut from_environment = command(&[]);
    from_environment.env("PORT", &port);
    assert_eq!(rejection(from_environment, 1), line);
    assert!(serves(server.address()), "the first one goes on");
}

#[test]
fn a_port_in_use_on_one_loopback_only_is_in_use() {
    if !has_ipv6() {
        return;
    }
    let listener = TcpListener::bind(("::1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let line = rejection(command(&["--port", &port]), 1);
    assert!(line.contains(&format!("port {port} is in use")), "{line}");
}

#[test]
fn a_host_that_cannot_be_had_is_one_line_with_the_host_and_the_remedy() {
    for host in [
        "nowhere",
        "example.com",
        "256.0.0.1",
        "",
        "192.0.2.1",
        "2001:db8::1",
        ":::",
        "fe80::1%eth0",
        "[fe80::1%1]",
    ] {
        let line = rejection(command(&["--host", host, "--port", "0"]), 1);
        assert!(line.contains(host), "{line}");
        assert!(line.contains("try --host localhost"), "{line}");
    }
}

#[test]
fn a_bad_value_is_one_line_with_the_value_and_the_remedy() {
    for (arguments, value) in [
        (&["--port", "x"][..], "'x'"),
        (&["--port", "65536"], "'65536'"),
        (&["--port=-1"], "'-1'"),
        (&["--port"], "--port"),
        (&["--drain=-1"], "'-1'"),
        (&["--drain", "3601"], "'3601'"),
        (&["--drain", "1s"], "'1s'"),
        (&["--max-connections", "0"], "'0'"),
        (&["--max-connections", "many"], "'many'"),
        (&["--nonsense"], "'--nonsense'"),
        (&["3000"], "'3000'"),
    ] {
        let line = rejection(command(arguments), 2);
        assert!(line.contains(value), "{line}");
        assert!(line.contains("--help"), "{line}");
    }
    let mut from_environment = command(&[]);
    from_environment.env("PORT", "three");
    assert!(rejection(from_environment, 2).contains("'three'"));
}

#[test]
fn a_number_is_digits_alone() {
    for flag in ["--port", "--max-connections", "--drain"] {
        for number in [
            "+5", "-5", " 5", "5 ", "5_0", "5.0", "0x5", "1e3", "\u{665}",
        ] {
            let line = rejection(command(&[&format!("{flag}={number}")]), 2);
            assert!(line.contains(&format!("'{number}'")), "{line}");
            assert!(line.contains(flag), "{line}");
        }
    }
    for number in ["+3001", "-1", " 3001", "3001 "] {
        let mut from_environment = command(&[]);
        from_environment.env("PORT", number);
        let line = rejection(from_environment, 2);
        assert!(line.contains(&format!("'{number}'")), "{line}");
    }
}

#[test]
fn a_port_without_permission_is_one_line_with_the_port_and_the_remedy() {
    // In a network namespace the low ports are privileged, whatever the settings of this machine.
    let Some(mut command) = in_own_network("true", &["setpriv"]) else {
        return;
    };
    command
        .args(["setpriv", "--inh-caps=-all", "--bounding-set=-all"])
        .args(Binary::program())
        .args(["--host", "127.0.0.1", "--port", "80"])
        .env_remove("PORT");
    assert_eq!(
        rejection(command, 1),
        "error: port 80 needs privileges: choose one above 1023 with --port"
    );
}

#[test]
fn localhost_is_reached_over_ipv4_and_ipv6_and_from_nowhere_else() {
    let server = Binary::start(&[]);
    assert!(serves(server.address()));
    if has_ipv6() {
        assert!(serves(([0, 0, 0, 0, 0, 0, 0, 1], server.port)));
    }
    assert!(!serves(([127, 0, 0, 2], server.port)));
}

#[test]
fn a_wildcard_host_opens_every_address_and_is_called_localhost() {
    let mut hosts = vec!["0.0.0.0"];
    if has_ipv6() {
        hosts.extend(["::", "[::]"]);
    }
    for host in hosts {
        let server = Binary::start(&["--host", host]);
        let port = server.port;
        assert_eq!(
            server.first,
            format!("Server listening on http://localhost:{port}")
        );
        assert!(serves(([127, 0, 0, 1], port)), "{host}");
        assert!(serves(([127, 0, 0, 2], port)), "{host}");
        let v6 = serves(([0, 0, 0, 0, 0, 0, 0, 1], port));
        assert_eq!(v6, host != "0.0.0.0", "{host}");
    }
}

#[test]
fn another_host_is_named_as_it_was_typed() {
    let server = Binary::start(&["--host", "127.0.0.2"]);
    let port = server.port;
    assert_eq!(
        server.first,
        format!("Server listening on http://127.0.0.2:{port}")
    );
    assert!(serves(([127, 0, 0, 2], port)));
    assert!(!serves(([127, 0, 0, 1], port)));
}

#[test]
fn a_machine_with_one_address_family_only_serves_localhost_on_it() {
    let no_ipv6 = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; \
                   echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6";
    let no_ipv4 = "ip addr del 127.0.0.1/8 dev lo";
    let mut cases = vec![(no_ipv6, "http://127.0.0.1:3000/nowhere")];
    if has_ipv6() {
        cases.push((no_ipv4, "http://[::1]:3000/nowhere"));
    }
    for (set_up, url) in cases {
        let Some(mut command) = in_own_network(set_up, &["curl"]) else {
            return;
        };
        let script = format!(
            "{} --host localhost --port 3000 & server=$!; \
             curl -sg --retry 40 --retry-connrefused --retry-delay 1 --retry-max-time 10 {url}; \
             kill $server; wait $server",
            Binary::program().join(" ")
        );
        let output = command
            .args(["sh", "-c", &script])
            .env_remove("PORT")
            .output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        // curl and the server share one stdout, in no fixed order.
        assert!(said.contains("Not Found"), "{set_up}: {said}");
    }
}

#[test]
fn the_page_does_not_depend_on_the_working_directory() {
    let mut command = command(&["--port", "0"]);
    command.current_dir("/");
    let server = Binary::spawn(command);
    let request = "GET / HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n";
    let response = Client::send(server.address(), request).rest();
    assert!(response.ends_with(include_str!("../../public/index.html")));
}

#[test]
fn until_stdin_closes_ends_every_stream_cleanly_once_stdin_is_closed() {
    let (stdin, mut parent) = pipe().unwrap();
    let command = command(&["--port", "0", "--until-stdin-closes"]);
    let mut server = Binary::spawn_with_stdin(command, stdin);
    let mut client = open_stream(&server);
    // More than the pipe holds.
    for _ in 0..2 {
        parent.write_all(&filling()).unwrap();
    }
    client.chunk();
    client.chunk();
    drop(parent);
    assert!(client.rest().ends_with("0\r\n\r\n"));
    server.log_line("stdin closed: stopping");
    assert_eq!(server.wait().code(), Some(0));
}

fn open_stream(server: &Binary) -> Client {
    let mut client = Client::send(server.address(), GET_STREAM);
    client.head();
    client
}

#[test]
fn the_log_has_a_line_when_a_stream_opens_and_when_and_why_it_ended() {
    let server = Binary::start(&[]);
    let mut client = open_stream(&server);
    let peer = format!("peer={}", client.0.local_addr().unwrap());
    let opened = server.log_line("stream opened");
    assert!(opened.contains(" INFO "), "{opened}");
    assert!(opened.contains(&peer), "{opened}");
    client.chunk();
    client.chunk();
    drop(client);
    let ended = server.log_line("stream ended");
    assert!(ended.contains(&peer), "{ended}");
    assert!(ended.contains(" events=2 "), "{ended}");
    assert!(ended.contains(" why=\"client left\""), "{ended}");
    let (_, lived) = ended.split_once(" lived=").expect("how long it lived");
    let (lived, _) = lived.split_once("s ").expect("in seconds");
    let lived: f64 = lived.parse().expect("in seconds");
    assert!((0.9..15.0).contains(&lived), "{ended}");

    let mut client = open_stream(&server);
    client.chunk();
    server.signal(Signal::INT);
    let ended = server.log_line("stream ended");
    assert!(ended.contains(" events=1 "), "{ended}");
    assert!(ended.contains(" why=\"server stopping\""), "{ended}");
}

#[test]
fn head_requests_and_complete_responses_open_no_stream_in_the_log() {
    let server = Binary::start(&[]);
    let head = "HEAD /stream HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n";
    Client::send(server.address(), head).rest();
    assert!(serves(server.address()));
    let mut client = open_stream(&server);
    let peer = client.0.local_addr().unwrap().to_string();
    client.chunk();
    let opened = server.log_line("stream");
    assert!(
        opened.contains(&peer),
        "the first stream was the GET's: {opened}"
    );
}

#[test]
fn rust_log_filters_the_log() {
    for (level, expected) in [("warn", false), ("off", false), ("info", true), ("", true)] {
        let mut command = command(&["--port", "0"]);
        command.env("RUST_LOG", level);
        let mut server = Binary::spawn(command);
        let mut client = open_stream(&server);
        client.chunk();
        drop(client);
        server.signal(Signal::INT);
        assert_eq!(server.wait().code(), Some(0));
        let log = server.log();
        assert_eq!(log.contains("stream opened"), expected, "{level}: {log}");
        assert_eq!(log.is_empty(), !expected, "{level}: {log}");
    }
}

#[test]
fn sse_clock_in_rust_log_means_the_server_too() {
    let mut command = command(&["--port", "0"]);
    command.env("RUST_LOG", "warn,sse_clock=debug");
    let server = Binary::spawn(command);
    let response = server.exchange("GET / HTTP/1.1\r\nbad header\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");
    server.log_line("no valid request");
}

#[test]
fn a_line_of_the_log_seldom_wakes_its_writer() {
    const STREAMS: usize = 400;
    let server = Binary::start(&[]);
    let begin = Instant::now();
    for _ in 0..STREAMS {
        let request = "GET /stream HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n";
        server.send(request).head();
    }
    for _ in 0..STREAMS {
        server.log_line("stream ended");
    }
    let (sleeps, tenths) = (
        server.sleeps_of_the_log(),
        begin.elapsed().as_millis() as usize / 10,
    );
    assert!(sleeps <= 50 + 2 * tenths, "{sleeps} in {tenths} × 10 ms");
}

/// Clients that request one stream of one event after the other, each on a persistent connection.
/// Returns the number of streams, each of which has two lines in the log.
fn storm(server: SocketAddr, clients: usize, time: Duration) -> usize {
    const TOGETHER: usize = 50;
    let end = Instant::now() + time;
    let client = move || {
        let request = "GET /stream?count=1&data=x HTTP/1.1\r\nHost: clock\r\n\r\n";
        let mut client = Client::send(server, request);
        let response = client.until("0\r\n\r\n").len();
        let mut streams = 1;
        while Instant::now() < end {
            let requests = request.repeat(TOGETHER);
            client.0.write_all(requests.as_bytes()).unwrap();
            client.take(TOGETHER * response);
            streams += TOGETHER;
        }
        streams
    };
    let clients: Vec<_> = (0..clients).map(|_| std::thread::spawn(client)).collect();
    let streams = clients.into_iter().map(|client| client.join().unwrap());
    streams.sum()
}

#[test]
fn the_log_has_at_most_1000_lines_a_second_and_counts_what_it_left_out() {
    for filter in ["info", "sse_clock::stats=info"] {
        let mut command = command(&["--port", "0"]);
        command.env("RUST_LOG", filter);
        let (server, start) = (Binary::spawn(command), Instant::now());
        let streams = storm(server.address(), 4, Duration::from_millis(2500));
        let over = Instant::now();
        let mut log = Vec::new();
        eventually("each line is written or counted", || {
            log.extend(server.log_so_far());
            accounted(&log) == 2 * streams
        });
        // The log reports omitted lines 1 s after the first of them.
        assert!(over.elapsed() < Duration::from_secs(3));
        let mut seconds = BTreeMap::<_, usize>::new();
        let (counts, lines): (Vec<_>, Vec<_>) =
            log.iter().partition(|line| left_out(line).is_some());
        for line in &lines {
            *seconds
                .entry(&line[.."2026-11-21T22:30:00".len()])
                .or_default() += 1;
        }
        println!("{streams} streams: {seconds:?}, {counts:?}");
        assert!(seconds.values().all(|lines| *lines <= 1000), "{seconds:?}");
        assert!(lines.len() >= 900, "{seconds:?}");
        let most = 1 + usize::try_from(start.elapsed().as_secs()).unwrap();
        assert!((1..=most).contains(&counts.len()), "{counts:?}");
    }
}

#[test]
fn the_lines_that_were_left_out_are_counted_at_the_end_too() {
    let mut server = Binary::start(&[]);
    let streams = storm(server.address(), 4, Duration::from_millis(1500));
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    let log: Vec<_> = server.log().lines().map(str::to_owned).collect();
    // The sum includes the line of the signal.
    assert_eq!(accounted(&log), 2 * streams + 1);
    let reports = log.iter().filter(|line| left_out(line).is_some());
    assert!(reports.count() > 0, "{streams} streams");
}

#[test]
fn a_warning_is_written_in_a_storm_of_other_lines_too() {
    let server = Binary::start(&["--max-connections", "3"]);
    let address = server.address();
    let storm = std::thread::spawn(move || storm(address, 2, Duration::from_secs(2)));
    for _ in 0..900 {
        server.log_line(" INFO stream ");
    }
    let last = Client::connect(address);
    let line = server.log_line("all 3 connection permits are taken");
    assert!(line.contains(" WARN "), "{line}");
    drop(last);
    storm.join().unwrap();
}

/// A process with a stdout and a stderr chosen by the test.
struct Muted(Child, SocketAddr);

impl Muted {
    fn start(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let port = free_port();
        let child = command(&["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let address = ([127, 0, 0, 1], port).into();
        eventually("the server listens", || TcpStream::connect(address).is_ok());
        Self(child, address)
    }

    /// Asserts that streams begin and end while another one ticks, and that a signal ends the
    /// process with status 0. Returns how long the process takes to exit after the last stream.
    #[track_caller]
    fn streams_well(mut self) -> Duration {
        let mut client = Client::send(self.1, GET_STREAM);
        client.head();
        assert_eq!(client.chunk(), greeting(0));
        let start = Instant::now();
        for number in 1..=300 {
            let mut passing = Client::send(self.1, GET_STREAM);
            passing.head();
            assert!(passing.chunk().ends_with(b"]\n\n"), "{number}");
        }
        for _ in 0..3 {
            assert!(client.chunk().starts_with(b"data: hello"));
        }
        let lasted = start.elapsed();
        assert!(lasted < Duration::from_secs(8), "slowed down: {lasted:?}");
        system::send(Signal::INT, &self.0).unwrap();
        client.rest();
        let begin = Instant::now();
        let mut status = None;
        eventually("the process ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
        begin.elapsed()
    }
}

impl Drop for Muted {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn closed_pipe() -> Stdio {
    let (_, writer) = pipe().unwrap();
    writer.into()
}

/// The capacity of a pipe on Linux.
fn filling() -> Vec<u8> {
    vec![b'x'; 65_536]
}

/// A full pipe: a write blocks until the test reads.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&filling()).unwrap();
    (reader, writer.into())
}

#[test]
fn closed_stdout_and_stderr_stop_no_stream() {
    let ending = Muted::start(closed_pipe(), closed_pipe()).streams_well();
    assert!(
        ending < Duration::from_millis(900),
        "waits for the log: {ending:?}"
    );
}

#[test]
fn full_stdout_and_stderr_slow_no_stream() {
    let (mut unread, stdout) = full_pipe();
    let (_also_unread, stderr) = full_pipe();
    Muted::start(stdout, stderr).streams_well();
    let mut filled = vec![0; 65_536];
    unread.read_exact(&mut filled).unwrap();
    assert_eq!(filled, filling(), "the pipe was full to the end");
}
