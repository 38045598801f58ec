//! Rules that the source files keep: size, layers and documentation.

use sse_clock::options::{GROUPS, Parameter};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The Rust files under `folder`: their relative paths without the extension, and their text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(ROOT).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                let name = name.to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

pub fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The lines of code in `source`, without unit tests, comments and blank lines.
pub fn code(source: &str) -> Vec<&str> {
    let product = source.split("#[cfg(test)]").next().unwrap();
    let lines = product.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect()
}

/// The files of `src` and the files that each uses; declarations and re-exports do not count.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources("src");
    let rooms: BTreeSet<_> = sources.iter().map(|(name, _)| room(name)).collect();
    let uses = sources.iter().map(|(name, text)| {
        let name = room(name);
        let used = paths(text).into_iter().filter_map(|path| {
            let (first, rest) = path.split_once("::")?;
            let path = match first {
                "crate" | "sse_clock" => rest.replace("::", "/"),
                "super" => format!("{}/{}", folder(&name), rest.replace("::", "/")),
                _ => format!("{}/{}", name, path.replace("::", "/")),
            };
            let path = path.trim_start_matches("main/").trim_matches('/');
            // The longest prefix of the path that is a file.
            let mut beginnings = path.match_indices('/').map(|(end, _)| &path[..end]);
            let whole = rooms.contains(path).then_some(path);
            whole
                .or_else(|| beginnings.rfind(|beginning| rooms.contains(*beginning)))
                .filter(|used| *used != name)
                .map(str::to_owned)
        });
        (name.clone(), used.collect())
    });
    uses.collect()
}

/// The module of a file; `mod.rs` is the module of its folder.
fn room(name: &str) -> String {
    name.trim_end_matches("/mod").to_owned()
}

/// The folder of a module; none for a module at the top.
fn folder(room: &str) -> &str {
    room.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The paths that `source` names: paths of private `use` lines, and paths in code that begin with
/// `crate::`, `super::` or the crate's name.
fn paths(source: &str) -> BTreeSet<String> {
    let code = code(source).join(" ");
    let mut found = BTreeSet::new();
    for statement in code.split_inclusive([';', '{', '}']).map(str::trim) {
        let declares = [
            "mod ",
            "pub mod ",
            "pub(crate) mod ",
            "pub use ",
            "pub(crate) use ",
        ];
        if declares.iter().any(|word| statement.starts_with(word)) {
            continue;
        }
        for root in ["crate::", "super::", "sse_clock::"] {
            for (at, _) in statement.match_indices(root) {
                let end = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
                let path = statement[at..].split(end).next().unwrap();
                found.insert(path.trim_end_matches(':').to_owned());
            }
        }
    }
    let mut rest = code.as_str();
    while let Some(at) = rest.find("use ") {
        let before = &rest[..at];
        let starts = before.is_empty() || before.ends_with(' ') || before.ends_with(';');
        let is_public = before.ends_with("pub ") || before.ends_with("pub(crate) ");
        rest = &rest[at + 4..];
        if starts
            && !is_public
            && let Some((tree, _)) = rest.split_once(';')
        {
            expand("", tree, &mut found);
        }
    }
    found
}

/// The paths of a `use` tree.
fn expand(prefix: &str, tree: &str, found: &mut BTreeSet<String>) {
    let mut depth = 0;
    let branches = tree.split(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    });
    for branch in branches.map(str::trim).filter(|branch| !branch.is_empty()) {
        match branch.split_once('{') {
            Some((stem, list)) => {
                let list = list.trim_end().strip_suffix('}').unwrap();
                expand(&format!("{prefix}{stem}"), list, found);
            }
            None => {
                found.insert(format!("{prefix}{branch}").replace("::self", ""));
            }
        }
    }
}

/// The dependencies between the folders, and the files that are layers of their own.
fn floors() -> BTreeMap<String, BTreeSet<String>> {
    let floor = |room: &str| room.split('/').next().unwrap().to_owned();
    let mut floors = BTreeMap::<String, BTreeSet<String>>::new();
    for (room, used) in arrows() {
        let used = used.iter().map(|used| floor(used));
        let other = used.filter(|used| *used != floor(&room));
        floors.entry(floor(&room)).or_default().extend(other);
    }
    floors
}

/// A path from a module back to itself, along dependencies.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let mut open: BTreeMap<_, _> = arrows.clone();
    // A module without dependencies among the remaining ones cannot be part of a cycle.
    while let Some(done) = open
        .iter()
        .find(|(_, used)| used.iter().all(|used| !open.contains_key(used)))
        .map(|(name, _)| name.clone())
    {
        open.remove(&done);
    }
    (!open.is_empty()).then(|| format!("{open:?}"))
}

#[test]
fn arrows_between_the_folders_go_downwards() {
    let allowed: &[(&str, &[&str])] = &[
        ("main", &["command", "server", "service", "stream"]),
        ("command", &["server"]),
        ("testing", &["server", "service", "stats"]),
        ("service", &["response", "scenario", "stats", "stream"]),
        ("stream", &["options", "stats"]),
        ("response", &["options", "scenario", "server"]),
        ("scenario", &["options", "stats"]),
        ("stats", &["options", "server"]),
        ("options", &[]),
        ("server", &[]),
        ("lib", &[]),
    ];
    let floors = floors();
    for (floor, used) in &floors {
        let found: Vec<_> = used.iter().map(String::as_str).collect();
        let allowed = allowed.iter().find(|(name, _)| name == floor);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{floor} has no place in the plan"));
        assert_eq!(found, *allowed, "{floor}");
    }
    assert_eq!(floors.len(), allowed.len(), "{:?}", floors.keys());
    assert_eq!(circle(&floors), None);
}

#[test]
fn arrows_between_the_files_make_no_circle() {
    let arrows = arrows();
    assert!(arrows.values().flatten().count() > 40, "{arrows:?}");
    assert_eq!(circle(&arrows), None);
}

#[test]
fn a_circle_is_seen() {
    let name = str::to_owned;
    let mut arrows: BTreeMap<_, BTreeSet<_>> = [("a", "b"), ("b", "c"), ("c", "d")]
        .map(|(from, to)| (name(from), [name(to)].into()))
        .into();
    assert_eq!(circle(&arrows), None);
    arrows.insert(name("d"), [name("b")].into());
    assert!(circle(&arrows).is_some());
}

#[test]
fn a_path_is_found_anywhere_in_a_file() {
    let source = "//! A room.\nuse crate::a::{b, c::{D, self}};\npub use e::F;\nmod g;\n\
        use h::I;\nfn j() -> super::K { crate::l::m(); }\n";
    let expected = [
        "crate::a::b",
        "crate::a::c",
        "crate::a::c::D",
        "crate::l::m",
        "h::I",
        "super::K",
    ];
    let paths = paths(source);
    for path in expected {
        assert!(paths.contains(path), "{path}: {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.starts_with('e')), "{paths:?}");
}

#[test]
fn interval_sse_and_time_use_nothing_else_of_the_crate() {
    let arrows = arrows();
    for file in [
        "server/connection",
        "stream/interval",
        "stream/sse",
        "stream/time",
    ] {
        assert!(arrows[file].is_empty(), "{file}: {:?}", arrows[file]);
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
fn only_server_testing_and_the_command_touch_sockets() {
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
    only(&["server", "testing", "main", "command"], &words);
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

/// The rows of the table that compares Node's lines with ours, and our lines in each row.
fn twins() -> Vec<(String, Vec<String>)> {
    let readme = read("README.md");
    let table = readme.split("| the Node example | this server |").nth(1);
    let table = table.unwrap().split("\n\n").next().unwrap();
    let rows = table.lines().filter_map(|row| row.split_once("` | "));
    rows.map(|(node, ours)| {
        let lines = ours.split('`').skip(1).step_by(2);
        let lines = lines.map(|line| line.replace("\\|", "|").trim().to_owned());
        (node.to_owned(), lines.collect())
    })
    .collect()
}

#[test]
fn every_step_of_the_node_example_except_listen_is_on_the_screen() {
    let screen = read("src/service.rs");
    let twins = twins();
    assert_eq!(twins.len(), 10);
    for (node, ours) in twins {
        assert!(!ours.is_empty(), "{node}");
        for line in ours {
            let listens = node.contains("listen(");
            let text = if listens {
                &read("src/main.rs")
            } else {
                &screen
            };
            assert!(text.contains(&line), "{node}: {line}");
        }
    }
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

const NEEDS_CURL: &str = "both_streams::curl_receives_the_same_bytes";

#[test]
fn a_skipped_test_is_listed_and_fails_under_ci_unless_it_is_allowed_by_its_whole_name() {
    let others =
        "curl events both_streams::curl_receives_the_same_byte both_streams::one_event_comes";
    let many = format!("both_streams::one_event_comes {NEEDS_CURL}");
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
        |name: &&String| name.starts_with("clap") || *name == "tracing-subscriber";
    assert_eq!(crates(&[]).iter().filter(is_of_the_command).count(), 5);
    let library = crates(&["--no-default-features", "--features", "tls"]);
    assert_eq!(library.iter().find(is_of_the_command), None);
}

/// The names of the crates that a build with `features` contains.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(ROOT)
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none"])
        .args(features)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_readme_holds_the_tables_of_the_options() {
    let readme = read("README.md");
    for (title, parameters) in GROUPS {
        let rows = parameters.iter().map(|parameter| {
            let Parameter {
                name,
                allowed,
                effect,
                ..
            } = parameter;
            format!("| `{name}` | {allowed} | {effect} |\n")
        });
        let head = format!("| {title} | allowed | effect |\n|---|---|---|\n");
        let table: String = std::iter::once(head).chain(rows).collect();
        assert!(readme.contains(&table), "it should be:\n{table}");
    }
}

#[test]
fn the_readme_holds_the_example_in_one_file() {
    let program = format!("```rust\n{}```\n", read("examples/minimal.rs"));
    assert!(read("README.md").contains(&program));
}

#[test]
fn the_readme_holds_the_runner_of_the_suite() {
    let file = read("examples/suite.mjs");
    let function = file.split("\nconst [server").next().unwrap();
    assert!(function.contains("async function suite("), "{function}");
    let runner = format!("```js\n{}\n```\n", function.trim_end());
    assert!(
        read("README.md").contains(&runner),
        "it should be:\n{runner}"
    );
}

#[test]
fn the_readme_has_at_most_300_lines() {
    let lines = read("README.md").lines().count();
    assert!((100..=300).contains(&lines), "{lines}");
}

#[test]
fn the_tests_that_the_readme_names_are_there() {
    let readme = read("README.md");
    let table = readme.split("## Promises").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut named = 0;
    for row in table.lines().skip(4).filter(|row| row.starts_with('|')) {
        let tests = row.rsplit(" | ").next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            let (module, function) = name.split_once("::").unwrap_or((name, ""));
            let files = sources(&format!("tests/spec/{module}"));
            let module = if files.is_empty() {
                read(&format!("tests/spec/{module}.rs"))
            } else {
                files.into_iter().map(|(_, text)| text).collect()
            };
            assert!(
                module.contains(&format!("fn {function}(")) || function.is_empty(),
                "{name}"
            );
            named += 1;
        }
    }
    assert!(named > 15, "{named}");
}
