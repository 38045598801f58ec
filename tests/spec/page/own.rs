//! "Write your own stream": the typed text is the body, shown as raw bytes and as events.

use super::laboratory;
use crate::support::Server;
use crate::support::browser::{Browser, REFUSED};

/// Opens the browser with the panel for the client's own stream.
async fn desk(server: &Server) -> Browser {
    let browser = laboratory(server).await;
    browser.click("#own summary").await;
    browser
        .until("document.querySelectorAll('#case option').length > 100")
        .await;
    browser
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn typed_bytes_are_streamed_and_shown_raw_and_as_events() {
    let server = Server::start();
    let browser = desk(&server).await;
    browser
        .fill(
            "[name=wire]",
            "id: 1\ndata: a + b & \\xFF\n\nevent: tick\ndata: C:\\\\ \u{e9}\\r\\ndata\n\n: over\n",
        )
        .await;
    // The stream restarts with every change: the last byte restarts the stream.
    browser.until_text("#url", ":+over%0A").await;
    browser
        .until("document.querySelectorAll('#events tr').length === 2")
        .await;
    browser.until_text("#raw", ": over").await;

    assert_eq!(browser.texts("#events td.type").await, ["message", "tick"]);
    assert_eq!(
        browser.texts("#events td.data").await,
        ["a + b & \u{fffd}", "C:\\ \u{e9}\\n\n"]
    );
    assert_eq!(browser.texts("#events td.id").await, ["1", "1"]);
    assert!(
        browser
            .texts("#raw .data")
            .await
            .contains(&"data: C:\\ \u{e9}\\r\\n".to_owned())
    );
    // The stream is stalled, so that the client does not reconnect.
    assert!(
        browser
            .text("#url")
            .await
            .contains("/events?interval=0&end=stall&wire=id:+1%0A")
    );

    // A link to the page contains the same bytes.
    let (url, text) = (
        browser.text("#url").await,
        browser.value("[name=wire]").await,
    );
    let link = browser.run("return location.href").await;
    browser.goto(link.as_str().unwrap()).await;
    browser
        .until("document.querySelectorAll('#events tr').length === 2")
        .await;
    assert_eq!(browser.text("#url").await, url);
    assert_eq!(
        browser.value("[name=wire]").await,
        text.replace("\\r\\n", "\\r\n")
    );

    browser.fill("[name=wire]", "data: other\n\n").await;
    browser
        .until("document.querySelectorAll('#events tr').length === 1")
        .await;
    assert_eq!(browser.texts("#events td.data").await, ["other"]);
    browser.click("#play").await;
    browser.until_text("#changes", "you wrote it").await;
    browser
        .until("document.querySelectorAll('#events tr').length === 1")
        .await;
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_text_that_is_too_long_is_marked_with_the_server_s_words() {
    let server = Server::start();
    let browser = desk(&server).await;
    let long = "document.querySelector('[name=wire]').value = 'x'.repeat(4097)";
    browser.run(long).await;
    browser.click("#play").await;
    browser.until_text("#problem", "wire").await;
    browser
        .until("document.querySelector('[name=wire][aria-invalid]')")
        .await;
    browser.fill("[name=wire]", "data: short\n\n").await;
    browser
        .until("document.querySelector('#problem').hidden && document.querySelector('#events tr')")
        .await;
    assert_eq!(browser.texts("[aria-invalid]").await, [""; 0]);
    browser.assert_quiet(&[REFUSED]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn every_case_can_be_loaded_and_keeps_its_bytes() {
    let server = Server::start();
    let browser = desk(&server).await;
    let script = "const done = arguments[arguments.length - 1];
        const bytes = (query) => (/(?:^|[?&])wire=([^&]*)/.exec(query)?.[1] ?? '').replaceAll('+', ' ')
            .replace(/%(..)/g, (_, byte) => String.fromCharCode(parseInt(byte, 16)));
        const others = (query) => [...new URLSearchParams(query)].filter(([name]) => !['wire', 'key'].includes(name)).sort().join();
        (async () => {
            const { cases } = await (await fetch('/cases')).json();
            const picker = document.querySelector('#case');
            const wrong = [];
            const words = document.querySelector('#case-words');
            for (const { name, url } of cases) {
                words.textContent = '';
                picker.value = name;
                picker.dispatchEvent(new Event('change'));
                while (words.textContent === '') await new Promise((go) => setTimeout(go));
                const shown = document.querySelector('#url').textContent;
                if (bytes(shown) !== bytes(url) || others(shown.split('?')[1]) !== others(url.split('?')[1])) wrong.push(name);
            }
            return wrong;
        })().then(done, (error) => done(String(error)))";
    let wrong = browser.run_async(script).await;
    assert_eq!(wrong, serde_json::json!([]));
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_case_shows_what_is_expected_and_typing_makes_it_custom() {
    let server = Server::start();
    let browser = desk(&server).await;
    let choose = "const picker = document.querySelector('#case');
        picker.value = 'retry';
        picker.dispatchEvent(new Event('change'));";
    browser.run(choose).await;
    browser
        .until_text("#case-words", "a reconnect with no id after 300 ms")
        .await;
    browser.until_text("#state", "204 No Content").await;
    // The raw bytes are read with a separate key, so that both requests get the stream.
    browser.until_text("#raw", "data:x").await;
    browser.until_text("#stats-key", "1 opened").await;

    browser.fill("[name=wire]", "data: mine\n\n").await;
    browser.until_text("#events", "mine").await;
    assert!(
        browser
            .run("return document.querySelector('#case-words').hidden")
            .await
            == true
    );
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_form_knows_every_option() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    let names = browser
        .run("return [...document.querySelector('#request').elements].map((field) => field.name)")
        .await;
    for parameter in sse_clock::options::parameters() {
        let name = parameter.name;
        assert!(
            names.as_array().unwrap().iter().any(|field| field == name),
            "{name}"
        );
    }
}
