//! The conformance suite in third-party clients, run by the script of the README. The cases that
//! each client fails are in `clients/results.json`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::suite::cases::cases;
use crate::suite::known::{Judged, Row};
use crate::support::browser::Browser;
use crate::support::{Server, npm};

const RUNNER: &str = include_str!("../../../examples/suite.mjs");

/// Shortens a result, because one event is a mebibyte.
const SHORT: &str = "(it) => ({ ...it, heard: JSON.stringify(it.heard).slice(0, 1000) })";

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn chromium_passes_except_the_known_cases() {
    let server = Server::start();
    // A page of the server that opens no stream.
    let browser = Browser::open(&server.url("/cases")).await;
    let (begin, end) = ("async function suite(", "\n}\n");
    let function = RUNNER.split_once(begin).unwrap().1.split_once(end).unwrap();
    let script = format!(
        "{begin}{}{end} suite(EventSource, location.origin).then((results) => {{
            window.results = results.map({SHORT});
        }}).catch((error) => {{ window.results = String(error); }});",
        function.0
    );
    browser.run(&script).await;
    browser.until("window.results").await;
    let results = browser.run("return window.results").await;

    let results: Vec<Judged> = serde_json::from_value(results).unwrap();
    assert!(results.len() >= 140, "{}", results.len());
    Row::of("chromium").assert_holds(&results);
}

#[test]
fn the_runner_of_the_readme_reports_what_npms_eventsource_gets_wrong() {
    let Some(folder) = npm("eventsource") else {
        return;
    };
    let row = Row::of("eventsource");
    let known: BTreeSet<_> = row.scores().into_iter().flatten().collect();
    let server = Server::start();
    let tells = format!("console.log(JSON.stringify(results.map({SHORT})));\nprocess.exit(");
    let mut node = Command::new("node")
        // Node reads the script from stdin, and finds the packages of its working directory.
        .args(["--input-type=module", "-", &server.url("")])
        .args(&known)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let runner = RUNNER.replace("process.exit(", &tells);
    let mut stdin = node.stdin.take().unwrap();
    stdin.write_all(runner.as_bytes()).unwrap();
    drop(stdin);
    let output = node.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();

    let (said, results) = said.trim_end().rsplit_once('\n').expect(&said);
    let results: Vec<Value> = serde_json::from_str(results).unwrap();
    let is_wrong = |it: &&Value| {
        ["events", "ids", "reconnects"]
            .iter()
            .any(|score| it[*score] != true)
    };
    let wrong: BTreeSet<_> = results
        .iter()
        .filter(is_wrong)
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let names: Vec<_> = wrong.iter().copied().collect();
    let begin = format!("right of {} cases: ", cases().len());
    let end = format!("\nwrong: {}", names.join(" "));
    assert!(said.starts_with(&begin) && said.ends_with(&end), "{said}");
    // Waits are judged by another test: a busy machine makes them longer.
    assert_eq!(output.status.success(), wrong == known, "{said}");
    let results: Vec<Judged> = serde_json::from_value(results.into()).unwrap();
    row.assert_holds(&results);
}
