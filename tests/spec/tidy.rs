//! Rules that the source files keep: size, layers and dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::source::{ROOT, code, read, sources};

#[test]
fn interval_sse_and_time_use_nothing_else_of_the_crate() {
    for file in ["interval", "sse", "time"] {
        let text = read(&format!("src/stream/{file}.rs"));
        let other = |line: &&str| line.contains("crate::") || line.contains("super::");
        assert_eq!(code(&text).into_iter().find(other), None, "{file}");
    }
}

#[track_caller]
fn only(allowed: &[&str], words: &[&str]) {
    for (name, text) in sources("src") {
        let code = code(&text);
        let found = code
            .iter()
            .find(|line| words.iter().any(|word| line.contains(word)));
        if let Some(line) = found {
            let floor = name.split('/').next().unwrap();
            assert!(allowed.contains(&floor), "{name}.rs: {line}");
        }
    }
}

#[test]
fn only_testing_and_the_command_touch_sockets() {
    let words = [
        "TcpListener",
        "TcpStream",
        "TcpSocket",
        "UdpSocket",
        "UnixStream",
        "UnixListener",
        "socket2",
        "Sockets",
        "socket::bind",
        "Accept",
    ];
    only(&["testing", "main", "command"], &words);
}

#[test]
fn only_the_command_reads_the_environment() {
    let words = ["std::env", "env::", "from_env", "env = ", "long, env"];
    only(&["main", "command"], &words);
}

#[test]
fn the_screen_has_at_most_60_lines_of_code() {
    let text = read("src/service.rs");
    let lines = code(&text).len();
    assert!((10..=60).contains(&lines), "{lines} lines");
}

#[test]
fn the_examples_of_notifications_have_at_most_120_lines_in_a_file() {
    for file in ["notify.rs", "notify_redis.rs", "notify_redis/history.rs"] {
        let lines = read(&format!("examples/{file}")).lines().count();
        assert!((50..=120).contains(&lines), "{file}: {lines} lines");
    }
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for folder in ["src", "serve/src", "bench/src", "tests"] {
        let files = sources(folder);
        assert!(files.len() > 10, "{folder}: {} files", files.len());
        for (name, text) in files {
            assert!(text.starts_with("//! "), "{folder}: {name}.rs");
        }
    }
}

#[test]
fn the_lock_file_is_committed() {
    let lock = Path::new(ROOT).join("Cargo.lock");
    assert!(lock.is_file());
    let ignored = read(".gitignore");
    assert!(!ignored.contains("Cargo.lock"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(ROOT)
            .args(arguments)
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    // An unpacked archive has no repository to ask.
    if git(&["rev-parse", "HEAD"]) {
        assert!(git(&["ls-files", "--error-unmatch", "Cargo.lock"]));
    }
}

/// Runs a test that needs a missing program, with or without `CI` and with this `SKIP_ALLOWED`.
/// Returns whether the test passed, and what `make test` lists as skipped.
fn without_programs(ci: Option<&str>, allowed: Option<&str>) -> (bool, String) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-programs");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let list = folder.join("skipped.txt");
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", NEEDS_CURL])
        .env("PATH", &folder)
        .env("SKIPPED", &list);
    for (name, value) in [("CI", ci), ("SKIP_ALLOWED", allowed)] {
        match value {
            Some(value) => test.env(name, value),
            None => test.env_remove(name),
        };
    }
    let output = test.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("\nrunning 1 test\n"), "{said}");
    let listed = fs::read_to_string(list).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains(&listed), "{errors}");
    (output.status.success(), listed)
}

const NEEDS_CURL: &str = "node::both_streams::curl_receives_the_same_bytes";

#[test]
fn a_skipped_test_is_listed_and_fails_under_ci_unless_it_is_allowed_by_its_whole_name() {
    let others = "curl events node::both_streams::curl_receives_the_same_byte node::both_streams::one_event_comes";
    let many = format!("node::both_streams::one_event_comes {NEEDS_CURL}");
    for (ci, allowed, passes) in [
        (None, None, true),
        (None, Some(others), true),
        (Some("true"), None, false),
        (Some("true"), Some(""), false),
        (Some("true"), Some(others), false),
        (Some("true"), Some(NEEDS_CURL), true),
        (Some("true"), Some(&many), true),
    ] {
        let listed =
            format!("SKIPPED {NEEDS_CURL}: curl is not installed: make test installs it\n");
        let expected = (passes, listed);
        assert_eq!(
            without_programs(ci, allowed),
            expected,
            "{ci:?} {allowed:?}"
        );
    }
    for file in [".ci/run", "Makefile"] {
        assert!(!read(file).contains("SKIP_ALLOWED"), "{file}");
    }
}

#[test]
fn the_oldest_rust_that_builds_it_is_named() {
    assert!(read("Cargo.toml").contains("\nrust-version = \"1."));
}

#[test]
fn the_server_needs_at_most_80_crates() {
    let crates = crates(&[]);
    assert!((20..=80).contains(&crates.len()), "{}", crates.len());
}

#[test]
fn a_dependent_of_the_library_gets_no_command_line_and_no_log() {
    let is_of_the_command =
        |name: &&String| name.starts_with("clap") || name.starts_with("tracing-subscriber ");
    assert_eq!(crates(&[]).iter().filter(is_of_the_command).count(), 5);
    let library = crates(&["--no-default-features", "--features", "tls"]);
    assert_eq!(library.iter().find(is_of_the_command), None);
}

#[test]
fn the_server_as_a_library_needs_at_most_35_crates() {
    let crates = crates(&["--package", "longhaul"]);
    assert!((10..=35).contains(&crates.len()), "{}", crates.len());
    let others = ["clap", "jiff", "serde", "tracing-subscriber"];
    let is_other = |name: &&String| others.iter().any(|other| name.starts_with(other));
    assert_eq!(crates.iter().find(is_other), None);
}

/// The crates, with their versions, that a build with `features` contains.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(ROOT)
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none"])
        .args(features)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let crates = text.lines().map(|line| line.trim_end_matches(" (*)"));
    crates
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tests_that_cannot_hold_on_a_platform_are_there_and_have_a_reason() {
    let tests = sources("tests/spec");
    for list in ["arm64", "macos", "proc", "windows", "windows-native"] {
        let list = read(&format!("tests/platforms/{list}.txt"));
        let is_entry = |line: &&str| !line.is_empty() && !line.starts_with('#');
        for entry in list.lines().filter(is_entry) {
            let (name, reason) = entry.split_once(' ').unwrap_or((entry, ""));
            let function = format!("fn {}(", name.rsplit("::").next().unwrap());
            assert!(
                tests.iter().any(|(_, text)| text.contains(&function)),
                "{name}"
            );
            assert!(!reason.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_driver_of_a_client_has_at_most_20_lines() {
    let shared = ["suite.mjs", "suite.py", "page.mjs", "webdriver.mjs"];
    let folder = Path::new(ROOT).join("clients/drivers");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() && !shared.contains(&name.as_str()) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 20, "{name} has {lines} lines");
        }
    }
}
