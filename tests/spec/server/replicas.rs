//! More than one process: replicas behind a load balancer, Debian's nginx.

use std::time::Duration;

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::crowd::{Crowd, assert_complete};
use crate::support::nginx::Nginx;
use crate::support::reply::{ids, now};
use crate::support::system::Signal;
use crate::support::{Binary, Client, Serves, eventually, get, port_of_our_own};

const CLIENTS: usize = 200;
const INTERVAL: u64 = 100;
/// A few events more.
const A_WHILE: Duration = Duration::from_millis(500);

/// Two replicas behind nginx; `None` where nginx is missing.
#[track_caller]
fn cluster() -> Option<(Nginx, [Binary; 2])> {
    let ports = [port_of_our_own(), port_of_our_own()];
    Some((Nginx::start(ports)?, ports.map(Binary::start_on)))
}

fn listen(nginx: &Nginx) -> Crowd {
    let url = format!("http://{}/events?ids&interval={INTERVAL}", nginx.address);
    Crowd::listen(CLIENTS, url)
}

#[track_caller]
fn assert_nothing_lost_and_nothing_doubled(crowd: Crowd) {
    let all = crowd.leave();
    assert_eq!(all.len(), CLIENTS);
    for ids in &all {
        assert_complete(ids, INTERVAL);
    }
}

/// A GET of `path` with `Connection: close`.
fn get_once(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n")
}

/// The number of open streams that `replica` itself reports.
pub fn open_streams(replica: &Binary) -> u64 {
    let reply = replica.send(get_once("/stats")).rest();
    let (_, body) = reply.split_once("\r\n\r\n").expect("a head");
    let stats: Value = serde_json::from_str(body).expect("JSON");
    stats["open"].as_u64().expect("a count")
}

#[test]
fn two_replicas_behind_nginx_lose_nothing_when_one_is_killed() {
    let Some((nginx, [mut one, other])) = cluster() else {
        return;
    };
    let crowd = listen(&nginx);
    crowd.goes_on_for(A_WHILE);
    let share = open_streams(&one);
    assert!((50..=150).contains(&share), "{share} of {CLIENTS} streams");

    one.signal(Signal::KILL);
    one.wait();
    crowd.goes_on_for(A_WHILE);

    assert_eq!(open_streams(&other), CLIENTS as u64);
    assert_nothing_lost_and_nothing_doubled(crowd);
}

#[test]
fn two_replicas_behind_nginx_lose_nothing_when_each_is_restarted_in_turn() {
    let Some((nginx, mut replicas)) = cluster() else {
        return;
    };
    let crowd = listen(&nginx);
    for replica in [0, 1, 0, 1] {
        crowd.goes_on_for(A_WHILE);
        let port = replicas[replica].port;
        replicas[replica].signal(Signal::TERM);
        assert!(replicas[replica].wait().success());
        eventually("the other replica has taken all over", || {
            open_streams(&replicas[1 - replica]) == CLIENTS as u64
        });
        replicas[replica] = Binary::start_on(port);
    }
    crowd.goes_on_for(A_WHILE);
    assert_nothing_lost_and_nothing_doubled(crowd);
}

#[test]
fn events_come_through_nginx_at_once() {
    let replicas = [port_of_our_own(), port_of_our_own()].map(Binary::start_on);
    let ports = replicas.each_ref().map(|replica| replica.port);
    for start in [Nginx::start, Nginx::start_by_default] {
        let Some(nginx) = start(ports) else { return };
        let mut client = Client::send(nginx.address, get("/events?ids&interval=500"));
        let mut events = 0;
        while events < 5 {
            for sent in ids(&client.until("\n\n")) {
                let late = now() - sent;
                assert!(late <= 1500, "{late} ms");
                events += 1;
            }
        }
    }
}

#[test]
fn a_client_that_leaves_nginx_leaves_its_replica() {
    let Some((nginx, replicas)) = cluster() else {
        return;
    };
    let open = || replicas.iter().map(open_streams).sum::<u64>();
    let mut client = Client::send(nginx.address, get("/events"));
    client.until("\n\n");
    assert_eq!(open(), 1);
    drop(client);
    eventually("the stream ends with its client", || open() == 0);
}

#[test]
fn without_a_replica_nginx_sends_no_status_that_would_end_an_event_source() {
    let ports = [port_of_our_own(), port_of_our_own()];
    let Some(nginx) = Nginx::start(ports) else {
        return;
    };
    let request = |path| Client::send(nginx.address, get_once(path));
    assert_eq!(request("/events").rest(), "");
    let _replica = Binary::start_on(ports[1]);
    assert!(request("/events").head().starts_with("HTTP/1.1 200 "));
    let requested = request("/events?status=502").head();
    assert!(requested.starts_with("HTTP/1.1 502 "), "{requested}");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn behind_nginx_a_browser_waits_until_a_replica_is_back_and_misses_nothing() {
    let Some((nginx, replicas)) = cluster() else {
        return;
    };
    let browser = Browser::open(&format!("http://{}/", nginx.address)).await;
    let listen = format!(
        "window.ids = [];
        window.failures = 0;
        const source = new EventSource('/events?ids&interval={INTERVAL}&retry=100');
        source.onmessage = (event) => ids.push(Number(event.lastEventId));
        source.onerror = () => failures++;"
    );
    browser.run(&listen).await;
    browser.until("ids.length > 3").await;

    let port = replicas[0].port;
    drop(replicas);
    browser.until("failures > 3").await;
    browser.run("window.before = ids.length").await;
    let _replica = Binary::start_on(port);
    browser.until("ids.length > before + 3").await;

    let ids: Vec<u64> = serde_json::from_value(browser.run("return ids").await).unwrap();
    assert_complete(&ids, INTERVAL);
}
