//! A browser of each test's own, driven through its driver: a headless Chromium, or `WebKit`.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::{ParseError, Url};

use crate::support::free_port;

/// How long a fact on the page may take to come true, with other browsers on the same cores.
const DEADLINE: Duration = Duration::from_secs(60);

/// How soon a fact on the page is asked for again, at first and at most.
const SOON: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(200);

/// How long a browser may take to end.
const QUITS: Duration = Duration::from_secs(10);

/// What Chromium itself reports of the faults that an experiment is about. Anything else that it
/// reports is an error of the page.
pub const CUT: &str = "net::ERR_INCOMPLETE_CHUNKED_ENCODING";
pub const GONE: &str = "net::ERR_CONNECTION_";
pub const REFUSED: &str = "400 (Bad Request)";
pub const NO_STREAM: &str = "that is not \"text/event-stream\"";

/// Whose browser it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Chromium,
    /// Safari's, in the `MiniBrowser` of `WebKitGTK`; it needs a display.
    WebKit,
}

impl Engine {
    fn driver(self) -> &'static str {
        match self {
            Self::Chromium => "chromedriver",
            Self::WebKit => "WebKitWebDriver",
        }
    }

    /// What is asked of the browser: Chromium takes arguments, and any certificate.
    fn capabilities(self, more: &[&str]) -> Value {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // The lists under an address bar that nobody sees: pages, and a third of a start.
            "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup",
            "--window-size=1440,1600",
        ];
        let arguments = [&arguments, more].concat();
        let timeouts = json!({ "script": DEADLINE.as_millis() });
        match self {
            Self::Chromium => json!({
                "acceptInsecureCerts": true,
                "timeouts": timeouts,
                "goog:loggingPrefs": { "browser": "ALL" },
                "goog:chromeOptions": { "args": arguments },
            }),
            Self::WebKit => json!({
                "timeouts": timeouts,
                "webkitgtk:browserOptions": { "binary": mini_browser(), "args": ["--automation"] },
            }),
        }
    }
}

/// Where Debian keeps the browser that `WebKitWebDriver` drives.
fn mini_browser() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("webkit2gtk-4.1/MiniBrowser"))
        .find(|program| program.exists())
        .expect("MiniBrowser is installed (Debian: apt-get install webkit2gtk-driver)")
}

/// The browsers that run at a time: more of them take the processors from each other, and what the
/// page promises to show in time comes late.
const AT_A_TIME: usize = 3;

static PERMITS: Semaphore = Semaphore::const_new(AT_A_TIME);

/// A browser with one window; dropping it ends the browser and its driver.
pub struct Browser {
    _permit: SemaphorePermit<'static>,
    engine: Engine,
    client: Client,
    session: String,
    driver: Child,
    port: u16,
}

impl Browser {
    pub async fn start() -> Self {
        Self::start_as(Engine::Chromium).await
    }

    pub async fn start_as(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// A browser with arguments of the test's own, which Chromium alone takes.
    pub async fn start_with(engine: Engine, arguments: &[&str]) -> Self {
        let permit = PERMITS.acquire().await;
        let permit = permit.expect("the semaphore is never closed");
        let (mut driver, port) = start_driver(engine);
        let Value::Object(capabilities) = engine.capabilities(arguments) else {
            unreachable!("an object was written")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        let client = client
            .inspect_err(|_| drop(driver.kill()))
            .expect("the browser starts");
        let session = client
            .session_id()
            .await
            .unwrap()
            .expect("a session has an id");
        Self {
            _permit: permit,
            engine,
            client,
            session,
            driver,
            port,
        }
    }

    /// A browser that shows the page at `url`.
    pub async fn open(url: &str) -> Self {
        let browser = Self::start().await;
        browser.goto(url).await;
        browser
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
    }

    pub async fn back(&self) {
        self.client.back().await.expect("there is a page before");
    }

    pub async fn new_tab(&self) {
        let tab = self.client.new_window(true).await.expect("a new tab");
        self.client
            .switch_to_window(tab.handle)
            .await
            .expect("the tab is there");
    }

    /// Shows the tab that was opened as the `number`th, from 0, and hides the others.
    pub async fn show_tab(&self, number: usize) {
        let tabs = self.client.windows().await.expect("there are tabs");
        let tab = tabs[number].clone();
        self.client
            .switch_to_window(tab)
            .await
            .expect("the tab is there");
        self.devtools("Page.bringToFront", json!({})).await;
    }

    /// Closes the tab that is shown and shows the first of the others.
    pub async fn close_tab(&self) {
        self.client.close_window().await.expect("the tab closes");
        let tabs = self.client.windows().await.expect("there are tabs");
        self.client
            .switch_to_window(tabs[0].clone())
            .await
            .expect("the tab is there");
    }

    /// Clicks as a person does: what is covered or disabled cannot be clicked.
    pub async fn click(&self, css: &str) {
        let element = self.client.find(Locator::Css(css)).await.expect(css);
        element.click().await.expect(css);
    }

    /// Types into a field, in place of what is there.
    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.client.find(Locator::Css(css)).await.expect(css);
        element.clear().await.expect(css);
        element.send_keys(text).await.expect(css);
    }

    /// Presses a key, for what has the focus.
    pub async fn press(&self, key: &str) {
        let element = self.client.active_element().await.expect("a focus");
        element.send_keys(key).await.expect("the key is pressed");
    }

    /// The result of a function body in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect(script)
    }

    /// The result of a function body that calls its last argument when it is ready.
    pub async fn run_async(&self, script: &str) -> Value {
        self.client
            .execute_async(script, vec![])
            .await
            .expect(script)
    }

    /// The text of the first element that matches.
    pub async fn text(&self, css: &str) -> String {
        let script = format!("return document.querySelector({css:?}).textContent");
        self.run(&script)
            .await
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What is in the first field that matches.
    pub async fn value(&self, css: &str) -> String {
        let script = format!("return document.querySelector({css:?}).value");
        let value = self.run(&script).await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Whether the first element that matches is where one looks.
    pub async fn in_view(&self, css: &str) -> bool {
        let script = format!(
            "const {{ top, bottom }} = document.querySelector({css:?}).getBoundingClientRect();
             return bottom > 0 && top < innerHeight"
        );
        self.run(&script).await == true
    }

    /// Lets the page write to the clipboard and the test read it.
    pub async fn allow_clipboard(&self) {
        let permissions =
            json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        self.devtools("Browser.grantPermissions", permissions).await;
    }

    /// The text that was copied last.
    pub async fn clipboard(&self) -> String {
        let script = "const done = arguments[arguments.length - 1];
            navigator.clipboard.readText().then(done, (error) => done(String(error)))";
        let text = self.run_async(script).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The texts of all elements that match.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let script =
            format!("return [...document.querySelectorAll({css:?})].map((e) => e.textContent)");
        serde_json::from_value(self.run(&script).await).expect("texts")
    }

    /// Waits until an expression is true in the page.
    pub async fn until(&self, expression: &str) {
        let script = format!("return !!({expression})");
        let start = Instant::now();
        while self.run(&script).await != json!(true) {
            if start.elapsed() > DEADLINE {
                let page = self.run("return document.body.innerText").await;
                panic!(
                    "never came true: {expression}\n{}",
                    page.as_str().unwrap_or_default()
                );
            }
            // To ask is work for the browser: the longer it takes, the less often.
            let pause = (start.elapsed() / 8).clamp(SOON, SELDOM);
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until the text of the first element that matches holds `text`.
    pub async fn until_text(&self, css: &str, text: &str) {
        self.until(&format!(
            "document.querySelector({css:?}).textContent.includes({text:?})"
        ))
        .await;
    }

    /// A command of Chromium's debugging protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.vendor(
            "goog/cdp/execute",
            json!({ "cmd": command, "params": parameters }),
        )
        .await
    }

    /// Asserts that the page reported no error and no violation of its policy, but for those that
    /// are `expected`. `WebKit`'s driver keeps what is reported to itself.
    pub async fn assert_quiet(&self, expected: &[&str]) {
        if self.engine == Engine::WebKit {
            return;
        }
        let log = self.vendor("se/log", json!({ "type": "browser" })).await;
        let errors: Vec<String> = log
            .as_array()
            .expect("a log is a list")
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["source"] == "security")
            .map(|entry| entry["message"].to_string().replace("\\\"", "\""))
            .filter(|message| !expected.iter().any(|part| message.contains(part)))
            .collect();
        assert!(errors.is_empty(), "the browser reports {errors:#?}");
    }

    async fn vendor(&self, path: &'static str, body: Value) -> Value {
        self.client
            .issue_cmd(Vendor { path, body })
            .await
            .expect(path)
    }

    /// Ends the session, which ends the browser; the driver answers when that is done.
    fn end_session(&self) -> std::io::Result<()> {
        let mut driver = TcpStream::connect(("127.0.0.1", self.port))?;
        driver.set_read_timeout(Some(QUITS))?;
        write!(
            driver,
            "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            self.session
        )?;
        driver.read(&mut [0; 256]).map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.end_session();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // The browser's last helpers may still write a file.
        let start = Instant::now();
        while fs::remove_dir_all(scratch(self.port)).is_err() && start.elapsed() < QUITS {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where a driver and its browser keep their files.
fn scratch(port: u16) -> PathBuf {
    env::temp_dir().join(format!("sse-clock-browser-{port}"))
}

/// Starts a driver on a port that is free, which another process may take first.
fn start_driver(engine: Engine) -> (Child, u16) {
    for _ in 0..20 {
        let port = free_port();
        fs::create_dir_all(scratch(port)).unwrap();
        let mut driver = Command::new(engine.driver())
            .arg(format!("--port={port}"))
            .env("TMPDIR", scratch(port))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} is installed: {error}", engine.driver()));
        if listens(engine, &mut driver, port) {
            return (driver, port);
        }
        let _ = driver.wait();
        let _ = fs::remove_dir_all(scratch(port));
    }
    panic!("{} finds no port", engine.driver());
}

/// Waits until a driver has its port, or has ended without.
fn listens(engine: Engine, driver: &mut Child, port: u16) -> bool {
    if engine == Engine::Chromium {
        let mut lines = BufReader::new(driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        return lines.any(|line| line.contains("started successfully"));
    }
    // WebKit's says nothing.
    while driver.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
