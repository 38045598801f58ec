//! Runs every experiment by clicks; reads the result from the page and from the server's counts.

use super::{cleared_laboratory, laboratory_in, leave_and_return};
use crate::support::browser::{Browser, CUT, Engine, NO_STREAM};
use crate::support::{Server, Serves, eventually};

in_each_browser! {
    a_dropped_connection_comes_back_and_nothing_is_missing
    after_its_proper_end_a_stream_is_asked_for_again
    a_client_told_to_stop_does_not_come_back
    another_content_type_closes_for_good
    a_named_event_is_heard_by_its_own_listener_only
    two_lines_of_data_become_one_text
    bytes_that_come_one_by_one_make_whole_events
    the_seventh_stream_waits_until_one_is_closed
}

/// Asserts that the ids of the events on the page are `interval` apart, without gap or duplicate.
pub(super) async fn assert_no_gap(browser: &Browser, interval: u64) {
    let ids = browser.texts("#events td.id").await;
    let ids: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
    assert!(ids.len() > 3, "{ids:?}");
    assert!(
        ids.windows(2).all(|pair| pair[1] - pair[0] == interval),
        "{ids:?}"
    );
}

async fn a_dropped_connection_comes_back_and_nothing_is_missing(engine: Engine) {
    let server = Server::start();
    let browser = laboratory_in(engine, &server).await;

    browser.click("#experiment-drop").await;
    browser.until_text("#changes", "the connection ended").await;
    browser.until_text("#changes", "reconnected after").await;
    browser
        .until("document.querySelector('#events .replayed')")
        .await;

    assert_no_gap(&browser, 500).await;
    let last = browser
        .text("#events tr:has(+ .replayed):not(.replayed) td.id")
        .await;
    browser
        .until_text("#raw", &format!("Last-Event-ID: {last}"))
        .await;
    // WebKit's fetch treats an aborted response as complete.
    let end = match engine {
        Engine::Chromium => "the connection was cut",
        Engine::WebKit => "the response ended",
    };
    browser.until_text("#raw", end).await;
    assert!(server.stats().closed.finished >= 2);
    browser.assert_quiet(&[CUT]).await;
}

async fn after_its_proper_end_a_stream_is_asked_for_again(engine: Engine) {
    let server = Server::start();
    let browser = cleared_laboratory(engine, &server).await;

    browser.click("#experiment-end").await;
    browser.until_text("#changes", "the connection ended").await;
    browser.until_text("#changes", "reconnected after").await;
    browser
        .until("document.querySelector('#event-count').textContent > 5")
        .await;

    assert!(browser.text("#raw").await.contains("the response ended"));
    eventually("both streams have finished", || {
        server.stats().closed.finished == 2
    });
    browser.assert_quiet(&[]).await;
}

async fn a_client_told_to_stop_does_not_come_back(engine: Engine) {
    let server = Server::start();
    let browser = laboratory_in(engine, &server).await;

    browser.click("#experiment-stop").await;
    browser.until_text("#state", "204 No Content").await;
    assert!(browser.text("#state").await.starts_with("closed"));
    eventually("no stream is open", || server.stats().open == 0);

    // Twice the reconnection time, as measured by a stream of the test. A page that reconnected
    // would report the reconnect, whatever the response.
    let changes = browser.texts("#changes li").await;
    let before = server.stats().opened;
    server.exchange(
        "GET /events?interval=1000&count=2 HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(server.stats().opened, before + 1);
    assert_eq!(browser.texts("#changes li").await, changes);

    leave_and_return(&browser, &server.url("/stats")).await;
    assert_eq!(browser.texts("#changes li").await, changes);
    browser.assert_quiet(&["favicon.ico"]).await;
}

async fn another_content_type_closes_for_good(engine: Engine) {
    let server = Server::start();
    let browser = cleared_laboratory(engine, &server).await;

    browser.click("#experiment-type").await;
    browser.until_text("#state", "text/plain").await;
    browser
        .until("document.querySelectorAll('#raw .data').length > 1")
        .await;

    assert!(browser.text("#state").await.starts_with("closed"));
    assert_eq!(browser.texts("#events tr").await, [""; 0]);
    eventually("the raw request alone is open", || server.stats().open == 1);
    browser.click("#close").await;
    eventually("no stream is open", || server.stats().open == 0);
    browser.assert_quiet(&[NO_STREAM]).await;
}

async fn a_named_event_is_heard_by_its_own_listener_only(engine: Engine) {
    let server = Server::start();
    let browser = cleared_laboratory(engine, &server).await;

    browser.click("#experiment-named").await;
    browser
        .until("document.querySelectorAll('#events tr').length > 1")
        .await;

    assert_eq!(browser.texts("#events td.type").await[0], "tick");
    assert!(
        browser
            .text("#listening")
            .await
            .starts_with("onmessage heard 0, ")
    );
    assert!(browser.text("#raw .event").await.starts_with("event: tick"));
    assert!(
        browser
            .text("#code-js")
            .await
            .contains("addEventListener(\"tick\"")
    );
    browser.assert_quiet(&[]).await;
}

async fn two_lines_of_data_become_one_text(engine: Engine) {
    let server = Server::start();
    let browser = cleared_laboratory(engine, &server).await;

    browser.click("#experiment-lines").await;
    browser.until("document.querySelector('#events td.data') && document.querySelectorAll('#raw .data').length > 1").await;

    // The line end is shown as a symbol, and as a line break.
    assert_eq!(
        browser.texts("#events td.data").await[0],
        "first line\\n\nsecond line"
    );
    let lines = browser.texts("#raw .data").await;
    assert_eq!(lines[..2], ["data: first line\\n", "data: second line\\n"]);
    browser.assert_quiet(&[]).await;
}

async fn bytes_that_come_one_by_one_make_whole_events(engine: Engine) {
    let server = Server::start();
    let browser = cleared_laboratory(engine, &server).await;

    browser.click("#experiment-split").await;
    browser
        .until("document.querySelector('#events td.data') && document.querySelector('#raw .data')")
        .await;

    assert_eq!(browser.texts("#events td.data").await[0], "naïve café, 3 €");
    assert_eq!(
        browser.texts("#raw .data").await[0],
        "data: naïve café, 3 €\\n"
    );
    browser.assert_quiet(&[]).await;
}

async fn the_seventh_stream_waits_until_one_is_closed(engine: Engine) {
    let server = Server::start();
    let browser = laboratory_in(engine, &server).await;
    assert_eq!(browser.text("#protocol").await, "");
    assert_the_seventh_waits(&browser, &server).await;
}

/// Asserts that the experiment has six streams open, each on its own connection, and one waiting.
pub(super) async fn assert_the_seventh_waits(browser: &Browser, server: &Server) {
    let states = "[...document.querySelectorAll('#six-streams li')].map((box) => box.dataset.readyState).join('')";

    browser.click("#experiment-six").await;
    browser.until(&format!("{states} === '1111110'")).await;
    browser.until_text("#six-words", "one waits").await;
    eventually("six streams are open", || server.stats().open == 6);

    browser.click("#six-streams li:nth-child(3) button").await;
    browser.until(&format!("{states} === '1121111'")).await;
    eventually("six streams are open", || server.stats().open == 6);

    browser.click("#six-end").await;
    browser.until_text("#state", "open").await;
    eventually("the page's own two are open", || server.stats().open == 2);
    browser.until_text("#stats-open", "2").await;
    browser.assert_quiet(&[]).await;
}
