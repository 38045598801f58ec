//! A browser per test, controlled through `WebDriver`: headless Chromium, or `WebKit`.

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

/// The time limit for a fact on the page to come true, while other browsers use the same cores.
const DEADLINE: Duration = Duration::from_secs(60);

/// The first and the longest pause between two checks of a fact on the page.
const SOON: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(200);

/// The time limit for a browser to exit.
const QUITS: Duration = Duration::from_secs(10);

/// Errors that Chromium reports for the faults that an experiment causes. Any other reported error
/// is a bug of the page.
pub const CUT: &str = "net::ERR_INCOMPLETE_CHUNKED_ENCODING";
pub const GONE: &str = "net::ERR_CONNECTION_";
pub const REFUSED: &str = "400 (Bad Request)";
pub const NO_STREAM: &str = "that is not \"text/event-stream\"";

/// The browser engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Chromium,
    /// Safari's engine, in the `MiniBrowser` of `WebKitGTK`; needs a display.
    WebKit,
}

impl Engine {
    fn driver(self) -> &'static str {
        match self {
            Self::Chromium => "chromedriver",
            Self::WebKit => "WebKitWebDriver",
        }
    }

    /// The `WebDriver` capabilities: Chromium gets arguments and accepts any certificate.
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
            // The suggestion lists of the address bar: pages of their own, a third of the start-up
            // time.
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

/// Where Debian installs the browser that `WebKitWebDriver` controls.
fn mini_browser() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("webkit2gtk-4.1/MiniBrowser"))
        .find(|program| program.exists())
        .expect("MiniBrowser is installed (Debian: apt-get install webkit2gtk-driver)")
}

/// The maximum of browsers at a time. More compete for the processors, and the page misses its time
/// limits.
const AT_A_TIME: usize = 3;

static PERMITS: Semaphore = Semaphore::const_new(AT_A_TIME);

/// A browser with one window; dropping the value ends the browser and its driver.
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

    /// A browser with extra arguments, which only Chromium accepts.
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

    /// Switches to the tab with this `number`, counted from 0 in the order of opening.
    pub async fn show_tab(&self, number: usize) {
        let tabs = self.client.windows().await.expect("there are tabs");
        let tab = tabs[number].clone();
        self.client
            .switch_to_window(tab)
            .await
            .expect("the tab is there");
        self.devtools("Page.bringToFront", json!({})).await;
    }

    /// Closes the current tab and switches to the first of the others.
    pub async fn close_tab(&self) {
        self.client.close_window().await.expect("the tab closes");
        let tabs = self.client.windows().await.expect("there are tabs");
        self.client
            .switch_to_window(tabs[0].clone())
            .await
            .expect("the tab is there");
    }

    /// Clicks as a user does: a covered or disabled element cannot be clicked.
    pub async fn click(&self, css: &str) {
        let start = Instant::now();
        loop {
            let element = self.client.find(Locator::Css(css)).await.expect(css);
            let clicked = element.click().await;
            // A browser on a busy machine may not have laid out what was just opened.
            let is_hidden = format!("{clicked:?}").contains("ElementNotInteractable");
            if !is_hidden || start.elapsed() > DEADLINE {
                return clicked.expect(css);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Replaces the text of a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.client.find(Locator::Css(css)).await.expect(css);
        element.clear().await.expect(css);
        element.send_keys(text).await.expect(css);
    }

    /// Presses a key in the focused element.
    pub async fn press(&self, key: &str) {
        let element = self.client.active_element().await.expect("a focus");
        element.send_keys(key).await.expect("the key is pressed");
    }

    /// Runs a function body in the page and returns the result.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect(script)
    }

    /// Runs an asynchronous function body, which passes its result to its last argument.
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

    /// The value of the first field that matches.
    pub async fn value(&self, css: &str) -> String {
        let script = format!("return document.querySelector({css:?}).value");
        let value = self.run(&script).await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Whether the first element that matches is within the viewport.
    pub async fn in_view(&self, css: &str) -> bool {
        let script = format!(
            "const {{ top, bottom }} = document.querySelector({css:?}).getBoundingClientRect();
             return bottom > 0 && top < innerHeight"
        );
        self.run(&script).await == true
    }

    /// Grants the page and the test access to the clipboard.
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
            // Each check costs the browser time: the longer the wait, the longer the pauses.
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

    /// Asserts that the page reported no error and no policy violation, except those in `expected`.
    /// `WebKit`'s driver does not report any.
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

    /// Ends the session and with the session the browser; the driver responds afterwards.
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
        // The browser's helper processes may still write a file.
        let start = Instant::now();
        while fs::remove_dir_all(scratch(self.port)).is_err() && start.elapsed() < QUITS {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The folder for the files of a driver and its browser.
fn scratch(port: u16) -> PathBuf {
    env::temp_dir().join(format!("sse-clock-browser-{port}"))
}

/// Starts a driver on a free port, which another process may take first.
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

/// Waits until a driver listens on its port, or has exited without listening.
fn listens(engine: Engine, driver: &mut Child, port: u16) -> bool {
    if engine == Engine::Chromium {
        let mut lines = BufReader::new(driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        return lines.any(|line| line.contains("started successfully"));
    }
    // WebKit's driver prints nothing.
    while driver.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// A command that only chromedriver has.
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
