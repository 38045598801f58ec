//! The connections of a hidden page, and of many pages at once.

use super::experiments::assert_no_gap;
use super::laboratory;
use super::origins::assert_new_times;
use crate::support::browser::Browser;
use crate::support::{Server, Serves, eventually};

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_page_that_was_left_closes_its_streams_and_opens_them_again() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    eventually("the EventSource and the raw request are open", || {
        server.stats().open == 2
    });

    browser.goto(&server.url("/stats")).await;
    eventually("no stream is open", || server.stats().open == 0);
    browser.back().await;

    // Restored from the back/forward cache, not reloaded.
    browser
        .until_text("#changes", "the page was restored")
        .await;
    browser.until_text("#state", "open").await;
    eventually("the EventSource and the raw request are open", || {
        server.stats().open == 2
    });
    browser.assert_quiet(&["favicon.ico"]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn eight_tabs_load_and_each_shows_the_time_while_it_is_visible() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/")).await;
    for tab in 1..8 {
        browser.new_tab().await;
        browser.show_tab(tab).await;
        browser.goto(&server.url("/")).await;
        browser.until_text("#state", "open").await;
        assert_new_times(&browser).await;
        eventually(
            "the tab that is shown has its two streams, and no other has any",
            || server.stats().open == 2,
        );
    }
    for tab in 0..8 {
        browser.show_tab(tab).await;
        browser.until_text("#state", "open").await;
        assert_new_times(&browser).await;
        eventually("as before", || server.stats().open == 2);
    }
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_tab_that_is_visible_again_resumes_after_its_last_id() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/?ids&interval=100")).await;
    browser
        .until("document.querySelectorAll('#events tr').length > 3")
        .await;
    hide(&browser, &server).await;
    // The page may not notice a shorter absence: there must be ticks that the page misses.
    server
        .get("/events?interval=100&count=5")
        .1
        .until("0\r\n\r\n");

    browser.show_tab(0).await;
    browser
        .until("document.querySelector('#events .replayed + tr:not(.replayed)')")
        .await;
    assert_no_gap(&browser, 100).await;
    browser.until_text("#changes", "it resumes after id ").await;
    let changes = browser.text("#changes").await;
    assert!(changes.contains("this tab is hidden"), "{changes}");
    assert!(!changes.contains("missed"), "{changes}");
    assert!(!browser.text("#url").await.contains("lastEventId"));
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_tab_without_ids_says_that_it_may_have_missed_some() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    browser.until("document.querySelector('#events tr')").await;
    hide(&browser, &server).await;

    browser.show_tab(0).await;
    browser
        .until_text("#state", "without ids it may have missed some events")
        .await;
    browser.until_text("#state", "open").await;
    assert_new_times(&browser).await;

    browser.click("#close").await;
    browser.until_text("#changes", "you closed it").await;
    let changes = browser.texts("#changes li").await;
    hide(&browser, &server).await;
    browser.show_tab(0).await;
    browser.until("!document.hidden").await;
    assert_eq!(
        browser.texts("#changes li").await,
        changes,
        "closed is closed"
    );
    assert_eq!(server.stats().open, 0);
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_seven_streams_of_an_experiment_close_too_and_are_opened_again() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    browser.click("#experiment-six").await;
    browser.until_text("#six-words", "one waits").await;
    hide(&browser, &server).await;

    browser.show_tab(0).await;
    browser.until_text("#six-words", "one waits").await;
    eventually("six streams are open", || server.stats().open == 6);
    browser.assert_quiet(&[]).await;
}

/// Shows another tab, so that the first one is hidden.
pub(super) async fn hide(browser: &Browser, server: &Server) {
    browser.new_tab().await;
    browser.show_tab(1).await;
    eventually("no stream is open", || server.stats().open == 0);
}
