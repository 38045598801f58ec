//! "Is this browser right?": the conformance suite, run in the browser that shows the page.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Response};
use longhaul::Limits;
use serde_json::{Value, json};

use super::{laboratory, laboratory_in};
use crate::suite::known::Row;
use crate::support::browser::{Browser, Engine};
use crate::support::{Hosted, Server, Serves, eventually};

/// The maximum of streams at once: three cases, the three before them, which the server may not yet
/// know to be closed, and two of the page itself.
const STREAMS: u64 = 8;

/// The time limit for all cases; idle, `WebKit` takes 27 s.
const ALL: Duration = Duration::from_secs(300);

/// Opens the panel of the suite and runs the suite, by script: a click on the summary would close a
/// panel that is open, and a busy browser lays a button out late.
async fn run_the_suite(browser: &Browser) {
    let script = "document.querySelector('#suite').open = true; \
                  document.querySelector('#suite-run').click();";
    browser.run(script).await;
}

in_each_browser! {
    the_suite_says_what_this_browser_gets_wrong
}

async fn the_suite_says_what_this_browser_gets_wrong(engine: Engine) {
    let server = Server::start();
    let browser = laboratory_in(engine, &server).await;
    let suite = include_str!("../../../public/cases.json");
    let suite: Value = serde_json::from_str(suite).unwrap();
    let cases = suite["cases"].as_array().unwrap();
    let all = format!("{0} of {0} cases played", cases.len());
    let done = format!("document.querySelector('#suite-words').textContent.includes({all:?})");
    let known = Row::of(match engine {
        Engine::Chromium => "chromium",
        Engine::WebKit => "webkit",
    });
    let scores = known.scores();
    let is_wrong = |case: &&Value| {
        let name = case["name"].as_str().unwrap();
        scores.iter().any(|missed| missed.contains(name))
    };
    let mut wrong: Vec<_> = cases.iter().filter(is_wrong).collect();
    wrong.sort_by_key(|case| case["section"].as_str());
    let wrong: Vec<_> = wrong
        .iter()
        .filter_map(|case| case["name"].as_str())
        .collect();
    let mut most = 0;
    // A busy machine makes a client late: a list that differs gets a second run.
    let mut found = Vec::new();
    for _ in 0..2 {
        run_the_suite(&browser).await;
        browser.until(&format!("!({done})")).await;
        let start = Instant::now();
        while browser.run(&format!("return {done}")).await != json!(true) {
            assert!(start.elapsed() < ALL, "the suite does not end");
            most = most.max(server.stats().open);
            // Frequent checks would cost the browser time, and its waits are measured.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        found = browser.texts("#suite-sections b").await;
        if found == wrong {
            break;
        }
    }

    assert!(most > 2 && most <= STREAMS, "{most} streams at once");
    assert_eq!(found, wrong);
    let cells = browser.texts("#suite-sections .right, #suite-sections .wrong");
    assert_eq!(cells.await.len(), cases.len());
    let cells = browser.texts("#suite-sections .wrong").await;
    assert_eq!(cells.len(), wrong.len());
    let right = cases.len() - wrong.len();
    assert_eq!(
        browser.text("#suite-words").await,
        format!("{all}, right {right} of {}", cases.len())
    );
    assert_eq!(browser.text("#suite-run").await, "Run the suite");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_wrong_case_shows_why_in_its_section_and_opens_in_the_page() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    run_the_suite(&browser).await;
    // A busy machine makes others wrong as well.
    let button = "#suite-sections section:nth-child(5) [aria-label$=': bom-then-lf']";
    browser
        .until(&format!("document.querySelector({button:?})"))
        .await;
    assert_eq!(
        browser.texts("#suite-sections h3").await,
        [
            "9.2.2 The EventSource interface",
            "9.2.3 Processing model",
            "9.2.4 The Last-Event-ID header",
            "9.2.5 Parsing an event stream",
            "9.2.6 Interpreting an event stream",
        ]
    );
    let why = format!("return document.querySelector({button:?}).previousSibling.textContent");
    assert_eq!(browser.run(&why).await, "Expected 1 event; 0 came.");
    browser.click("#suite-run").await;
    browser.until_text("#suite-run", "Run the suite").await;

    browser.click(button).await;
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
    assert_eq!(browser.texts("#suite-sections b").await, [""; 0]);

    browser.click("#suite-run").await;
    browser.until(&format!("{played} > 0")).await;
    browser.click("#experiment-six").await;
    browser.until_text("#six-words", "one waits").await;
    browser.until_text("#suite-run", "Run the suite").await;
}

/// A server other than the page's own, with a suite of these cases, and a judge that finds each wrong
/// once it is closed. The content of each post goes to `posts`.
fn other_suite(cases: &[Value], why: &str, posts: mpsc::Sender<Value>) -> Hosted {
    let cases = json!({ "version": 2, "cases": cases }).to_string();
    let verdict = |done| {
        let right = if done { json!(false) } else { Value::Null };
        json!({ "done": done, "right": right, "why": if done { vec![why] } else { vec![] } })
            .to_string()
    };
    let [open, closed] = [false, true].map(verdict);
    Hosted::start(Limits::default(), move |request| {
        let (cases, open, closed) = (cases.clone(), open.clone(), closed.clone());
        let posts = posts.clone();
        async move {
            let (head, content) = request.into_parts();
            let content = content.collect().await.unwrap().to_bytes();
            let (media_type, body) = match (head.method, head.uri.path()) {
                (Method::GET, "/cases") => ("application/json", cases),
                (Method::POST, "/cases") => {
                    let post: Value = serde_json::from_slice(&content).unwrap();
                    let is_closed = post["closed"] == true;
                    posts.send(post).unwrap();
                    ("application/json", if is_closed { closed } else { open })
                }
                (Method::GET, "/stream") => ("text/event-stream", stream()),
                _ => ("text/plain", String::new()),
            };
            Response::builder()
                .header("Access-Control-Allow-Origin", "*")
                .header("Content-Type", media_type)
                .body(Full::<Bytes>::from(body))
                .unwrap()
        }
    })
}

/// Data of 4,999 and of 5,000 times `x`, other data of 6,000 bytes, and a last event.
fn stream() -> String {
    let [small, large, other] =
        [("x", 4_999), ("x", 5_000), ("y", 6_000)].map(|(x, n)| x.repeat(n));
    format!("id: 1\ndata: {small}\n\ndata: {large}\n\ndata: {other}\n\nevent: end\ndata: end\n\n")
}

fn case(name: &str, url: &str) -> Value {
    json!({
        "name": name, "section": name, "why": name, "url": url, "listen": ["message", "end"],
        "expect": [{ "event": name, "data": name, "id": name }],
        "later_requests": [{ "last_event_id": name, "after_ms": null, "events": 0 }],
        "redirects": null, "close_after": null, "deadline_ms": 12_000,
    })
}

/// Runs the suite of another server in a page.
async fn run_other(server: &Server, other: &Hosted) -> Browser {
    let browser = Browser::open(&server.url(&format!("/?server={}", other.address()))).await;
    browser.click("#connect").await;
    run_the_suite(&browser).await;
    browser
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_events_of_a_case_are_posted_until_the_server_has_judged_them() {
    let mut closes = case("closes", "/stream?");
    closes["close_after"] = json!(4);
    let (posts, posted) = mpsc::channel();
    let other = other_suite(&[closes], "No.", posts);
    let server = Server::start();
    let browser = run_other(&server, &other).await;
    browser
        .until_text("#suite-words", "1 of 1 cases played, right 0 of 1")
        .await;
    let last = posted.try_iter().last().unwrap();
    assert_eq!(last["name"], "closes");
    assert!(last["key"].as_str().unwrap().starts_with("page-"));
    assert_eq!(last["closed"], true);
    assert_eq!(
        last["events"],
        json!([
            { "event": "message", "data": "x".repeat(4_999), "id": "1" },
            { "event": "message", "data": null, "size": 5_000, "id": "1" },
            { "event": "message", "data": "y".repeat(5_000), "id": "1" },
            { "event": "end", "data": "end", "id": "1" },
        ])
    );
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_large_case_waits_for_the_end_of_the_others() {
    let [mut large, mut small] = ["large", "small"].map(|name| case(name, "/stream?"));
    large["expect"][0]["size"] = json!(65_536);
    large["close_after"] = json!(4);
    // Without an end of its own, until its time is over.
    small["deadline_ms"] = json!(2_000);
    let (posts, posted) = mpsc::channel();
    let other = other_suite(&[large, small], "No.", posts);
    let server = Server::start();
    let browser = run_other(&server, &other).await;
    browser
        .until_text("#suite-words", "2 of 2 cases played")
        .await;
    let posted: Vec<_> = posted.try_iter().map(|post| post["name"].clone()).collect();
    let (before, after) = posted.split_at(4);
    assert_eq!(before, ["small"; 4]);
    assert!(after.iter().all(|name| name == "large"), "{after:?}");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_result_is_copied_as_markdown_by_section() {
    let (posts, _posted) = mpsc::channel();
    let case = case("a*b", "/nothing?");
    let other = other_suite(&[case], "Expected \"<i>\" with `x`\n# or |.", posts);
    let server = Server::start();
    let browser = run_other(&server, &other).await;
    browser.allow_clipboard().await;
    browser.until_text("#suite-words", "right 0 of 1").await;
    browser.click("#suite-copy").await;
    browser.until_text("#suite-copy", "Copied").await;
    let copied = browser.clipboard().await;
    let (head, rest) = copied.split_once("\n\n").unwrap();
    let (engine, rest) = rest.split_once("\n\n").unwrap();
    assert_eq!(
        head,
        "# sse-clock's suite: 1 of 1 cases played, right 0 of 1"
    );
    assert!(engine.starts_with("Mozilla/5.0 ("), "{engine}");
    assert_eq!(
        rest,
        "## a\\*b: right 0 of 1\n\n\
         - **a\\*b**: a\\*b\n  - Expected \"\\<i\\>\" with \\`x\\` \\# or \\|."
    );
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn whatever_a_suite_holds_is_shown_as_text() {
    let attack = "<img src=x onerror=\"document.title='run'\">";
    let (posts, _posted) = mpsc::channel();
    let other = other_suite(&[case(attack, "/events?status=204")], attack, posts);
    let server = Server::start();
    let browser = run_other(&server, &other).await;
    browser
        .until("document.querySelector('#suite-sections button')")
        .await;
    browser.click("#suite-sections button").await;
    browser.until_text("#case-words", attack).await;

    for part in ["h3", "b", "pre"] {
        assert_eq!(
            browser.text(&format!("#suite-sections {part}")).await,
            attack
        );
    }
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
async fn a_server_without_a_suite_of_this_format_is_said_to_have_none() {
    let case = case("one", "/events?");
    let with = |name: &str, value| {
        let mut case = case.clone();
        case[name] = value;
        json!({ "version": 2, "cases": [case] })
    };
    let bad = [
        String::new(),
        "null".into(),
        json!([case]).to_string(),
        json!({ "version": 3, "cases": [case] }).to_string(),
        json!({ "version": 2, "cases": {} }).to_string(),
        with("section", json!(9)).to_string(),
        with("later_requests", json!(false)).to_string(),
        with("later_requests", json!([{}])).to_string(),
        with("close_after", json!("1")).to_string(),
        with("deadline_ms", json!(null)).to_string(),
    ];
    let server = Server::start();
    let browser = Browser::start().await;
    for bad in bad {
        let body = bad.clone();
        let other = Hosted::start(Limits::default(), move |_| {
            let response = Response::builder()
                .header("Access-Control-Allow-Origin", "*")
                .body(Full::<Bytes>::from(body.clone()));
            async { response.unwrap() }
        });
        browser
            .goto(&server.url(&format!("/?server={}", other.address())))
            .await;
        browser.click("#connect").await;
        run_the_suite(&browser).await;
        browser
            .until_text("#suite-words", "There is no suite")
            .await;
        assert_eq!(
            browser.text("#suite-words").await,
            "There is no suite: the response is not that of an sse-clock.",
            "{bad}"
        );
        assert_eq!(browser.text("#suite-run").await, "Run the suite");
    }
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_suite_whose_server_does_not_judge_stops_with_the_reason() {
    let cases = json!({ "version": 2, "cases": [case("one", "/nothing?")] }).to_string();
    let other = Hosted::start(Limits::default(), move |request| {
        let body = if request.method() == Method::GET {
            cases.clone()
        } else {
            String::new()
        };
        let response = Response::builder()
            .header("Access-Control-Allow-Origin", "*")
            .body(Full::<Bytes>::from(body));
        async { response.unwrap() }
    });
    let server = Server::start();
    let browser = run_other(&server, &other).await;
    let words = "0 of 1 cases played, right 0 of 0; \
        then it stopped: the response is not that of an sse-clock";
    browser.until_text("#suite-words", words).await;
    assert_eq!(browser.text("#suite-run").await, "Run the suite");
}
