//! The suite in clients that are not ours, played by the runner that README shows.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;

use serde_json::Value;

use crate::browser::Browser;
use crate::support::{Server, npm};

/// What npm's eventsource 5.1.5 gets wrong: it drops two byte order marks.
const NODE_KNOWN: &[&str] = &["bom-twice"];

/// What Chromium gets wrong, with the scores that it misses by that.
const CHROMIUM_KNOWN: &[(&str, &[&str])] = &[
    // The first event is lost.
    ("bom-then-lf", &["events", "ids"]),
    // The connection ends for good.
    (
        "content-type-with-charset-of-windows-1252",
        &["events", "ids", "reconnects"],
    ),
];

const RUNNER: &str = include_str!("../../examples/suite.mjs");

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn chromium_is_right_but_for_what_is_known() {
    let server = Server::start();
    // A page of the server's that holds no stream.
    let browser = Browser::open(&server.url("/cases")).await;
    let (begin, end) = ("async function suite(", "\n}\n");
    let function = RUNNER.split_once(begin).unwrap().1.split_once(end).unwrap();
    // What was heard is told in short, for one event has 16 MiB.
    let script = format!(
        "{begin}{}{end} suite(EventSource, location.origin).then((results) => {{
            const short = (it) => ({{ ...it, heard: JSON.stringify(it.heard).slice(0, 1000) }});
            window.results = results.map(short);
        }}).catch((error) => {{ window.results = String(error); }});",
        function.0
    );
    browser.run(&script).await;
    browser.until("window.results").await;
    let results = browser.run("return window.results").await;

    let results = results.as_array().unwrap_or_else(|| panic!("{results}"));
    assert!(results.len() >= 140, "{}", results.len());
    let scores = ["events", "ids", "reconnects"];
    let mut known: BTreeMap<_, _> = CHROMIUM_KNOWN.iter().copied().collect();
    let mut news = Vec::new();
    for result in results {
        let missed = scores.into_iter().filter(|score| result[*score] != true);
        let missed: Vec<_> = missed.collect();
        let name = result["name"].as_str().unwrap();
        if missed != known.remove(name).unwrap_or_default() {
            news.push(format!("{name} misses {missed:?}: {result}"));
        }
    }
    news.extend(known.into_keys().map(|name| format!("{name} is no case")));
    assert!(news.is_empty(), "{}", news.join("\n"));
}

#[test]
fn the_runner_of_the_readme_tells_what_npms_eventsource_gets_wrong() {
    let Some(folder) = npm("eventsource") else {
        return;
    };
    let server = Server::start();
    // Read from a pipe, it finds the packages of the folder that it runs in.
    let runner = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/suite.mjs");
    let output = Command::new("node")
        .args(["--input-type=module", "-", &server.url("")])
        .args(NODE_KNOWN)
        .current_dir(folder)
        .stdin(File::open(runner).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let cases = serde_json::from_str::<Value>(include_str!("../../public/cases.json"));
    let cases = cases.unwrap().as_array().unwrap().len();
    let begin = format!("right of {cases} cases: ");
    let end = format!("\nwrong: {}\n", NODE_KNOWN.join(" "));
    assert!(said.starts_with(&begin) && said.ends_with(&end), "{said}");
}
