//! The page without a mouse: the focus, the texts that Copy copies, and reduced motion.

use serde_json::json;

use super::{ENTER, TAB, focused, laboratory};
use crate::support::browser::Browser;
use crate::support::{Server, eventually};

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_tab_key_goes_from_the_clock_to_the_code_and_leaves_nothing_out() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    let mut order = Vec::new();
    browser
        .run("document.querySelector('#connect').focus()")
        .await;
    while order.last().is_none_or(|last| last != "a") && order.len() < 40 {
        order.push(focused(&browser).await);
        browser.press(TAB).await;
    }
    let expected = [
        "connect close reconnect pause clear changes-title copy-link settings own suite plain",
        "experiment-drop experiment-end experiment-stop experiment-type experiment-named",
        "experiment-lines experiment-split experiment-six raw-title events-title copy-js copy-curl a",
    ];
    assert_eq!(order.join(" "), expected.join(" "));

    // The next element in the focus order is inside what a heading opens.
    for heading in ["#own summary", "#suite summary"] {
        browser
            .run(&format!("document.querySelector({heading:?}).focus()"))
            .await;
        browser.press(ENTER).await;
    }
    browser
        .run("document.querySelector('#own summary').focus()")
        .await;
    let mut order = Vec::new();
    while order.last().is_none_or(|last| last != "plain") && order.len() < 20 {
        browser.press(TAB).await;
        let name = browser
            .run("return document.activeElement.name || ''")
            .await;
        let name = name.as_str().unwrap().to_owned();
        order.push(if name.is_empty() {
            focused(&browser).await
        } else {
            name
        });
    }
    assert_eq!(
        order.join(" "),
        "wire case play suite suite-run suite-copy plain"
    );
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_button_that_is_pressed_keeps_the_focus() {
    let server = Server::start();
    let browser = laboratory(&server).await;
    for (button, state) in [("close", "closed"), ("connect", "open")] {
        browser
            .run(&format!("document.querySelector('#{button}').focus()"))
            .await;
        browser.press(ENTER).await;
        browser.until_text("#state", state).await;
        browser
            .until(&format!(
                "document.querySelector('#{button}').ariaDisabled === 'true'"
            ))
            .await;
        assert_eq!(focused(&browser).await, button);
    }
    // A disabled button does nothing.
    let changes = browser.texts("#changes li").await;
    browser.press(ENTER).await;
    browser
        .until("document.querySelector('#event-count').textContent > 1")
        .await;
    assert_eq!(browser.texts("#changes li").await, changes);

    browser
        .run("document.querySelector('#experiment-six').focus()")
        .await;
    browser.press(ENTER).await;
    browser.until_text("#six-words", "one waits").await;
    browser
        .run("document.querySelector('#six-streams li:nth-child(2) button').focus()")
        .await;
    browser.press(ENTER).await;
    browser
        .until("document.querySelector('#six-streams li:nth-child(2)').dataset.readyState === '2'")
        .await;
    let label = browser.run("return document.activeElement.ariaLabel").await;
    assert_eq!(label, "Close stream 2");

    browser
        .run("document.querySelector('#six-end').focus()")
        .await;
    browser.press(ENTER).await;
    browser.until_text("#state", "open").await;
    assert_eq!(focused(&browser).await, "experiment-six");
    eventually("the page's own two are open", || server.stats().open == 2);
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn each_copy_button_copies_its_own_text() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/?data=it's%20%5B1%5D&event=tick&redirect=307")).await;
    browser.until("document.querySelector('#events tr')").await;
    browser.allow_clipboard().await;
    let url = server.url("/events?event=tick&data=it's%20%5B1%5D&redirect=307");
    let expected = [
        (
            "#copy-link",
            server.url("/?event=tick&data=it%27s%20%5B1%5D&redirect=307"),
        ),
        (
            "#copy-js",
            format!(
                "const source = new EventSource(\"{url}\");\nsource.addEventListener(\"tick\", ({{ data, lastEventId }}) => console.log(data, lastEventId));"
            ),
        ),
        (
            "#copy-curl",
            format!("curl -NL '{}'", url.replace('\'', "'\\''")),
        ),
    ];
    for (button, text) in &expected {
        browser.click(button).await;
        browser.until_text(button, "Copied").await;
        assert_eq!(browser.clipboard().await, *text);
    }

    // A page may not write to the clipboard over plain HTTP from another machine.
    browser
        .run("navigator.clipboard.writeText = () => Promise.reject(new Error())")
        .await;
    for (button, text) in &expected {
        browser
            .until(&format!(
                "!document.querySelector({button:?}).textContent.includes('Copied')"
            ))
            .await;
        browser.click(button).await;
        browser.until_text(button, "Copied").await;
        assert_eq!(browser.clipboard().await, *text);
        assert_eq!(format!("#{}", focused(&browser).await), *button);
    }
    browser.assert_quiet(&[]).await;
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn with_reduced_motion_the_text_changes_twice_a_second_and_the_timeline_once() {
    let server = Server::start();
    let browser = Browser::open(&server.url("/?interval=10")).await;
    let feature = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser
        .devtools("Emulation.setEmulatedMedia", feature)
        .await;
    browser
        .until("document.querySelector('#event-count').textContent > 50")
        .await;
    browser.run("window.texts = window.pictures = 0;
        new MutationObserver(() => { texts += 1; }).observe(document.querySelector('#events'), { childList: true });
        const { clearRect } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.clearRect = function (...where) { pictures += 1; clearRect.apply(this, where); };
        window.since = performance.now()").await;
    browser
        .until("document.querySelector('#event-count').textContent > 450")
        .await;
    let seen = browser
        .run("const s = (performance.now() - since) / 1000; return [texts / s, pictures / s]")
        .await;

    let (texts, pictures) = (seen[0].as_f64().unwrap(), seen[1].as_f64().unwrap());
    assert!(
        texts > 0. && texts < 2.8,
        "{texts} changes of the text a second"
    );
    assert!(
        pictures > 0. && pictures < 1.4,
        "{pictures} pictures a second"
    );
    browser.assert_quiet(&[]).await;
}
