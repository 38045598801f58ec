//! Compares `examples/minimal.rs` with the Node example that it copies. The streams are equal,
//! except that the response head does not wait for the first event.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::example::example;
use crate::support::node::{
    assert_both_say_the_same_time, assert_both_say_where_they_listen, beside_node, not_found,
    response,
};
use crate::support::source::{code, read};
use crate::support::{Binary, Serves, eventually, get, skipped, there_is};

const FILE: &str = "examples/minimal.rs";

fn program() -> PathBuf {
    example("minimal")
}

fn twins() -> Option<[Binary; 2]> {
    beside_node(Command::new(program()))
}

/// Starts the example on a free port, in a shell after `set_up`.
fn start(set_up: &str) -> Binary {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{set_up} exec \"$0\"")])
        .arg(program())
        .env("PORT", "0");
    Binary::spawn(command)
}

#[test]
fn it_says_where_it_listens_in_the_words_of_the_node_example() {
    let Some(twins) = twins() else { return };
    assert_both_say_where_they_listen(&twins);
}

#[test]
fn events_is_the_stream_of_the_node_example_by_any_method() {
    let Some(twins) = twins() else { return };
    let requested = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"].map(|method| {
        let request = format!("{method} /events HTTP/1.1\r\nHost: clock\r\n\r\n");
        twins.each_ref().map(|twin| twin.send(&request))
    });
    for clients in requested {
        let [
            (node_status, node_headers, mut node),
            (status, headers, mut ours),
        ] = clients.map(response);
        assert_eq!((status, headers), (node_status, node_headers));
        assert_both_say_the_same_time(&mut node, &mut ours);
    }
}

#[test]
fn the_names_of_its_headers_are_written_as_in_the_node_example() {
    let Some(twins) = twins() else { return };
    let [theirs, ours] = twins.map(|twin| {
        let (head, _) = twin.get("/events");
        let lines = head.lines().map(str::to_owned);
        lines
            .filter(|line| !line.starts_with("Date: "))
            .collect::<BTreeSet<_>>()
    });
    assert_eq!(ours, theirs);
}

#[test]
fn every_other_url_is_not_found_as_in_the_node_example() {
    let Some(twins) = twins() else { return };
    for url in [
        "/",
        "/nowhere",
        "/events/",
        "//events",
        "/Events",
        "/events?",
        "/events?x",
        "http://clock/events",
    ] {
        let [theirs, ours] = twins.each_ref().map(|twin| not_found(twin, url));
        assert_eq!(ours, theirs, "{url}");
        assert_eq!(ours.1, b"Not Found", "{url}");
    }
}

/// The timeout in milliseconds of the poll in which the process sleeps; -1 without a timer.
/// `None` if the process does not sleep in a poll.
fn sleep(server: &Binary) -> Option<i32> {
    let call = fs::read_to_string(format!("/proc/{}/syscall", server.id())).ok()?;
    let number = |at: usize| {
        let digits = call.split_whitespace().nth(at)?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    };
    // epoll_wait or epoll_pwait: the descriptor, the events, their maximum, the timeout.
    let poll = fs::read_link(format!("/proc/{}/fd/{}", server.id(), number(1)?)).ok()?;
    let low = u32::try_from(number(4)? & u64::from(u32::MAX)).ok()?;
    (poll.as_os_str() == "anon_inode:[eventpoll]").then(|| low.cast_signed())
}

#[test]
fn the_interval_is_gone_when_the_client_is() {
    let server = start("");
    if let Err(error) = fs::read(format!("/proc/{}/syscall", server.id())) {
        return skipped(&format!("what a process waits for cannot be read: {error}"));
    }
    eventually("nothing is timed", || sleep(&server) == Some(-1));
    let sockets = server.sockets();
    let fastest = (0..3).map(|_| {
        let (_, client) = server.get("/events");
        eventually("the interval runs", || {
            sleep(&server).is_some_and(|time| (1..=1000).contains(&time))
        });
        assert_eq!(server.sockets(), sockets + 1);
        let start = Instant::now();
        drop(client);
        eventually("nothing is timed any more", || sleep(&server) == Some(-1));
        let time = start.elapsed();
        eventually("the socket is closed", || server.sockets() == sockets);
        time
    });
    // A failed write would also detect the close, but after 1 s at the earliest.
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(500), "{fastest:?}");
}

#[test]
fn running_out_of_files_neither_spins_nor_ends_it() {
    let server = start("ulimit -n 20 &&");
    let (_, mut canary) = server.get("/events");
    let mut clients: Vec<_> = (0..30).map(|_| server.send(get("/events"))).collect();
    eventually("no file is left", || {
        let open = |file| fs::read_link(format!("/proc/{}/fd/{file}", server.id())).is_ok();
        (0..20).all(open)
    });
    let (cpu, start) = (server.cpu(), Instant::now());
    for _ in 0..3 {
        canary.chunk();
    }
    let share = server.cpu().saturating_sub(cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share < 0.15, "{share} of a core while out of files");
    clients.drain(..25);
    for client in &mut clients {
        assert!(client.head().starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn it_has_at_most_50_lines_of_code() {
    let text = read(FILE);
    let lines = code(&text).len();
    assert!((30..=50).contains(&lines), "{lines} lines");
}

#[test]
fn it_uses_six_crates_and_one_for_the_time_and_nothing_of_this_crate() {
    let text = read(FILE);
    assert!(!text.contains("sse_clock"));
    let code = code(&text).join("\n");
    let manifest = read("Cargo.toml");
    let known = manifest.lines().filter_map(|line| line.split_once(" = "));
    let used: BTreeSet<_> = known
        .map(|(name, _)| name.replace('-', "_"))
        .filter(|name| code.contains(&format!("{name}::")))
        .collect();
    let card = [
        "bytes",
        "http_body_util",
        "hyper",
        "hyper_util",
        "jiff",
        "tokio",
        "tokio_stream",
    ];
    assert_eq!(used, card.map(str::to_owned).into());
}

#[test]
fn the_promises_it_leaves_out_name_tests_that_exist() {
    let source = read(FILE);
    let (_, last) = source.rsplit_once("}\n\n").unwrap();
    let (_, lines) = last.split_once(":\n").unwrap();
    let itself = env::current_exe().unwrap();
    let listed = Command::new(itself).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests: BTreeSet<_> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    for line in lines.lines() {
        let (_, test) = line.rsplit_once(": ").unwrap();
        assert!(tests.contains(test), "{line}");
    }
    assert!((1..=10).contains(&lines.lines().count()));
}

#[test]
fn the_node_program_in_docs_learn_is_the_one_that_it_copies() {
    if !there_is("node") {
        return;
    }
    let learn = read("docs/learn.md");
    let program = learn.split("```js\n").nth(1).unwrap();
    let program = program.split("```").next().unwrap();
    let listen = "server.listen(0, () => console.log(`http://localhost:${server.address().port}`))";
    let program = program.replace("server.listen(3000)", listen);
    let mut node = Command::new("node");
    node.args(["-e", &program]).env("LC_ALL", "en_US.UTF-8");
    let [theirs, ours] = [Binary::spawn(node), start("")];
    let [
        (status, headers, mut node),
        (our_status, our_headers, mut client),
    ] = [&theirs, &ours].map(|twin| response(twin.send(get("/events"))));
    assert_eq!(our_status, status);
    let keep_alive = "keep-alive: timeout=5".to_owned();
    let differ: Vec<_> = headers.symmetric_difference(&our_headers).collect();
    assert!(
        differ.iter().all(|header| **header == keep_alive),
        "{differ:?}"
    );
    assert_both_say_the_same_time(&mut node, &mut client);
    assert_eq!(not_found(&theirs, "/"), not_found(&ours, "/"));
}
