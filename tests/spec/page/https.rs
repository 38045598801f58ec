//! The page over HTTPS: the protocol of the page, and a hundred streams on one connection.

use longhaul::Limits;
use serde_json::json;

use super::experiments::assert_the_seventh_waits;
use super::look::{assert_accessible, assert_fits_any_width, laboratory_with_axe};
use super::origins::assert_new_times;
use super::tabs::hide;
use super::{ENTER, TAB, focused, laboratory};
use crate::support::browser::{Browser, Engine};
use crate::support::{Binary, Server, eventually};

/// The clocks of the experiment: whether each stream is open, and where each hand points.
const STATES: &str =
    "[...document.querySelectorAll('#six-clocks i')].map((clock) => clock.dataset.readyState)";
const HANDS: &str =
    "[...document.querySelectorAll('#six-clocks i')].map((clock) => clock.style.rotate)";

const HTTP_2: &str = "This page came over HTTP/2, where all streams share one connection.";
const HTTP_1: &str = "This page came over HTTP/1.1, where each stream has a connection of its own.";

async fn until_all_are_open(browser: &Browser) {
    browser
        .until_text("#six-words", "All hundred are open")
        .await;
    let states = browser.run(&format!("return {STATES}.join('')")).await;
    assert_eq!(states, "1".repeat(100));
}

/// Waits until every hand points to a second, and then to another one.
async fn until_all_tick(browser: &Browser) {
    browser
        .until(&format!("{HANDS}.every((hand) => hand)"))
        .await;
    let before = browser.run(&format!("return {HANDS}")).await;
    assert_eq!(before.as_array().unwrap().len(), 100);
    browser
        .until(&format!("{HANDS}.every((hand, i) => hand !== {before}[i])"))
        .await;
}

/// Waits until the page shows `open` as the server's count of open streams.
async fn until_counted(browser: &Browser, open: usize) {
    browser
        .until(&format!(
            "document.querySelector('#stats-open').textContent === '{open}'"
        ))
        .await;
}

#[test]
fn the_page_shows_the_limit_of_the_server() {
    let page = include_str!("../../../public/index.html");
    let streams = Limits::default().max_streams;
    for words in [
        format!("{streams} streams a connection"),
        format!("all tabs together have {streams},"),
        format!("\"{streams} streams\""),
    ] {
        assert!(page.contains(&words), "{words}");
    }
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn over_http_2_a_hundred_streams_tick_on_one_connection_with_the_page_s_own_two() {
    let server = Binary::start(&["--tls"]);
    let idle = server.sockets();
    let browser = Browser::open(&server.url("/")).await;
    browser.until_text("#state", "open").await;
    assert_eq!(browser.text("#protocol").await, HTTP_2);
    until_counted(&browser, 2).await;
    let changes = browser.texts("#changes li").await;

    browser
        .run("document.querySelector('#experiment-six').focus()")
        .await;
    browser.press(ENTER).await;
    until_all_are_open(&browser).await;
    until_counted(&browser, 102).await;
    eventually("they share one connection", || server.sockets() == idle + 1);
    until_all_tick(&browser).await;
    assert_new_times(&browser).await;
    let words = browser.text("#six-words").await;
    assert!(words.ends_with("128 streams a connection."), "{words}");
    assert_eq!(
        browser.text("#stats-words").await,
        "Each open stream is one running interval. \
         This page holds the EventSource, the raw bytes and the hundred."
    );
    assert_eq!(focused(&browser).await, "experiment-six");

    browser.press(TAB).await;
    assert_eq!(focused(&browser).await, "six-end");
    browser.press(ENTER).await;
    until_counted(&browser, 2).await;
    assert_eq!(focused(&browser).await, "experiment-six");
    assert!(!browser.in_view("#six").await);
    assert_eq!(browser.texts("#six-clocks i").await, [""; 0]);
    assert_eq!(browser.texts("#changes li").await, changes, "it went on");
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn over_https_with_http_1_the_six_remain_six() {
    let server = Server::start_tls();
    let browser = Browser::start_with(Engine::Chromium, &["--disable-http2"]).await;
    browser.goto(&server.url("/")).await;
    browser.until_text("#state", "open").await;
    assert_eq!(browser.text("#protocol").await, HTTP_1);
    assert_the_seventh_waits(&browser, &server).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_hidden_tab_closes_the_hundred_streams_and_opens_them_again() {
    let server = Server::start_tls();
    let browser = laboratory(&server).await;
    browser.click("#experiment-six").await;
    until_all_are_open(&browser).await;
    eventually("all are open", || server.stats().open == 102);
    hide(&browser, &server).await;
    browser.show_tab(0).await;
    until_all_are_open(&browser).await;
    until_all_tick(&browser).await;
    assert_new_times(&browser).await;
    until_counted(&browser, 102).await;

    // Closed streams stay closed.
    browser.click("#close").await;
    until_counted(&browser, 0).await;
    browser.click("#experiment-six").await;
    for _ in 0..2 {
        until_all_are_open(&browser).await;
        until_counted(&browser, 100).await;
        hide(&browser, &server).await;
        browser.show_tab(0).await;
    }
    until_counted(&browser, 100).await;
    assert!(browser.text("#state").await.starts_with("closed"));
    browser.click("#six-end").await;
    until_counted(&browser, 0).await;
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn when_the_128_of_a_connection_are_taken_the_rest_of_the_hundred_waits() {
    let server = Server::start_tls();
    let browser = laboratory(&server).await;
    // Like the streams of another page that is open too.
    browser
        .run("window.others = Array.from({ length: 30 }, () => new EventSource('/stream'))")
        .await;
    eventually("they are open", || server.stats().open == 32);
    browser.click("#experiment-six").await;
    browser
        .until_text("#six-words", "waiting. If it stays so, other tabs")
        .await;
    browser
        .until_text("#stats-words", "other tabs have all 128 streams")
        .await;
    let open = server.stats().open;
    assert!((120..=128).contains(&open), "{open}");

    browser
        .run("for (const other of others) other.close()")
        .await;
    until_all_are_open(&browser).await;
    until_counted(&browser, 102).await;
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn what_counts_is_the_protocol_of_the_streams_server() {
    let (server, other) = (Server::start_tls(), Server::start());
    let url = other.url(&format!("/?server={}", server.url("")));
    let browser = Browser::open(&url).await;
    browser.click("#connect").await;
    until_counted(&browser, 2).await;
    assert_eq!(browser.text("#protocol").await, "");
    browser.click("#experiment-six").await;
    until_all_are_open(&browser).await;
    until_counted(&browser, 102).await;
    assert_eq!(other.stats().opened, 0);

    // The page came over HTTP/2, from a server that also has HTTP/1.1.
    let url = server.url(&format!("/?server={}", other.url("")));
    browser.goto(&url).await;
    browser.click("#connect").await;
    until_counted(&browser, 2).await;
    assert_eq!(browser.text("#protocol").await, HTTP_2);
    assert_the_seventh_waits(&browser, &other).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_response_over_http_2_is_described_by_its_status_alone() {
    let server = Server::start_tls();
    let browser = Browser::open(&server.url("/?status=500")).await;
    browser
        .until_text("#state", "the response was 500, and only 200 is a stream")
        .await;
    browser.until_text("#raw", "← 500, text/").await;
    browser.assert_quiet(&["500"]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn with_reduced_motion_the_hundred_move_at_most_twice_a_second() {
    let server = Server::start_tls();
    let browser = laboratory(&server).await;
    let feature = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser
        .devtools("Emulation.setEmulatedMedia", feature)
        .await;
    browser.click("#experiment-six").await;
    until_all_tick(&browser).await;
    browser
        .run(
            "window.pictures = 0; window.since = performance.now();
             new MutationObserver(() => { pictures += 1; })
                 .observe(document.querySelector('#six-clocks'), { subtree: true, attributes: true })",
        )
        .await;
    browser.until("performance.now() - since > 5000").await;
    let seen = browser
        .run("return [pictures * 1000 / (performance.now() - since), document.getAnimations().length]")
        .await;
    let pictures = seen[0].as_f64().unwrap();
    assert!(pictures > 0. && pictures < 2.8, "{pictures} a second");
    assert_eq!(seen[1], 0, "nothing moves between two pictures");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_hundred_fit_any_width_and_axe_finds_nothing_to_mend_in_light_and_dark() {
    let server = Server::start_tls();
    for scheme in ["light", "dark"] {
        let browser = laboratory_with_axe(&server, scheme).await;
        browser.click("#experiment-six").await;
        until_all_tick(&browser).await;
        assert_accessible(&browser, scheme).await;
        assert_fits_any_width(&browser).await;
    }
}
