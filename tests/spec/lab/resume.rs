//! Resuming after a reconnect: each event arrives exactly once.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::support::crowd::{Crowd, assert_complete, persist};
use crate::support::proxy::Proxy;
use crate::support::reply::{
    Reply, body_of, come_back, encoded, frame, get, ids, now, time_events,
};
use crate::support::system::Signal;
use crate::support::{Binary, DEADLINE, Server, Serves, port_of_our_own};

/// The ids of `count` events of a stream that resumes after `id`, sent as a header or as an option.
fn resumed(server: &Server, id: &str, by_header: bool, rest: &str) -> (String, Vec<u64>) {
    let target = format!("/events?ids&{rest}");
    let reply = if by_header {
        come_back(server, &target, id)
    } else {
        get(server, &format!("{target}&lastEventId={}", encoded(id)))
    };
    assert_eq!(reply.status(), "200 OK", "{id:?}");
    let text = reply.text();
    let ids = ids(&text);
    (text, ids)
}

fn ids_after(last: u64, interval: u64, count: u64) -> Vec<u64> {
    (1..=count).map(|k| last + k * interval).collect()
}

#[test]
fn a_client_that_reconnects_resumes_with_the_next_tick() {
    let server = Server::start();
    for by_header in [true, false] {
        let last = now() - 345;
        let (text, ids) = resumed(
            &server,
            &last.to_string(),
            by_header,
            "interval=100&count=5",
        );
        assert_eq!(ids, ids_after(last, 100, 5));
        let events = time_events(&ids);
        assert_eq!(text, format!(":\n\n{events}"));
        assert!(now() >= last + 500, "the last two fell due");
    }
}

#[test]
fn the_header_wins_over_the_option() {
    let server = Server::start();
    let last = now() - 5000;
    let target = format!("/events?ids&interval=1000&count=1&lastEventId={}", last - 7);
    let reply = come_back(&server, &target, &last.to_string());
    assert_eq!(ids(&reply.text()), [last + 1000]);
    let reply = come_back(&server, &target, "");
    assert_eq!(ids(&reply.text()), [last - 7 + 1000]);
    let reply = come_back(&server, &target, "junk");
    assert!(ids(&reply.text())[0] > now() - 500);
}

#[test]
fn an_id_that_is_no_number_starts_a_fresh_stream_and_never_an_error() {
    let server = Server::start();
    let digits = "9".repeat(400);
    let year = (now() + 31_536_000_000).to_string();
    let begin = now();
    for id in [
        "",
        "…",
        "-1",
        "+5",
        "1e9",
        "0x10",
        "18446744073709551615",
        "18446744073709551616",
        &digits,
        &year,
        "5 5",
        "5,5",
        "null",
        "NaN",
        "\u{feff}5",
        "٥",
    ] {
        for by_header in [true, false] {
            let (text, ids) = resumed(&server, id, by_header, "interval=10&count=1");
            assert!(begin + 10 <= ids[0] && ids[0] <= now(), "{id:?}: {text}");
            assert!(!text.contains("gap"), "{id:?}: {text}");
        }
    }
    for id in [" 5 ", "\0", "5\0", "5\n", "\u{7f}", "\r"] {
        let (text, ids) = resumed(&server, id, false, "interval=10&count=1");
        assert!(begin + 10 <= ids[0], "{id:?}: {text}");
        assert!(!text.contains("gap"), "{id:?}: {text}");
    }
    for bytes in ["%FF", "%C3%28", "5%FF"] {
        let reply = get(
            &server,
            &format!("/events?ids&interval=10&count=1&lastEventId={bytes}"),
        );
        assert!(begin + 10 <= ids(&reply.text())[0], "{bytes}");
    }
}

#[test]
fn ids_in_a_header_that_are_not_utf_8_or_come_twice_start_a_fresh_stream() {
    let server = Server::start();
    let begin = now();
    for headers in [
        b"Last-Event-ID: \xff\xfe\r\n".as_slice(),
        b"Last-Event-ID: 5\xff\r\n",
        b"Last-Event-ID: 5\r\nLast-Event-ID: 6\r\n",
        b"Last-Event-ID: 5\r\nLast-Event-ID: 5\r\n",
    ] {
        let mut request =
            b"GET /events?ids&interval=10&count=1 HTTP/1.1\r\nHost: clock\r\n".to_vec();
        request.write_all(headers).unwrap();
        request.write_all(b"Connection: close\r\n\r\n").unwrap();
        let reply = Reply::read(server.send(request));
        assert_eq!(reply.status(), "200 OK");
        let text = reply.text();
        assert!(begin + 10 <= ids(&text)[0], "{text}");
        assert!(!text.contains("gap"), "{text}");
    }
}

#[test]
fn an_id_without_ids_is_ignored() {
    let server = Server::start();
    for target in [
        "/events?interval=10&count=1&data=x",
        "/stream?count=1&data=x",
    ] {
        assert_eq!(come_back(&server, target, "5").text(), ":\n\ndata: x\n\n");
    }
}

#[test]
fn ticks_too_long_ago_are_reported_as_a_gap() {
    let server = Server::start();
    for by_header in [true, false] {
        let before = now();
        let (text, ids) = resumed(&server, "0", by_header, "interval=1000&count=1000&retry=9");
        let missed = before / 1000;
        let gap = |left_out| format!(":\n\nretry: 9\nevent: gap\ndata: {left_out}\n\nid: ");
        let first = ids[0] / 1000;
        assert!(first == missed - 999 || first == now() / 1000 - 999);
        assert!(text.starts_with(&gap(first - 1)), "{}", &text[..80]);
        assert_eq!(ids, ids_after((first - 1) * 1000, 1000, 1000));
        assert_eq!(text.matches("retry").count(), 1);
    }
}

#[test]
fn a_thousand_missed_ticks_are_no_gap() {
    let server = Server::start();
    let last = now() - 999 * 3_600_000;
    let (text, ids) = resumed(
        &server,
        &last.to_string(),
        true,
        "interval=3600000&count=999",
    );
    assert_eq!(ids, ids_after(last, 3_600_000, 999));
    assert!(!text.contains("gap"));
}

#[test]
fn count_takes_replayed_events_in() {
    let server = Server::start();
    let last = now() - 10_000;
    let (_, ids) = resumed(&server, &last.to_string(), true, "interval=1000&count=3");
    assert_eq!(ids, ids_after(last, 1000, 3));
}

#[test]
fn on_stream_the_id_is_the_counter_and_nothing_is_replayed() {
    let server = Server::start();
    for first in [0, 2] {
        let reply = come_back(&server, "/stream?ids&interval=10&count=2", "0");
        let event = |number| {
            format!("id: {number}\ndata: hello from server sent events ---- [{number}]\n\n")
        };
        assert_eq!(
            reply.text(),
            format!(":\n\n{}{}", event(first), event(first + 1))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_clients_with_the_oldest_id_each_cost_a_bounded_replay() {
    for _ in 0..50 {
        let mut body = body_of("/events?ids&lastEventId=0&interval=3600000").await;
        assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
        assert!(frame(&mut body).await.unwrap().starts_with(b"event: gap\n"));
        for _ in 0..1000 {
            assert!(frame(&mut body).await.unwrap().starts_with(b"id: "));
        }
        assert_eq!(frame(&mut body).await.unwrap(), ":\n");
    }
}

#[test]
fn two_thousand_disconnects_at_any_byte_lose_nothing_and_double_nothing() {
    let server = Server::start();
    let proxy = Proxy::start(server.address(), 1200, 3);
    let url = format!("http://{}/events?ids&interval=20", proxy.address);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let all = runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..20 {
            clients.spawn(persist(url.clone(), Arc::default(), Arc::default(), 101));
        }
        tokio::time::timeout(2 * DEADLINE, clients.join_all()).await
    });
    let all = all.expect("all clients have been cut off often enough");
    assert!(proxy.cuts() >= 2000, "{} cuts", proxy.cuts());
    for ids in &all {
        assert!(ids.len() > 100, "{} events", ids.len());
        assert_complete(ids, 20);
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_loses_nothing_and_doubles_nothing() {
    let port = port_of_our_own();
    let mut server = Binary::start_on(port);
    let url = format!("http://{}/events?ids&interval=10", server.address());
    let crowd = Crowd::listen(20, url);
    for _ in 0..6 {
        crowd.goes_on_for(Duration::from_millis(100));
        server.signal(Signal::KILL);
        server.wait();
        server = Binary::start_on(port);
    }
    crowd.goes_on_for(Duration::from_millis(100));
    for ids in crowd.leave() {
        assert_complete(&ids, 10);
    }
}
