//! The memory and processor time that the page costs.

use std::time::Instant;

use bytes::Bytes;
use hyper::Response;
use longhaul::Limits;
use serde_json::json;

use super::{cleared_laboratory, laboratory};
use crate::support::browser::{Browser, Engine};
use crate::support::{Hosted, Server, Serves, body, eventually};

/// The used bytes of the page's heap, including the browser's external strings, and the number of
/// DOM nodes, after a garbage collection.
async fn size(browser: &Browser) -> (f64, f64) {
    browser
        .devtools("HeapProfiler.collectGarbage", json!({}))
        .await;
    let heap = browser.devtools("Runtime.getHeapUsage", json!({})).await;
    let nodes = browser.devtools("Memory.getDOMCounters", json!({})).await;
    (
        heap["usedSize"].as_f64().unwrap() + heap["backingStorageSize"].as_f64().unwrap(),
        nodes["nodes"].as_f64().unwrap(),
    )
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn sixty_thousand_events_leave_the_page_small() {
    let server = Server::start();
    let browser = cleared_laboratory(Engine::Chromium, &server).await;
    let resume = |round: u32| {
        format!(
            "const form = document.querySelector('#request').elements;
         form.ids.checked = true;
         form.lastEventId.value = Date.now() - 1_000_500;
         form.interval.value = 1_000 + {round};
         document.querySelector('#apply').click();"
        )
    };
    let mut after_ten = (0., 0.);
    for round in 1..=60 {
        browser.run(&resume(round % 2)).await;
        browser
            .until(&format!(
                "document.querySelector('#event-count').textContent >= {}",
                round * 999
            ))
            .await;
        let both = 2 * 999 * u64::from(round);
        eventually("the raw request has them too", || {
            server.stats().events >= both
        });
        if round == 10 {
            after_ten = size(&browser).await;
        }
    }

    let (heap, nodes) = size(&browser).await;
    assert!(
        heap < after_ten.0 * 1.5 + 1e6,
        "{heap} bytes after {} bytes",
        after_ten.0
    );
    assert!(
        nodes < after_ten.1 * 1.5 + 500.,
        "{nodes} nodes after {} nodes",
        after_ten.1
    );
    assert!(
        heap < 16e6 && nodes < 10_000.,
        "{heap} bytes, {nodes} nodes"
    );
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_paused_page_keeps_only_the_beginnings_of_large_events() {
    const LARGE: usize = 1 << 19;
    let server = Server::start();
    // All texts differ, because Chromium stores equal strings once.
    let other = Hosted::start(Limits::default(), |request| {
        let count = if request.uri().path() == "/events" {
            100
        } else {
            0
        };
        // In chunks that fit into the small socket buffer.
        let parts = (0..count).flat_map(|number| {
            let text = format!("{number}{}", "x".repeat(LARGE));
            let event = format!("retry: 3600000\nid: {text}\ndata: {text}\n\n");
            let parts: Vec<_> = event
                .as_bytes()
                .chunks(1 << 14)
                .map(Bytes::copy_from_slice)
                .collect();
            parts
        });
        let response = Response::builder()
            .header("Access-Control-Allow-Origin", "*")
            .header("Content-Type", "text/event-stream");
        async { response.body(body(tokio_stream::iter(parts))).unwrap() }
    });
    let named = format!("http://{}", other.address());
    let browser = Browser::open(&server.url(&format!("/?server={named}"))).await;
    browser.click("#pause").await;
    browser.click("#connect").await;
    browser.until_text("#changes", "the connection ended").await;
    let (heap, _) = size(&browser).await;
    assert!(heap < 16e6, "{heap} bytes");

    browser.click("#close").await;
    browser.click("#pause").await;
    browser.until_text("#event-count", "100").await;
    let length = format!("… ({} characters)", LARGE + 1);
    browser.until_text("#events td.data", &length).await;
    browser.until_text("#events td.id", &length).await;
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_page_at_one_event_a_second_is_nearly_idle() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    let share = share_of_a_core(&browser, 6).await;
    assert!(share < 0.05, "{:.1} % of a core", share * 100.);
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_browser_that_reconnects_as_fast_as_possible_keeps_the_page_calm() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/?interval=10&count=1&retry=0")).await;
    browser.until_text("#changes", "reconnected after").await;
    let opened = server.stats().opened;
    let share = share_of_a_core(&browser, 300).await;

    assert!(share < 0.25, "{:.1} % of a core", share * 100.);
    // The view of raw bytes cannot keep up: a stream for each event, and few more for the view.
    let opened = server.stats().opened - opened;
    assert!(
        (300..400).contains(&opened),
        "{opened} streams for 300 events"
    );
    browser.assert_quiet(&[]).await;
}

/// The share of a core that the page's main thread uses during this number of events.
async fn share_of_a_core(browser: &Browser, events: u32) -> f64 {
    let time_domain = json!({ "timeDomain": "threadTicks" });
    browser.devtools("Performance.enable", time_domain).await;
    let count = "document.querySelector('#event-count').textContent";
    browser.until(&format!("{count} > 3")).await;
    let (since, start) = (Instant::now(), metrics(browser).await);
    let first = browser.text("#event-count").await.parse::<u32>().unwrap();
    browser
        .until(&format!("{count} >= {}", first + events))
        .await;
    (metrics(browser).await - start) / since.elapsed().as_secs_f64()
}

/// The processor time in seconds that the page's main thread has used.
async fn metrics(browser: &Browser) -> f64 {
    let metrics = browser.devtools("Performance.getMetrics", json!({})).await;
    let all = metrics["metrics"].as_array().unwrap();
    let value = |name: &str| {
        all.iter().find(|metric| metric["name"] == name).unwrap()["value"]
            .as_f64()
            .unwrap()
    };
    value("TaskDuration")
}
