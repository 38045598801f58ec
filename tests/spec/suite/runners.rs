//! The runners of the suite, in `examples`: each reports the failures of its client that
//! `clients/results.json` lists. The shell script of `docs/suite.md` plays one case.

use std::collections::BTreeSet;
use std::env::{self, consts::EXE_SUFFIX};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::suite::cases::cases;
use crate::suite::known::{Judged, Row};
use crate::support::browser::Browser;
use crate::support::source::{ROOT, read};
use crate::support::{Server, npm, skipped, there_is};

/// A case that every client passes.
const EASY: &str = "one-event";

/// Node finds the packages of its working directory for a script from stdin.
fn javascript() -> Option<Command> {
    let folder = npm("eventsource")?;
    let script = File::open(Path::new(ROOT).join("examples/suite.mjs")).unwrap();
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-"])
        .current_dir(folder)
        .stdin(script);
    Some(node)
}

#[track_caller]
fn python() -> Option<Command> {
    let mut python = Command::new(Path::new(ROOT).join("target/python/bin/python"));
    let tried = python.args(["-c", "import ld_eventsource"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        skipped("PyPI's launchdarkly-eventsource is not installed: make python");
        return None;
    }
    let mut python = Command::new(python.get_program());
    python.arg(Path::new(ROOT).join("examples/suite.py"));
    Some(python)
}

/// `cargo test` builds the examples beside the tests, unless it is told which targets to build.
#[track_caller]
fn rust() -> Option<Command> {
    let test = env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("suite{EXE_SUFFIX}"));
    if !program.is_file() {
        skipped("the runner in Rust is not built: cargo build --example suite");
        return None;
    }
    Some(Command::new(program))
}

/// What a runner prints: the names of the failed cases. Asserts its form and its exit status.
fn failures(mut runner: Command, server: &Server, known: &BTreeSet<&str>) -> BTreeSet<String> {
    let output = runner.arg(server.url("")).args(known).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let (first, lines) = text.split_once('\n').expect(&errors);
    let failures = lines.lines().map(|line| {
        let (name, why) = line.split_once(' ').expect(line);
        assert!(why.contains('.'), "{line}");
        name.to_owned()
    });
    let failures: BTreeSet<_> = failures.collect();
    let (right, all) = (cases().len() - failures.len(), cases().len());
    assert_eq!(first, format!("right {right} of {all}"), "{text}");
    let is_known = failures.iter().eq(known.iter());
    assert_eq!(
        output.status.code(),
        Some(i32::from(!is_known)),
        "{known:?}: {text}"
    );
    failures
}

/// Asserts that a runner finds the failures of its client, and what its exit status is if they are
/// those named, if one more is named, and if one less is named.
fn assert_finds(client: &str, runner: fn() -> Option<Command>) {
    if runner().is_none() {
        return;
    }
    let row = Row::of(client);
    let known: BTreeSet<_> = row.scores().into_iter().flatten().collect();
    assert!(!known.contains(EASY));
    let server = Server::start();
    let run = |known: &BTreeSet<&str>| failures(runner().unwrap(), &server, known);
    let (mut more, mut less) = (known.clone(), known.clone());
    more.insert(EASY);
    less.pop_first().expect("every client fails a case");
    let found: Vec<_> = thread::scope(|scope| {
        let runs = [&known, &more, &less].map(|known| scope.spawn(move || run(known)));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    // A busy machine makes a client late, each time in other cases. It may then be in time where it
    // comes too early else, but only in a case that judges a wait.
    if found.iter().all(|found| !found.iter().eq(known.iter())) {
        let last = run(&known);
        let in_all = found.iter().fold(last.clone(), |all, one| &all & one);
        let in_any = found.iter().fold(last, |any, one| &any | one);
        for case in cases() {
            let is_found = if known.contains(&*case.name) && case.judges_a_wait() {
                in_any.contains(&case.name)
            } else {
                in_all.contains(&case.name)
            };
            assert_eq!(is_found, known.contains(&*case.name), "{}", case.name);
        }
    }
}

#[test]
fn the_runner_in_javascript_finds_the_failures_of_npms_eventsource() {
    assert_finds("eventsource", javascript);
}

#[test]
fn the_runner_in_python_finds_the_failures_of_launchdarkly_eventsource() {
    assert_finds("launchdarkly-eventsource-py", python);
}

#[test]
fn the_runner_in_rust_finds_the_failures_of_reqwest_eventsource() {
    assert_finds("reqwest-eventsource", rust);
}

#[test]
fn a_runner_has_at_most_40_lines() {
    let lines = |text: &str| text.lines().count();
    assert!(lines(&read("examples/suite.mjs")) <= 40);
    assert!(lines(&read("examples/suite.py")) <= 40);
    assert!(lines(&read("examples/suite.rs")) <= 40);
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn chromium_passes_except_the_known_cases() {
    let server = Server::start();
    // A page of the server that opens no stream.
    let browser = Browser::open(&server.url("/cases")).await;
    let (begin, end) = ("async function suite(", "\n}\n");
    let runner = read("examples/suite.mjs");
    let function = runner.split_once(begin).unwrap().1.split_once(end).unwrap();
    let script = format!(
        "{begin}{}{end} suite(EventSource, location.origin).then((results) => {{
            window.results = results;
        }}).catch((error) => {{ window.results = String(error); }});",
        function.0
    );
    browser.run(&script).await;
    browser.until("window.results").await;
    let results = browser.run("return window.results").await;

    let results: Vec<Judged> = serde_json::from_value(results).unwrap();
    assert_eq!(results.len(), cases().len());
    Row::of("chromium").assert_holds(&results);
}

/// The first block of `docs/suite.md` in `language` that contains `text`.
fn block(language: &str, text: &str) -> String {
    let page = read("docs/suite.md");
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    let mut blocks = blocks.map(|block| block.split("```").next().unwrap());
    let block = blocks.find(|block| block.contains(text)).expect(text);
    block.to_owned()
}

#[test]
fn the_case_in_the_docs_is_one_of_the_suite() {
    let suite: Value = serde_json::from_str(&read("public/cases.json")).unwrap();
    let case: Value = serde_json::from_str(&block("json", "\"listen\"")).unwrap();
    assert!(suite["cases"].as_array().unwrap().contains(&case), "{case}");
}

#[test]
fn the_script_in_the_docs_plays_a_case() {
    if !there_is("bash") || !there_is("curl") {
        return;
    }
    let server = Server::start();
    let script = block("sh", "while ").replace("http://localhost:3000", &server.url(""));
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let result: Value = serde_json::from_str(&text).expect(&text);
    let expected: Value = serde_json::from_str(&block("json", "\"done\"")).unwrap();
    assert_eq!(result, expected);
    assert_eq!(result["why"], json!([]));
}
