//! "Is this browser right?": the conformance suite, run in the browser that shows the page.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use longhaul::Limits;
use serde_json::json;

use super::{laboratory, laboratory_in};
use crate::suite::cases::cases;
use crate::suite::known::Row;
use crate::support::browser::{Browser, Engine};
use crate::support::{Hosted, Server, Serves, eventually};

/// The maximum of streams at once: three cases, and two of the page itself.
const STREAMS: u64 = 5;

/// The time limit for all cases; `WebKit` takes 1 min for 16 MiB in one event.
const ALL: Duration = Duration::from_secs(300);

async fn run_the_suite(browser: &Browser) {
    browser.click("#suite summary").await;
    browser.click("#suite-run").await;
}

in_each_browser! {
    the_suite_says_what_this_browser_gets_wrong
}

async fn the_suite_says_what_this_browser_gets_wrong(engine: Engine) {
    let server = Server::start();
    let browser = laboratory_in(engine, &server).await;
    run_the_suite(&browser).await;
    let cases = cases();
    let all = format!("{0} of {0} cases played", cases.len());
    let done = format!("document.querySelector('#suite-words').textContent.includes({all:?})");
    let (mut most, start) = (0, Instant::now());
    while browser.run(&format!("return {done}")).await != json!(true) {
        assert!(start.elapsed() < ALL, "the suite does not end");
        most = most.max(server.stats().open);
        // Frequent checks would cost the browser time, and its waits are measured.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    assert!(most > 2 && most <= STREAMS, "{most} streams at once");
    let known = Row::of(match engine {
        Engine::Chromium => "chromium",
        Engine::WebKit => "webkit",
    });
    let scores = known.scores();
    let names = cases.iter().map(|case| case.name.as_str());
    let wrong: Vec<_> = names
        .filter(|name| scores.iter().any(|missed| missed.contains(name)))
        .collect();
    assert_eq!(browser.texts("#suite-wrong b").await, wrong);
    let cells = browser.texts("#suite-scores .wrong").await;
    assert_eq!(cells.len(), scores.iter().map(BTreeSet::len).sum::<usize>());
    assert_eq!(browser.text("#suite-run").await, "Run the suite");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_wrong_case_shows_what_was_received_and_opens_in_the_page_and_the_result_is_copied() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    browser.allow_clipboard().await;
    run_the_suite(&browser).await;
    browser
        .until("document.querySelector('#suite-wrong li')")
        .await;
    let words = browser.text("#suite-wrong li pre").await;
    assert_eq!(
        words,
        "events\n  expected  message \"x\"\n  received  no event\n\
         ids\n  expected  no id\n  received  no event"
    );
    browser.click("#suite-run").await;
    browser.until_text("#suite-run", "Run the suite").await;

    browser.click("#suite-copy").await;
    browser.until_text("#suite-copy", "Copied").await;
    let copied = browser.clipboard().await;
    let summary = browser.text("#suite-words").await;
    assert!(
        copied.starts_with(&format!("sse-clock's suite: {summary}\nMozilla/")),
        "{copied}"
    );
    assert!(
        copied.ends_with(&format!("\n\nbom-then-lf\n{words}")),
        "{copied}"
    );

    browser.click("#suite-wrong button").await;
    browser.until_text("#changes", "the case bom-then-lf").await;
    browser
        .until_text("#case-words", "Expected:\nmessage \"x\"")
        .await;
    let wire = browser.value("[name=wire]").await;
    assert!(wire.starts_with("\\xEF\\xBB\\xBF\n"), "{wire}");
    browser.until_text("#raw", "data: x").await;
    browser.until_text("#state", "204 No Content").await;
    assert!(browser.in_view("[name=wire]").await);
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_suite_stops_on_its_button_and_waits_while_the_tab_is_hidden() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    run_the_suite(&browser).await;
    let played = "document.querySelector('#suite-progress').value";
    browser.until(&format!("{played} > 5")).await;

    browser.new_tab().await;
    browser.show_tab(1).await;
    eventually("no stream is open", || server.stats().open == 0);
    let opened = server.stats().opened;
    browser
        .goto(&server.url("/events?count=1&status=204"))
        .await;
    assert_eq!(server.stats().opened, opened);
    browser.show_tab(0).await;
    let before = browser.run(&format!("return {played}")).await;
    browser.until(&format!("{played} > {before} + 5")).await;

    browser.click("#suite-run").await;
    browser.until_text("#suite-run", "Run the suite").await;
    eventually("the page's own two are open", || server.stats().open == 2);
    let words = browser.text("#suite-words").await;
    browser.click("#close").await;
    browser.until_text("#state", "closed").await;
    assert_eq!(browser.text("#suite-words").await, words);
    assert_eq!(browser.texts("#suite-wrong li").await, [""; 0]);

    browser.click("#suite-run").await;
    browser.until(&format!("{played} > 0")).await;
    browser.click("#experiment-six").await;
    browser.until_text("#six-words", "one waits").await;
    browser.until_text("#suite-run", "Run the suite").await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn whatever_a_suite_holds_is_shown_as_text() {
    let attack = "<img src=x onerror=\"document.title='run'\">";
    let case = json!({
        "name": attack, "section": attack, "why": attack, "url": "/events?status=204",
        "listen": ["message"], "expect": [{ "event": attack, "data": attack, "id": attack }],
        "reconnect": { "last_event_id": attack, "after_ms": null },
    });
    let stats = json!({
        "open": 0, "opened": 1, "events": 0, "closed": { "client": 0, "finished": 1, "shutdown": 0 },
        "requests": [{ "last_event_id": null, "after_ms": null }],
    });
    let (cases, stats) = (json!([case]).to_string(), stats.to_string());
    let other = Hosted::start(Limits::default(), move |request| {
        let body = match request.uri().path() {
            "/cases" => cases.clone(),
            "/stats" => stats.clone(),
            _ => String::new(),
        };
        let response = Response::builder()
            .header("Access-Control-Allow-Origin", "*")
            .body(Full::<Bytes>::from(body));
        async { response.unwrap() }
    });
    let server = Server::start();
    let browser = Browser::open(&server.url(&format!("/?server={}", other.address()))).await;
    browser.click("#connect").await;
    run_the_suite(&browser).await;
    browser
        .until("document.querySelector('#suite-wrong li')")
        .await;
    browser.click("#suite-wrong button").await;
    browser.until_text("#case-words", attack).await;

    assert_eq!(browser.text("#suite-wrong b").await, attack);
    assert_eq!(browser.texts("main img, main [onerror]").await, [""; 0]);
    assert!(
        !browser
            .run("return document.title")
            .await
            .to_string()
            .contains("run")
    );
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_server_without_a_suite_is_said_to_have_none() {
    let server = Server::start();
    let other = Hosted::start(Limits::default(), |_| async {
        Response::new(Full::<Bytes>::default())
    });
    let browser = Browser::open(&server.url(&format!("/?server={}", other.address()))).await;
    browser.click("#connect").await;
    run_the_suite(&browser).await;
    browser
        .until_text("#suite-words", "There is no suite: ")
        .await;
    assert_eq!(browser.text("#suite-run").await, "Run the suite");
}
