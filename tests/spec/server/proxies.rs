//! The configurations of `docs/production.md`: three reverse proxies over TLS, each in front of two
//! replicas.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use longhaul::tls::Certificate;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{sleep, timeout};

use crate::server::replicas::open_streams;
use crate::support::crowd::{Crowd, assert_complete};
use crate::support::nginx::FOLDERS;
use crate::support::reply::{ids, nothing, now};
use crate::support::reverse_proxy::Program::{self, Caddy, Haproxy, Nginx};
use crate::support::reverse_proxy::{ReverseProxy, replace_each_once};
use crate::support::source::read;
use crate::support::system::Signal;
use crate::support::tls::try_handshake;
use crate::support::{Binary, DEADLINE, eventually, port_of_our_own, there_is};

const PROGRAMS: [Program; 3] = [Nginx, Haproxy, Caddy];
const PROTOCOLS: [&str; 2] = ["http/1.1", "h2"];

/// A stream that begins with a comment. Over HTTP/2 nginx holds back a response head without a body.
const PROMPT: &str = "/events?ids";

/// The code block in this language, of which there is one.
#[track_caller]
fn block(language: &str) -> String {
    let text = read("docs/production.md");
    let fence = format!("```{language}\n");
    assert_eq!(text.matches(&fence).count(), 1, "{language}");
    let block = text.split(&fence).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// Starts `program` with its configuration in front of these ports, after further replacements.
/// Returns `None` if the program is missing.
#[track_caller]
fn start(
    program: Program,
    [one, other]: [u16; 2],
    further: &[(&str, String)],
) -> Option<ReverseProxy> {
    let port = port_of_our_own();
    let (language, file) = match program {
        Nginx => ("nginx", "nginx.conf"),
        Haproxy => ("haproxy", "haproxy.cfg"),
        Caddy => ("caddyfile", "Caddyfile"),
    };
    let mut replaced = vec![
        ("127.0.0.1:3001", format!("127.0.0.1:{one}")),
        ("127.0.0.1:3002", format!("127.0.0.1:{other}")),
    ];
    replaced.extend(match program {
        Nginx => vec![
            (
                "listen 443 ssl http2;",
                format!("listen 127.0.0.1:{port} ssl http2;"),
            ),
            ("/etc/ssl/events/cert.pem", "cert.pem".into()),
            ("/etc/ssl/events/key.pem", "key.pem".into()),
            ("worker_rlimit_nofile 65536;\n", String::new()),
            (
                "worker_connections 32768;",
                "worker_connections 1000;".into(),
            ),
            ("http {\n", FOLDERS.to_owned()),
        ],
        Haproxy => vec![
            ("bind :443 ", format!("bind 127.0.0.1:{port} ")),
            ("/etc/haproxy/events.pem", "both.pem".into()),
            // Needs root and the user that the package creates.
            (
                "    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n",
                String::new(),
            ),
            ("maxconn 20000", "maxconn 1000".into()),
        ],
        Caddy => vec![
            (
                "events.example.com {\n",
                format!("localhost:{port} {{\n\tbind 127.0.0.1\n"),
            ),
            (
                "/etc/caddy/cert.pem /etc/caddy/key.pem",
                "cert.pem key.pem".into(),
            ),
            // The ports 2019 and 80 are not the test's.
            (
                "\tgrace_period 10s\n",
                "\tgrace_period 10s\n\tadmin off\n\tauto_https disable_redirects\n".into(),
            ),
        ],
    });
    replaced.extend_from_slice(further);
    let pem = Certificate::make(None);
    let files = [
        (file, replace_each_once(&block(language), &replaced)),
        ("cert.pem", pem.certificate.clone()),
        ("key.pem", pem.key.clone()),
        ("both.pem", pem.certificate + &pem.key),
    ];
    ReverseProxy::start(program, port, &files)
}

/// Two replicas behind `program`.
#[track_caller]
fn cluster(program: Program) -> Option<(ReverseProxy, [Binary; 2])> {
    let ports = [port_of_our_own(), port_of_our_own()];
    // The replicas first, because HAProxy checks them.
    let replicas = ports.map(Binary::start_on);
    Some((start(program, ports, &[])?, replicas))
}

/// The response to a GET of `path` on a connection of its own, with the negotiated `protocol`;
/// `None` if the proxy closes the connection, or the stream, without a response.
async fn get(
    address: SocketAddr,
    protocol: &str,
    path: &str,
    last: Option<u64>,
) -> Option<Response<Incoming>> {
    let io = TcpStream::connect(address).await.ok()?;
    let io = try_handshake(io, protocol).await.ok()?;
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    let io = TokioIo::new(io);
    let mut request = Request::get(path).header("Host", "localhost");
    if protocol == "h2" {
        request = Request::get(format!("https://localhost{path}"));
    }
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let request = request.body(nothing()).unwrap();
    if protocol == "h2" {
        let (mut requests, connection) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
        tokio::spawn(connection);
        requests.send_request(request).await.ok()
    } else {
        let (mut requests, connection) = http1::handshake(io).await.ok()?;
        tokio::spawn(connection);
        requests.send_request(request).await.ok()
    }
}

/// The next bytes of a stream; `None` at its end, whether clean or not.
async fn next(response: &mut Response<Incoming>) -> Option<Bytes> {
    let frame = timeout(DEADLINE, response.body_mut().frame()).await;
    let frame = frame.expect("bytes or the end before the deadline")?;
    frame.ok()?.into_data().ok()
}

/// Opens a stream that has to be there.
async fn open(address: SocketAddr, protocol: &str, path: &str) -> Response<Incoming> {
    let response = get(address, protocol, path, None).await;
    let response = response.expect("a response");
    assert_eq!(response.status(), 200);
    response
}

/// A client that reconnects whenever its stream ends, until stopped. Returns the ids of all events.
async fn persist(
    address: SocketAddr,
    protocol: &str,
    path: &str,
    stop: Arc<AtomicBool>,
    newest: Arc<AtomicU64>,
) -> Vec<u64> {
    let mut all: Vec<u64> = Vec::new();
    while !stop.load(SeqCst) {
        let response = get(address, protocol, path, all.last().copied()).await;
        let Some(mut response) = response else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        assert_eq!(response.status(), 200);
        let mut text = String::new();
        while let Some(bytes) = next(&mut response).await {
            text += std::str::from_utf8(&bytes).unwrap();
            // An event counts once its blank line has come.
            let end = text.rfind("\n\n").map_or(0, |at| at + 2);
            all.extend(ids(&text.drain(..end).collect::<String>()));
            newest.store(all.last().copied().unwrap_or(0), SeqCst);
            if stop.load(SeqCst) {
                break;
            }
        }
    }
    all
}

#[tokio::test]
async fn events_come_through_each_proxy_at_once() {
    let [one, other, third] = PROGRAMS.map(send_at_once);
    tokio::join!(one, other, third);
}

/// Asserts that `program` holds no event back.
async fn send_at_once(program: Program) {
    let Some((proxy, _replicas)) = cluster(program) else {
        return;
    };
    for protocol in PROTOCOLS {
        // Without the header that asks nginx not to buffer.
        let path = "/events?ids&interval=50&header=X-Accel-Buffering:";
        let mut stream = open(proxy.address, protocol, path).await;
        let mut events = 0;
        while events < 10 {
            let bytes = next(&mut stream).await.expect("the stream goes on");
            for sent in ids(std::str::from_utf8(&bytes).unwrap()) {
                let late = now() - sent;
                assert!(late <= 2000, "{program:?} {protocol}: {late} ms");
                events += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_with_comments_outlasts_the_timeouts_of_each_proxy_and_one_without_does_not() {
    let [one, other, third] = PROGRAMS.map(outlast);
    tokio::join!(one, other, third);
}

/// Asserts how long silent streams behind `program` last, with a shorter timeout.
async fn outlast(program: Program) {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let written: &[&str] = match program {
        Nginx => &["proxy_read_timeout 30s"],
        Haproxy => &["timeout client 30s", "timeout server 30s"],
        Caddy => &["read_timeout 30s"],
    };
    let shorter = written.iter().map(|it| (*it, it.replace("30s", "2s")));
    let ports = [port_of_our_own(), port_of_our_own()];
    let _replicas = ports.map(Binary::start_on);
    let Some(proxy) = start(program, ports, &shorter.collect::<Vec<_>>()) else {
        return;
    };
    let silent = async |protocol| {
        let path = "/events?interval=3600000&comment=0";
        // Before the response head, because of nginx: see `PROMPT`.
        let start = Instant::now();
        let mut stream = open(proxy.address, protocol, path).await;
        while next(&mut stream).await.is_some() {}
        let lasted = start.elapsed();
        assert!(lasted > TIMEOUT / 2, "{program:?} {protocol}: {lasted:?}");
    };
    let with_comments = async |protocol| {
        let path = "/events?interval=3600000&comment=100";
        let mut stream = open(proxy.address, protocol, path).await;
        let start = Instant::now();
        while start.elapsed() < 3 * TIMEOUT / 2 {
            let bytes = next(&mut stream).await.expect("the stream goes on");
            assert!(bytes.starts_with(b":\n"), "{program:?} {protocol}");
        }
    };
    let [one, other] = PROTOCOLS;
    tokio::join!(
        silent(one),
        silent(other),
        with_comments(one),
        with_comments(other)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_proxy_leaves_its_replica() {
    for program in PROGRAMS {
        let Some((proxy, replicas)) = cluster(program) else {
            continue;
        };
        let count = || replicas.iter().map(open_streams).sum::<u64>();
        for protocol in PROTOCOLS {
            // After its first comment the server writes nothing before the deadline of this test.
            let path = "/events?interval=3600000&comment=60000";
            let stream = open(proxy.address, protocol, path).await;
            eventually("the stream is open", || count() == 1);
            drop(stream);
            let what = format!("{program:?} {protocol}: the stream ends with its client");
            eventually(&what, || count() == 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn clients_of_a_killed_replica_go_on_at_the_other_and_miss_nothing() {
    let mut all = JoinSet::new();
    for program in PROGRAMS {
        if let Some((proxy, replicas)) = cluster(program) {
            all.spawn(kill_each(program, proxy, replicas));
        }
    }
    all.join_all().await;
}

/// Kills each of the replicas in turn, and asserts that no client of `proxy` misses an event.
async fn kill_each(program: Program, proxy: ReverseProxy, mut replicas: [Binary; 2]) {
    const CLIENTS: usize = 20;
    const INTERVAL: u64 = 50;
    const A_WHILE: Duration = Duration::from_millis(300);
    let address = proxy.address;
    let crowd = Crowd::start(CLIENTS, move |number, stop, newest| async move {
        let path = format!("/events?ids&interval={INTERVAL}");
        persist(address, PROTOCOLS[number % 2], &path, stop, newest).await
    });
    crowd.goes_on_for(A_WHILE);
    let share = open_streams(&replicas[0]);
    assert!((5..=15).contains(&share), "{program:?}: {share} streams");
    for killed in [0, 1] {
        let port = replicas[killed].port;
        replicas[killed].signal(Signal::KILL);
        replicas[killed].wait();
        for protocol in PROTOCOLS {
            // No client has to try twice.
            open(address, protocol, PROMPT).await;
        }
        // `block_in_place` lets another thread close the connections of the streams dropped above.
        block_in_place(|| {
            crowd.goes_on_for(A_WHILE);
            eventually("the other replica serves all", || {
                open_streams(&replicas[1 - killed]) == CLIENTS as u64
            });
        });
        replicas[killed] = Binary::start_on(port);
        let start = Instant::now();
        loop {
            let _stream = open(address, "h2", PROMPT).await;
            if open_streams(&replicas[killed]) > 0 {
                break;
            }
            assert!(start.elapsed() < DEADLINE, "{program:?}");
        }
    }
    for ids in crowd.leave() {
        assert_complete(&ids, INTERVAL);
    }
}

#[tokio::test]
async fn without_a_replica_no_proxy_sends_a_status_that_would_end_an_event_source() {
    let [one, other, third] = PROGRAMS.map(close_without_a_status);
    tokio::join!(one, other, third);
}

/// Asserts that `program` closes streams without a status until a replica runs.
async fn close_without_a_status(program: Program) {
    let ports = [port_of_our_own(), port_of_our_own()];
    let Some(proxy) = start(program, ports, &[]) else {
        return;
    };
    let status = async |protocol, path| {
        let response = get(proxy.address, protocol, path, None).await;
        response.map(|response| response.status().as_u16())
    };
    let [one, other] = PROTOCOLS.map(|protocol| status(protocol, PROMPT));
    assert_eq!(tokio::join!(one, other), (None, None), "{program:?}");

    let _replica = Binary::start_on(ports[1]);
    for protocol in PROTOCOLS {
        let start = Instant::now();
        while status(protocol, PROMPT).await != Some(200) {
            assert!(start.elapsed() < DEADLINE, "{program:?} {protocol}");
        }
        let sent = status(protocol, "/events?status=503").await;
        assert_eq!(sent, Some(503), "{program:?} {protocol}");
    }
}

#[tokio::test]
async fn each_proxy_passes_on_the_stream_and_nothing_else() {
    for program in PROGRAMS {
        let Some((proxy, _replicas)) = cluster(program) else {
            continue;
        };
        for protocol in PROTOCOLS {
            for path in ["/", "/stream", "/stats", "/cases", "/notify", "/events/"] {
                let response = get(proxy.address, protocol, path, None).await;
                let status = response.expect("a response").status();
                assert_eq!(status, 404, "{program:?} {protocol} {path}");
            }
        }
    }
}

#[tokio::test]
async fn nginx_and_haproxy_limit_the_connections_of_one_address() {
    for (program, written) in [(Nginx, "limit_conn address 100"), (Haproxy, "gt 100")] {
        let ports = [port_of_our_own(), port_of_our_own()];
        let _replicas = ports.map(Binary::start_on);
        let lower = [(written, written.replace("100", "3"))];
        let Some(proxy) = start(program, ports, &lower) else {
            continue;
        };
        for protocol in PROTOCOLS {
            let (start, mut streams) = (Instant::now(), Vec::new());
            while streams.len() < 3 {
                // The proxy may not have noticed yet that the streams of the other protocol are closed.
                streams.extend(get(proxy.address, protocol, PROMPT, None).await);
                assert!(start.elapsed() < DEADLINE, "{program:?} {protocol}");
            }
            let fourth = get(proxy.address, protocol, PROMPT, None).await;
            assert!(fourth.is_none(), "{program:?} {protocol}");
        }
    }
}

#[test]
fn systemd_accepts_the_unit_and_finds_it_well_confined() {
    if !there_is("systemd-analyze") {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("production-unit");
    fs::create_dir_all(&folder).unwrap();
    let unit = folder.join("events@3001.service");
    let program = env!("CARGO_BIN_EXE_sse-clock").to_owned();
    let text = replace_each_once(&block("ini"), &[("/usr/local/bin/events", program)]);
    fs::write(&unit, text).unwrap();
    for arguments in [
        &["verify", "--man=no"][..],
        // Out of 100; 96 is a unit without any of these lines.
        &["security", "--offline=yes", "--threshold=20"],
    ] {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&unit)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{output:?}");
    }
}
