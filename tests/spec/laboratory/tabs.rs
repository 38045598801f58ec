//! The connections of a page that nobody looks at, and of many pages at once.

use super::laboratory;
use crate::support::{Server, eventually};

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
