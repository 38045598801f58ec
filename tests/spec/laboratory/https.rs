//! The page over HTTPS.

use crate::browser::Browser;
use crate::support::Server;

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn an_answer_by_http_2_is_told_by_its_status_alone() {
    let server = Server::start_tls();
    let browser = Browser::open(&server.url("/?status=500")).await;
    browser
        .until_text("#state", "the answer was 500, and only 200 is a stream")
        .await;
    browser.until_text("#wire", "← 500, text/").await;
    browser.assert_quiet(&["500"]).await;
}
