//! The page in a real browser, opened from different origins.

use crate::support::browser::Browser;
use crate::support::{Server, eventually};

const SHOWS_A_TIME: &str =
    "/^\\d{1,2}:\\d\\d:\\d\\d [AP]M$/.test(document.querySelector('#clock').textContent)";

/// Waits until the page shows a time, and then another one.
pub async fn assert_new_times(browser: &Browser) {
    browser.until(SHOWS_A_TIME).await;
    let time = browser.text("#clock").await;
    browser
        .until(&format!(
            "document.querySelector('#clock').textContent !== {time:?}"
        ))
        .await;
    browser.until(SHOWS_A_TIME).await;
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_page_shows_new_times() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/")).await;
    assert_new_times(&browser).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_page_opened_as_a_file_shows_new_times() {
    let server = Server::start();
    let page = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/public/index.html");
    let browser = Browser::open(&format!("{page}?server={}", server.url(""))).await;
    browser.click("#connect").await;
    assert_new_times(&browser).await;

    // The page's own server is the one on this machine: the page connects without a click.
    browser.goto(page).await;
    browser.until_text("#changes", "connecting").await;
    assert_eq!(browser.text("#url").await, "http://localhost:3000/events");
    assert_eq!(browser.text("#confirm").await, "");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_page_from_another_port_shows_new_times() {
    let (server, other) = (Server::start(), Server::start());
    let browser = Browser::open(&other.url(&format!("/?server={}", server.url("")))).await;
    browser.click("#connect").await;
    assert_new_times(&browser).await;
    assert!(server.stats().events > 0);
    assert_eq!(other.stats().opened, 0);
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn closing_the_tab_ends_its_streams_on_the_server() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.new_tab().await;
    browser.goto(&server.url("/")).await;
    browser.until(SHOWS_A_TIME).await;
    let open = server.stats().open;
    assert!(open > 0);

    browser.close_tab().await;

    eventually("no stream is open", || server.stats().open == 0);
    assert!(server.stats().closed.client >= open);
}
