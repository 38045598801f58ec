//! What the sources promise about themselves.

use sse_clock::options::{PARAMETERS, Parameter};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The Rust files under `folder`, by name, with their text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The lines of code of `source`, its unit tests, comments and blanks apart.
fn code(source: &str) -> Vec<&str> {
    let product = source.split("#[cfg(test)]").next().unwrap();
    let lines = product.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect()
}

/// The modules of this crate that `source` names.
fn uses(source: &str) -> BTreeSet<String> {
    let code = code(source).concat();
    let mut modules = BTreeSet::new();
    for root in ["crate::", "super::", "sse_clock::"] {
        for rest in code.split(root).skip(1) {
            let end = |text: &str| {
                text.find(|letter: char| !letter.is_alphanumeric() && letter != '_')
                    .unwrap_or(text.len())
            };
            match rest.strip_prefix('{') {
                Some(list) => {
                    let list = &list[..list.find(';').unwrap()];
                    modules.extend(list.split(',').map(|name| {
                        let name = name.trim();
                        name[..end(name)].to_owned()
                    }));
                }
                None => {
                    modules.insert(rest[..end(rest)].to_owned());
                }
            }
        }
    }
    modules
}

#[test]
fn the_service_and_the_server_never_name_each_other() {
    let used = uses(&read("src/service.rs"));
    assert!(!used.contains("server"), "{used:?}");
    assert!(used.contains("events"), "the test can see: {used:?}");
    let used = uses(&read("src/server.rs"));
    assert!(!used.contains("service"), "{used:?}");
    assert!(used.contains("connection"), "the test can see: {used:?}");
}

#[test]
fn sse_uses_nothing_of_the_crate_and_clock_nothing_but_sse() {
    let used = uses(&read("src/sse.rs"));
    assert!(used.is_empty(), "{used:?}");
    let used = uses(&read("src/clock.rs"));
    assert!(used.is_subset(&["sse".to_owned()].into()), "{used:?}");
}

#[track_caller]
fn only(allowed: &[&str], words: &[&str]) {
    for (name, text) in sources("src") {
        let code = code(&text);
        let found = code
            .iter()
            .find(|line| words.iter().any(|word| line.contains(word)));
        if let Some(line) = found {
            assert!(allowed.contains(&name.as_str()), "{name}.rs: {line}");
        }
    }
}

#[test]
fn only_server_places_socket_testing_and_main_touch_sockets() {
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
    only(&["server", "places", "socket", "testing", "main"], &words);
}

#[test]
fn only_main_settings_and_log_read_the_environment() {
    let words = ["std::env", "env::", "from_env", "env = ", "long, env"];
    only(&["main", "settings", "log"], &words);
}

#[test]
fn the_screen_has_at_most_60_lines_of_code() {
    let text = read("src/service.rs");
    let lines = code(&text).len();
    assert!((10..=60).contains(&lines), "{lines} lines");
}

#[test]
fn the_rust_lines_that_the_readme_sets_beside_node_stand_in_the_sources() {
    let sources = sources("src");
    let readme = read("README.md");
    let table = readme.split("| the Node example | this server |").nth(1);
    let table = table.unwrap().split("\n\n").next().unwrap();
    let mut lines = 0;
    for row in table.lines() {
        let (_, ours) = row.split_once("` | ").unwrap_or_default();
        for line in ours.split('`').skip(1).step_by(2) {
            let line = line.replace("\\|", "|");
            let stands = |(_, text): &(_, String)| text.contains(line.trim());
            assert!(sources.iter().any(stands), "{line}");
            lines += 1;
        }
    }
    assert!(lines >= 10, "{lines} lines");
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut files = 0;
    for folder in ["src", "tests", "benches"] {
        for (name, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{folder}: {name}.rs");
            files += 1;
        }
    }
    assert!(files > 10, "{files}");
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
    // Unpacked from an archive, there is nothing to ask.
    if git(&["rev-parse", "HEAD"]) {
        assert!(git(&["ls-files", "--error-unmatch", "Cargo.lock"]));
    }
}

#[test]
fn the_oldest_rust_that_builds_it_is_named() {
    assert!(read("Cargo.toml").contains("\nrust-version = \"1."));
}

#[test]
fn the_server_needs_at_most_80_crates() {
    let output = Command::new(env!("CARGO"))
        .current_dir(ROOT)
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<_> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    assert!((20..=80).contains(&crates.len()), "{}", crates.len());
}

#[test]
fn the_readme_holds_the_table_of_the_options() {
    let rows = PARAMETERS.iter().map(|parameter| {
        let Parameter {
            name,
            allowed,
            effect,
            ..
        } = parameter;
        format!("| `{name}` | {allowed} | {effect} |\n")
    });
    let head = "| name | allowed | effect |\n|---|---|---|\n";
    let table: String = std::iter::once(head.to_owned()).chain(rows).collect();
    assert!(read("README.md").contains(&table), "it should be:\n{table}");
}
