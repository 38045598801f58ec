//! The laboratory in a real browser.

/// Defines each function as a test in Chromium and as one in `WebKit`.
macro_rules! in_each_browser {
    ($($name:ident)*) => {
        mod chromium {
            use crate::support::browser::Engine;
            $(
                #[tokio::test]
                #[ignore = "needs a browser: make test"]
                async fn $name() {
                    super::$name(Engine::Chromium).await;
                }
            )*
        }

        mod webkit {
            use crate::support::browser::Engine;
            $(
                #[tokio::test]
                #[ignore = "needs WebKit: make browsers"]
                async fn $name() {
                    super::$name(Engine::WebKit).await;
                }
            )*
        }
    };
}

mod controls;
mod cost;
mod experiments;
#[cfg(feature = "tls")]
mod https;
mod keyboard;
mod look;
mod origins;
mod other;
mod own;
mod suite;
mod tabs;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest, Sha256};

use crate::support::browser::{Browser, Engine};
use crate::support::{Server, Serves};

/// The keys of a user without a mouse.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Opens the laboratory of `server` in a browser, with the stream running.
async fn laboratory(server: &Server) -> Browser {
    laboratory_in(Engine::Chromium, server).await
}

async fn laboratory_in(engine: Engine, server: &Server) -> Browser {
    let browser = Browser::start_as(engine).await;
    browser.goto(&server.url("/")).await;
    browser.until_text("#state", "open").await;
    browser
}

/// Opens the laboratory with the stream closed and without any earlier events.
async fn cleared_laboratory(engine: Engine, server: &Server) -> Browser {
    let browser = laboratory_in(engine, server).await;
    browser.click("#close").await;
    browser.until_text("#state", "closed").await;
    browser.click("#clear").await;
    browser
}

/// The focused element: its id, or the panel that scrolls with the keys.
async fn focused(browser: &Browser) -> String {
    let script = "const { id, ariaLabelledByElements, parentElement, dataset } = document.activeElement;
        return id || ariaLabelledByElements?.[0]?.id || parentElement.id || document.activeElement.localName";
    browser.run(script).await.as_str().unwrap().to_owned()
}

/// Navigates to another page and back to the page in its former state.
async fn leave_and_return(browser: &Browser, other: &str) {
    browser
        .run("addEventListener('pageshow', () => { document.body.dataset.back = ''; })")
        .await;
    browser.goto(other).await;
    browser.back().await;
    browser.until("'back' in document.body.dataset").await;
}

#[test]
fn the_page_s_policy_allows_its_own_style_and_script_alone() {
    let page = include_str!("../../../public/index.html");
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
fn the_page_is_one_small_file_that_loads_nothing() {
    let page = include_str!("../../../public/index.html");
    assert!(page.len() < 90_000, "{} bytes", page.len());
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
