//! The laboratory in a real browser: every experiment by clicking, its outcome read from the page
//! and from the server's counts.

use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sse_clock::server::Limits;

use crate::browser::{Browser, CUT, GONE, NO_STREAM, REFUSED};
use crate::support::{Binary, Hosted, Server, eventually, free_port};

/// The browser with the laboratory of `server` open and its stream running.
async fn laboratory(server: &Server) -> Browser {
    let browser = Browser::open(&server.url("/")).await;
    browser.until_text("#state", "open").await;
    browser
}

/// The browser with the laboratory at rest and nothing of an earlier stream on it.
async fn cleared_laboratory(server: &Server) -> Browser {
    let browser = laboratory(server).await;
    browser.click("#close").await;
    browser.until_text("#state", "closed").await;
    browser.click("#clear").await;
    browser
}

/// Asserts that the ids of the events on the page are `interval` apart, without gap or double.
async fn assert_no_gap(browser: &Browser, interval: u64) {
    let ids = browser.texts("#events td.id").await;
    let ids: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
    assert!(ids.len() > 3, "{ids:?}");
    assert!(
        ids.windows(2).all(|pair| pair[1] - pair[0] == interval),
        "{ids:?}"
    );
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_dropped_connection_comes_back_and_nothing_is_missing() {
    let server = Server::start();
    let browser = laboratory(&server).await;

    browser.click("#experiment-drop").await;
    browser.until_text("#changes", "the connection ended").await;
    browser.until_text("#changes", "back after").await;
    browser
        .until("document.querySelector('#events .replayed')")
        .await;

    assert_no_gap(&browser, 500).await;
    let last = browser
        .text("#events tr:has(+ .replayed):not(.replayed) td.id")
        .await;
    let wire = browser.text("#wire").await;
    assert!(wire.contains(&format!("Last-Event-ID: {last}")), "{last}");
    assert!(
        browser
            .text("#wire")
            .await
            .contains("the connection was cut")
    );
    assert!(server.stats().closed.finished >= 2);
    browser.assert_quiet(&[CUT]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn after_its_proper_end_a_stream_is_asked_for_again() {
    let server = Server::start();
    let browser = cleared_laboratory(&server).await;

    browser.click("#experiment-end").await;
    browser.until_text("#changes", "the connection ended").await;
    browser.until_text("#changes", "back after").await;
    browser
        .until("document.querySelector('#event-count').textContent > 5")
        .await;

    assert!(
        browser
            .text("#wire")
            .await
            .contains("the answer is complete")
    );
    eventually("both streams have finished", || {
        server.stats().closed.finished == 2
    });
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_client_told_to_stop_does_not_come_back() {
    let server = Server::start();
    let browser = laboratory(&server).await;

    browser.click("#experiment-stop").await;
    browser.until_text("#state", "204 No Content").await;
    assert!(browser.text("#state").await.starts_with("closed"));
    eventually("no stream is open", || server.stats().open == 0);

    // Twice the reconnection time, told by a stream of the test's own. A page that came back would
    // say so, whatever it was answered.
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

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn another_content_type_closes_for_good() {
    let server = Server::start();
    let browser = cleared_laboratory(&server).await;

    browser.click("#experiment-type").await;
    browser.until_text("#state", "text/plain").await;
    browser
        .until("document.querySelectorAll('#wire .data').length > 1")
        .await;

    assert!(browser.text("#state").await.starts_with("closed"));
    assert_eq!(browser.texts("#events tr").await, [""; 0]);
    eventually("the wire alone is open", || server.stats().open == 1);
    browser.click("#close").await;
    eventually("no stream is open", || server.stats().open == 0);
    browser.assert_quiet(&[NO_STREAM]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_named_event_is_heard_by_its_own_listener_only() {
    let server = Server::start();
    let browser = cleared_laboratory(&server).await;

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
    assert!(
        browser
            .text("#wire .event")
            .await
            .starts_with("event: tick")
    );
    assert!(
        browser
            .text("#code-js")
            .await
            .contains("addEventListener(\"tick\"")
    );
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn two_lines_of_data_become_one_text() {
    let server = Server::start();
    let browser = cleared_laboratory(&server).await;

    browser.click("#experiment-lines").await;
    browser.until("document.querySelector('#events td.data') && document.querySelectorAll('#wire .data').length > 1").await;

    // The line end is shown as a mark, and as itself.
    assert_eq!(
        browser.texts("#events td.data").await[0],
        "first line\\n\nsecond line"
    );
    let lines = browser.texts("#wire .data").await;
    assert_eq!(lines[..2], ["data: first line\\n", "data: second line\\n"]);
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn bytes_that_come_one_by_one_make_whole_events() {
    let server = Server::start();
    let browser = cleared_laboratory(&server).await;

    browser.click("#experiment-split").await;
    browser
        .until("document.querySelector('#events td.data') && document.querySelector('#wire .data')")
        .await;

    assert_eq!(browser.texts("#events td.data").await[0], "naïve café, 3 €");
    assert_eq!(
        browser.texts("#wire .data").await[0],
        "data: naïve café, 3 €\\n"
    );
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_seventh_stream_waits_until_one_is_closed() {
    let server = Server::start();
    let browser = laboratory(&server).await;
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

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_page_without_a_server_waits_and_across_a_restart_it_misses_nothing() {
    let port = free_port();
    let start = || {
        let mut command = Binary::command();
        command.args(["--port", &port.to_string()]);
        Binary::spawn(command)
    };
    let page = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/public/index.html");
    let browser = Browser::open(&format!(
        "{page}?server=http://127.0.0.1:{port}&ids&interval=200&retry=500"
    ))
    .await;
    browser.until_text("#stats-words", "does not say").await;
    assert!(browser.text("#state").await.starts_with("connecting"));

    let server = start();
    browser
        .until("document.querySelector('#event-count').textContent > 5")
        .await;
    drop(server);
    browser.until_text("#state", "connecting").await;
    let _server = start();
    browser
        .until("document.querySelector('#events .replayed + tr:not(.replayed) + tr')")
        .await;

    assert_no_gap(&browser, 200).await;
    browser
        .assert_quiet(&[CUT, GONE, "net::ERR_EMPTY_RESPONSE"])
        .await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_server_that_lets_no_page_read_is_asked_until_one_closes() {
    let server = Server::start();
    let other = Hosted::start(Limits::default(), |_| async {
        Response::new(Full::<Bytes>::default())
    });
    let url = server.url(&format!("/?server={}", other.address()));
    let browser = Browser::open(&url).await;
    browser
        .until_text("#state", "no answer that a page may read")
        .await;
    browser.until_text("#changes", "the page tries again").await;

    browser.click("#close").await;
    browser.until_text("#state", "closed you closed it").await;
    browser.assert_quiet(&["CORS", "net::ERR_FAILED"]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_buttons_do_what_they_say() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    eventually("the EventSource and the wire are open", || {
        server.stats().open == 2
    });

    browser.click("#close").await;
    browser.until_text("#state", "closed").await;
    eventually("no stream is open", || server.stats().open == 0);
    browser.until_text("#stats-open", "0").await;

    browser.click("#connect").await;
    browser.until_text("#state", "open").await;
    browser.click("#reconnect").await;
    browser.until_text("#changes", "you asked again").await;
    browser.until_text("#state", "open").await;
    eventually("only the newest two are open", || server.stats().open == 2);

    browser.until("document.querySelector('#events tr')").await;
    browser.click("#pause").await;
    let (clock, sent) = (browser.text("#clock").await, server.stats().events);
    eventually("the stream goes on", || server.stats().events > sent + 3);
    assert_eq!(browser.text("#clock").await, clock);
    browser.click("#pause").await;
    browser
        .until(&format!(
            "document.querySelector('#clock').textContent !== {clock:?}"
        ))
        .await;

    browser.click("#clear").await;
    assert!(browser.texts("#events tr").await.len() < 2);

    let p50 = "document.querySelector('#deviation-p50').textContent";
    browser.until(&format!("{p50} !== '–'")).await;
    browser.click("#pause").await;
    browser.click("#clear").await;
    assert_eq!(browser.text("#deviation-p50").await, "–");
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn settings_are_a_link_and_code() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    browser.click("#settings summary").await;
    browser.fill("[name=interval]", "100").await;
    browser.fill("[name=event]", "tick").await;
    browser.fill("[name=data]", "it's <b>").await;
    browser.click("[name=ids]").await;
    browser.click("#apply").await;
    browser
        .until("document.querySelectorAll('#events td.type').length > 3")
        .await;
    let url = server.url("/events?interval=100&event=tick&ids&data=it's%20%3Cb%3E");
    assert_eq!(browser.text("#url").await, url);

    let link = browser.run("return location.href").await;
    browser.goto(link.as_str().unwrap()).await;
    browser
        .until("document.querySelector('#events td.type')")
        .await;

    assert_eq!(browser.text("#url").await, url);
    assert!(
        browser
            .text("#code-js")
            .await
            .starts_with(&format!("const source = new EventSource(\"{url}\");\n"))
    );
    assert_eq!(
        browser.text("#code-curl").await,
        format!("curl -N '{}'", url.replace('\'', "'\\''"))
    );
    assert_eq!(browser.text("#events td.type").await, "tick");
    assert_eq!(browser.text("#events td.data").await, "it's <b>");
    browser.click("#copy-curl").await;
    browser.until_text("#copy-curl", "ed").await;
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_bad_value_shows_the_server_s_own_words() {
    let server = Server::start();
    let browser = laboratory(&server).await;

    browser.click("#settings summary").await;
    browser.fill("[name=interval]", "5").await;
    browser.click("#apply").await;
    browser
        .until("!document.querySelector('#problem').hidden")
        .await;
    browser.until_text("#state", "400").await;

    let (_, mut answer) = server.get("/events?interval=5");
    let words = String::from_utf8(answer.take(20)).unwrap();
    assert!(browser.text("#problem").await.contains(words.trim_end()));
    assert_eq!(
        browser.texts("label:has([aria-invalid=true])").await.len(),
        1
    );
    assert_eq!(server.stats().open, 0);

    browser.click("#plain").await;
    browser.until_text("#state", "open").await;
    assert_eq!(
        browser
            .run("return document.querySelector('#problem').hidden")
            .await,
        true
    );
    browser.assert_quiet(&[REFUSED]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn whatever_a_stream_carries_is_shown_as_text() {
    let server = Server::start();
    let attack =
        "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>";
    let query = "interval=100&event=%3Cb%3E&data=%3Cimg%20src=x%20onerror=%22document.title='run'%22%3E%3Cscript%3Edocument.title='run'%3C/script%3E";
    let browser = Browser::open(&server.url(&format!("/?{query}"))).await;
    browser
        .until("document.querySelectorAll('#events tr').length > 2")
        .await;

    assert_eq!(browser.text("#events td.data").await, attack);
    assert_eq!(browser.text("#events td.type").await, "<b>");
    assert!(browser.text("#wire").await.contains(attack));
    assert_eq!(
        browser
            .run("return document.querySelectorAll('main img, main script, main td b').length")
            .await,
        0
    );
    assert!(
        !browser
            .run("return document.title")
            .await
            .as_str()
            .unwrap()
            .contains("run")
    );
    browser.assert_quiet(&[]).await;
}

/// The bytes of the page's heap that are in use, and its DOM nodes, after a collection.
async fn size(browser: &Browser) -> (f64, f64) {
    browser
        .devtools("HeapProfiler.collectGarbage", json!({}))
        .await;
    let heap = browser.devtools("Runtime.getHeapUsage", json!({})).await;
    let nodes = browser.devtools("Memory.getDOMCounters", json!({})).await;
    (
        heap["usedSize"].as_f64().unwrap(),
        nodes["nodes"].as_f64().unwrap(),
    )
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn sixty_thousand_events_leave_the_page_small() {
    let server = Server::start();
    let browser = cleared_laboratory(&server).await;
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
        eventually("the wire has them too", || server.stats().events >= both);
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

/// Goes to another page and back, to the page as it was left.
async fn leave_and_return(browser: &Browser, other: &str) {
    browser
        .run("addEventListener('pageshow', () => { document.body.dataset.back = ''; })")
        .await;
    browser.goto(other).await;
    browser.back().await;
    browser.until("'back' in document.body.dataset").await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_page_that_was_left_gives_its_streams_back_and_takes_them_again() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    eventually("the EventSource and the wire are open", || {
        server.stats().open == 2
    });

    browser.goto(&server.url("/stats")).await;
    eventually("no stream is open", || server.stats().open == 0);
    browser.back().await;

    // Kept as it was, not loaded anew.
    browser.until_text("#changes", "brought back").await;
    browser.until_text("#state", "open").await;
    eventually("the EventSource and the wire are open", || {
        server.stats().open == 2
    });
    browser.assert_quiet(&["favicon.ico"]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_page_at_one_event_a_second_is_nearly_idle() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    browser
        .devtools("Performance.enable", json!({ "timeDomain": "threadTicks" }))
        .await;
    browser
        .until("document.querySelector('#event-count').textContent > 3")
        .await;
    let start = metrics(&browser).await;
    let first = browser.text("#event-count").await.parse::<u32>().unwrap();
    browser
        .until(&format!(
            "document.querySelector('#event-count').textContent >= {}",
            first + 6
        ))
        .await;
    let end = metrics(&browser).await;

    let share = (end - start) / 6.;
    assert!(share < 0.05, "{:.1} % of a core", share * 100.);
    browser.assert_quiet(&[]).await;
}

/// The seconds of CPU that the page's main thread has used.
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

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn axe_finds_nothing_to_mend_in_light() {
    axe_finds_nothing_to_mend("light").await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn axe_finds_nothing_to_mend_in_dark() {
    axe_finds_nothing_to_mend("dark").await;
}

/// Looks at the page with a bad value and the form open, with a replay, and with six connections.
async fn axe_finds_nothing_to_mend(scheme: &str) {
    let axe = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/npm/node_modules/axe-core/axe.min.js"
    );
    let axe = fs::read_to_string(axe).expect("axe-core is installed (npm ci in tests/npm)");
    let server = Server::start();
    let browser = laboratory(&server).await;
    let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser
        .devtools("Emulation.setEmulatedMedia", feature)
        .await;
    browser.run(&axe).await;

    browser.click("#settings summary").await;
    browser.fill("[name=interval]", "5").await;
    browser.click("#apply").await;
    browser
        .until("!document.querySelector('#problem').hidden")
        .await;
    assert_accessible(&browser, scheme).await;
    browser.click("#experiment-drop").await;
    browser
        .until("document.querySelector('#events .replayed')")
        .await;
    assert_accessible(&browser, scheme).await;
    browser.click("#experiment-six").await;
    browser.until_text("#six-words", "one waits").await;
    assert_accessible(&browser, scheme).await;
    browser.assert_quiet(&[REFUSED, CUT]).await;
}

async fn assert_accessible(browser: &Browser, scheme: &str) {
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => done(violations.map(
            ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`)))";
    let violations = browser.run_async(script).await;
    assert_eq!(violations, Value::Array(vec![]), "{scheme}");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_page_fits_any_width_from_360_to_1920() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    browser.click("#settings summary").await;
    for width in [360, 800, 1440, 1920] {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser
            .devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        browser.until(&format!("innerWidth === {width}")).await;
        let page = "document.documentElement";
        let spare = format!("return {page}.scrollWidth - {page}.clientWidth");
        assert_eq!(browser.run(&spare).await, 0, "{width}");
    }
    browser.assert_quiet(&[]).await;
}

#[test]
fn the_page_s_policy_allows_its_own_style_and_script_alone() {
    let page = include_str!("../../public/index.html");
    let hash = |begin: &str, end: &str| {
        let inline = page.split_once(begin).unwrap().1.split_once(end).unwrap().0;
        format!(
            "'sha256-{}'",
            BASE64_STANDARD.encode(Sha256::digest(inline))
        )
    };
    let style = hash("<style>", "</style>");
    let script = hash("<script type=\"module\">", "</script>");

    let server = Server::start();
    let (head, _) = server.get("/");
    let policy = format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src *; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    for (name, value) in [
        ("content-security-policy", policy.as_str()),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        let is = |line: &str| {
            line.split_once(": ")
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(name) && b == value)
        };
        assert!(head.lines().any(is), "{name}: {value}\n{head}");
    }
}

#[test]
fn the_laboratory_is_one_small_file_that_loads_nothing() {
    let page = include_str!("../../public/index.html");
    assert!(page.len() < 60 * 1024, "{} bytes", page.len());
    for loads in [
        "src=",
        "@import",
        "url(",
        "import(",
        " style=",
        " onclick=",
        "innerHTML",
        "http-equiv",
    ] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
}
