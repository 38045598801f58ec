//! The panels: what the buttons and the form do, and their error messages.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use longhaul::Limits;

use super::experiments::assert_no_gap;
use super::laboratory;
use crate::support::browser::{Browser, CUT, GONE, REFUSED};
use crate::support::{Binary, Hosted, Server, Serves, eventually, port_of_our_own};

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_page_without_a_server_waits_and_across_a_restart_it_misses_nothing() {
    let port = port_of_our_own();
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
    browser.click("#connect").await;
    browser
        .until_text("#stats-words", "No counts from the server")
        .await;
    browser
        .until("document.querySelector('#state').textContent.startsWith('connecting')")
        .await;

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
async fn a_server_without_cors_is_retried_until_the_user_closes() {
    let server = Server::start();
    let other = Hosted::start(Limits::default(), |_| async {
        Response::new(Full::<Bytes>::default())
    });
    let url = server.url(&format!("/?server={}", other.address()));
    let browser = Browser::open(&url).await;
    browser.click("#connect").await;
    browser
        .until_text("#state", "no response that a page may read")
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
    eventually("the EventSource and the raw request are open", || {
        server.stats().open == 2
    });

    browser.click("#close").await;
    browser.until_text("#state", "closed").await;
    eventually("no stream is open", || server.stats().open == 0);
    browser.until_text("#stats-open", "0").await;

    browser.click("#connect").await;
    browser.until_text("#state", "open").await;
    browser.click("#reconnect").await;
    browser
        .until_text("#changes", "you clicked Reconnect")
        .await;
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
    assert!(browser.text("#raw").await.contains(attack));
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
