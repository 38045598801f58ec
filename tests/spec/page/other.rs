//! A server other than the page's own: when the page connects, and which responses are accepted.

use std::iter;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use longhaul::Limits;
use serde_json::json;
use url::Url;

use super::look::{assert_accessible, assert_fits_any_width, bring_axe};
use super::tabs::hide;
use super::{ENTER, TAB, focused, laboratory, leave_and_return};
use crate::support::browser::{Browser, NO_STREAM};
use crate::support::{Hosted, Server, Serves, body, eventually};

const WAITS: &str = "closed no request before a click on Connect";
const WORDS: &str = "Connect goes to another server than this page's own:\n";

/// The page of `server` with these settings, which include another server.
fn link(server: &Server, other: &str, settings: &[(&str, &str)]) -> String {
    let settings = settings.iter().copied().chain([("server", other)]);
    Url::parse_with_params(&server.url("/"), settings)
        .unwrap()
        .into()
}

/// Uses every control of the page, except the two buttons that connect.
async fn do_everything_else(browser: &Browser, server: &Server) {
    let click = "for (const details of document.querySelectorAll('details')) details.open = true;
        for (const button of document.querySelectorAll('button:not(#connect, #apply)')) button.click()";
    browser.run(click).await;
    for experiment in ["drop", "six"] {
        browser.click(&format!("#experiment-{experiment}")).await;
    }
    browser.click("#suite-run").await;
    browser
        .until_text("#suite-words", "no request before a click on Connect")
        .await;
    browser.fill("[name=wire]", "data: typed\n\n").await;
    browser.until_text("#url", "typed").await;
    browser.fill("[name=interval]", "200").await;
    browser.click("#play").await;
    hide(browser, server).await;
    browser.show_tab(0).await;
    leave_and_return(browser, &server.url("/stats")).await;
    browser.click("#reconnect").await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn another_server_is_contacted_only_after_a_click_on_connect_which_shows_the_whole_url() {
    let server = Server::start();
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    other.set_nonblocking(true).unwrap();
    let origin = format!("http://{}", other.local_addr().unwrap());
    let long = "x".repeat(1000);
    let settings = [("credentials", ""), ("wire", &long), ("key", "mine")];
    let named = format!("{origin}/admin/delete?id=1&x=");
    let browser = Browser::open(&link(&server, &named, &settings)).await;
    browser.until("document.querySelector('#changes li')").await;
    assert!(other.accept().is_err(), "nobody has connected");
    browser.until_text("#state", WAITS).await;
    assert_eq!(
        browser.text("#confirm").await,
        format!("{WORDS}{origin}/events?credentials&key=mine&wire={long}")
    );

    do_everything_else(&browser, &server).await;
    browser.run("window.since = performance.now()").await;
    browser.until("performance.now() - since > 5000").await;
    assert!(other.accept().is_err(), "nobody has connected");
    assert!(browser.text("#state").await.starts_with(WAITS));
    browser
        .until_text(
            "#stats-words",
            "No counts from the server: no request before a click on Connect.",
        )
        .await;
    browser.assert_quiet(&["favicon.ico"]).await;

    let shown = browser.text("#confirm").await;
    let target = shown.strip_prefix(&format!("{WORDS}{origin}")).unwrap();
    let expected = format!("GET {target} HTTP/1.1\r\n");
    browser.click("#connect").await;
    let mut clients = Vec::new();
    eventually("what was shown is asked for", || {
        clients.extend(other.accept().ok());
        let mut buffer = [0; 4096];
        clients.iter().any(|(client, _)| {
            client.set_nonblocking(true).unwrap();
            let length = client.peek(&mut buffer).unwrap_or_default();
            buffer[..length].starts_with(expected.as_bytes())
        })
    });
    assert_eq!(browser.text("#confirm").await, "");
    assert_eq!(server.stats().opened, 0);
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_server_is_an_origin_whatever_path_follows() {
    let server = Server::start();
    let browser = Browser::start().await;
    let origin = "http://127.0.0.1:9";
    for named in [
        "127.0.0.1:9",
        "http://127.0.0.1:9",
        "http://127.0.0.1:9/",
        "HTTP://127.0.0.1:9/events?ids#top",
        "http://user:word@127.0.0.1:9//",
    ] {
        browser.goto(&link(&server, named, &[])).await;
        browser.until_text("#state", WAITS).await;
        let shown = browser.text("#url").await;
        assert_eq!(shown, format!("{origin}/events"), "{named}");
        assert!(browser.text("#confirm").await.ends_with(&shown), "{named}");
    }
    for named in [
        "http://a:b/",
        "file:///etc/hosts",
        "ftp://127.0.0.1:9",
        "/",
        "://",
    ] {
        browser.goto(&link(&server, named, &[])).await;
        browser.click("#connect").await;
        browser
            .until_text("#state", "closed the server is no URL")
            .await;
        assert_eq!(browser.text("#confirm").await, "", "{named}");
    }
    for named in [server.url(""), server.url("/"), server.url("/any?thing")] {
        browser.goto(&link(&server, &named, &[])).await;
        browser.until_text("#state", "open").await;
        assert_eq!(browser.text("#url").await, server.url("/events"));
        assert_eq!(browser.text("#confirm").await, "", "{named}");
    }
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_typed_server_waits_for_its_own_click_although_another_was_clicked() {
    let (server, other) = (Server::start(), Server::start());
    let browser = laboratory(&server).await;
    browser.click("#settings summary").await;
    browser.fill("[name=server]", &other.url("")).await;
    let shown = browser.text("#confirm").await;
    assert!(shown.ends_with(&other.url("/events")), "{shown}");
    browser.click("#experiment-named").await;
    browser.until_text("#state", WAITS).await;
    let before = server.stats().opened;

    // The Enter key in a field presses the form's button.
    browser
        .run("document.querySelector('[name=interval]').focus()")
        .await;
    browser.press(ENTER).await;
    browser.until_text("#state", "open").await;
    browser.until_text("#stats-open", "2").await;
    assert_eq!(browser.text("#confirm").await, "");
    assert!(other.stats().open > 0);
    // A confirmed server needs no second confirmation.
    browser.click("#experiment-end").await;
    browser.until_text("#changes", "the connection ended").await;
    browser.until_text("#changes", "reconnected after").await;
    assert_eq!(server.stats().opened, before);
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_page_that_waits_works_with_the_keyboard_and_axe_finds_nothing_to_mend() {
    let (server, other) = (Server::start(), Server::start());
    let url = link(&server, &other.url(""), &[]);
    for scheme in ["light", "dark"] {
        let browser = Browser::open(&url).await;
        browser.until_text("#state", WAITS).await;
        bring_axe(&browser, scheme).await;
        assert_accessible(&browser, scheme).await;
        assert_fits_any_width(&browser).await;

        while focused(&browser).await != "connect" {
            browser.press(TAB).await;
        }
        let told = browser
            .run("return document.activeElement.ariaDescribedByElements[0].textContent")
            .await;
        assert_eq!(told, browser.text("#confirm").await);
        browser.press(ENTER).await;
        browser.until_text("#state", "open").await;
        assert_eq!(focused(&browser).await, "connect");
        browser.assert_quiet(&[]).await;
    }
}

/// A server that sends the given response to /stats, and nothing else.
fn teller(stats: &Arc<Mutex<String>>) -> Hosted {
    let stats = stats.clone();
    Hosted::start(Limits::default(), move |request| {
        let body = match request.uri().path() {
            "/stats" => stats.lock().unwrap().clone(),
            _ => String::new(),
        };
        let response = Response::builder()
            .header("Access-Control-Allow-Origin", "*")
            .body(Full::<Bytes>::from(body));
        async { response.unwrap() }
    })
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn stats_that_are_not_those_of_sse_clock_leave_the_panel_readable_with_one_line() {
    let good = |open: u64| {
        json!({
            "open": open, "opened": 1, "events": 1e300,
            "closed": { "client": u64::MAX, "finished": 0, "shutdown": 0 },
            "last_event_ids": ["<b>", "x".repeat(100_000)],
        })
    };
    let with = |name: &str, value| {
        let mut stats = good(1);
        stats[name] = value;
        stats.to_string()
    };
    let closed = |value| with("closed", value);
    let bad = [
        String::new(),
        "null".into(),
        "[]".into(),
        "<html>".into(),
        "{}".into(),
        good(1).to_string().replace('}', ""),
        "[".repeat(100_000),
        "x".repeat(3 << 20),
        with("open", json!("<img src=x>")),
        with("opened", json!({ "toString": 1 })),
        with("events", json!(null)),
        closed(json!(null)),
        closed(json!({ "words": "", "key": "", "client": 1, "finished": 1 })),
        closed(json!({ "client": [1], "finished": 1, "shutdown": 1 })),
        with("last_event_ids", json!("id")),
        with("last_event_ids", json!([{ "toString": 1 }])),
    ];
    let server = Server::start();
    let stats = Arc::new(Mutex::new(String::new()));
    let other = teller(&stats);
    let named = format!("http://{}", other.address());
    let browser = Browser::open(&link(&server, &named, &[("key", "mine")])).await;
    browser.click("#connect").await;
    let labels = browser.texts(".counts dt").await;
    for (number, bad) in bad.iter().enumerate() {
        let open = u64::try_from(number).unwrap() + 10;
        *stats.lock().unwrap() = good(open).to_string();
        browser.click("#reconnect").await;
        browser.until_text("#stats-open", &open.to_string()).await;
        browser.until_text("#stats-words", "Each open stream").await;
        *stats.lock().unwrap() = bad.clone();
        browser.click("#reconnect").await;
        browser
            .until_text("#stats-words", "No counts from the server")
            .await;
        let case = &bad[..bad.len().min(200)];
        assert_eq!(
            browser.text("#stats-words").await,
            "No counts from the server: the response is not that of an sse-clock.",
            "{case}"
        );
        assert_eq!(browser.texts(".counts dd").await, ["–"; 6], "{case}");
        assert_eq!(browser.texts(".counts dt").await, labels, "{case}");
        let key = browser.run("return document.querySelector('#stats-key').hidden");
        assert_eq!(key.await, true, "{case}");
    }
    *stats.lock().unwrap() = good(u64::MAX).to_string();
    browser.click("#reconnect").await;
    browser.until_text("#stats-key", "<b>, xxx").await;
    assert!(browser.text("#stats-key").await.len() < 1000);
    assert_fits_any_width(&browser).await;
    let wide = "const { scrollWidth, clientWidth } = document.querySelector('.counts');
        return scrollWidth - clientWidth";
    assert_eq!(browser.run(wide).await, 0);
    browser.assert_quiet(&[NO_STREAM]).await;
}

const PART: &[u8] = &[b' '; 64 * 1024];

/// An endless response, and the number of bytes that each client read.
struct Endless(usize, Arc<Mutex<Vec<usize>>>);

impl Endless {
    fn part(&mut self) -> Bytes {
        self.0 += PART.len();
        Bytes::from_static(PART)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn stats_without_end_are_not_read_to_the_end() {
    let server = Server::start();
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let ended = lengths.clone();
    let other = Hosted::start(Limits::default(), move |request| {
        let mut endless = Endless(0, ended.clone());
        let spaces = iter::repeat_with(move || endless.part());
        let parts = if request.uri().path() == "/stats" {
            usize::MAX
        } else {
            0
        };
        let response = Response::builder()
            .header("Access-Control-Allow-Origin", "*")
            .body(body(tokio_stream::iter(spaces.take(parts))));
        async { response.unwrap() }
    });
    let named = format!("http://{}", other.address());
    let browser = Browser::open(&link(&server, &named, &[])).await;
    browser.click("#connect").await;
    browser
        .until_text("#stats-words", "the response is not that of an sse-clock")
        .await;
    eventually("the page has let go of it", || {
        lengths.lock().unwrap().iter().any(|length| *length > 0)
    });
    // One MiB, and the capacity of the socket buffers.
    let lengths = lengths.lock().unwrap();
    assert!(
        lengths.iter().all(|length| *length < 32 << 20),
        "{lengths:?}"
    );
}
