//! The look and the accessibility of the page: any width, light and dark.

use std::fs;

use serde_json::{Value, json};

use super::laboratory;
use crate::support::Server;
use crate::support::browser::Browser;

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

/// Checks the page in several states: a bad value with the form open, a replay, six connections,
/// the running suite, and one of its cases.
async fn axe_finds_nothing_to_mend(scheme: &str) {
    let server = Server::start();
    let browser = laboratory_with_axe(&server, scheme).await;

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
    browser.click("#own summary").await;
    browser.click("#suite summary").await;
    browser.click("#suite-run").await;
    browser
        .until("document.querySelectorAll('#suite-sections .right').length > 2")
        .await;
    browser
        .until("document.querySelector('#suite-sections button')")
        .await;
    assert_accessible(&browser, scheme).await;
    browser.click("#suite-run").await;
    browser.click("#suite-sections button").await;
    browser.until_text("#case-words", "Expected").await;
    assert_accessible(&browser, scheme).await;
}

/// Opens the laboratory in a colour scheme, with axe loaded to check accessibility.
pub(super) async fn laboratory_with_axe(server: &Server, scheme: &str) -> Browser {
    let browser = laboratory(server).await;
    bring_axe(&browser, scheme).await;
    browser
}

/// Shows the page in a colour scheme, and loads axe.
pub(super) async fn bring_axe(browser: &Browser, scheme: &str) {
    let axe = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/npm/node_modules/axe-core/axe.min.js"
    );
    let axe = fs::read_to_string(axe).expect("axe-core is installed (npm ci in tests/npm)");
    let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser
        .devtools("Emulation.setEmulatedMedia", feature)
        .await;
    browser.run(&axe).await;
}

pub(super) async fn assert_accessible(browser: &Browser, scheme: &str) {
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
    for room in ["#settings", "#own", "#suite"] {
        browser.click(&format!("{room} summary")).await;
    }
    browser.click("#suite-run").await;
    browser
        .until("document.querySelector('#suite-sections button')")
        .await;
    assert_fits_any_width(&browser).await;
}

pub(super) async fn assert_fits_any_width(browser: &Browser) {
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
}
