//! The documents: their facts are those of the code, and their commands print what they show.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use sse_clock::options::{GROUPS, Parameter, parameters};

use crate::support::source::{ROOT, read, sources};
use crate::support::{Server, Serves, there_is};

/// All documents, and their text.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{folder}{name}");
            if entry.path().extension().is_some_and(|it| it == "md") {
                let text = read(&path);
                found.push((path, text));
            } else if entry.path().is_dir()
                && !name.starts_with('.')
                && !IN_NO_COMMIT.contains(&&*name)
            {
                folders.push(path + "/");
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

/// Folders with files of other people and of builds.
const IN_NO_COMMIT: [&str; 2] = ["node_modules", "target"];

/// A fenced block of a document.
#[derive(Debug)]
struct Block<'a> {
    language: &'a str,
    text: String,
    /// The number of the line after the block.
    end: usize,
    /// The number of its first line.
    begin: usize,
}

/// The fenced blocks of a document, and its other lines.
fn blocks(document: &str) -> (Vec<Block<'_>>, Vec<&str>) {
    let (mut blocks, mut prose) = (Vec::<Block<'_>>::new(), Vec::new());
    let mut is_open = false;
    for (number, line) in document.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => {
                blocks.last_mut().unwrap().end = number + 1;
                is_open = false;
            }
            Some(language) => {
                let (text, begin) = (String::new(), number + 1);
                blocks.push(Block {
                    language,
                    text,
                    end: begin,
                    begin,
                });
                is_open = true;
            }
            None if is_open => blocks.last_mut().unwrap().text.extend([line, "\n"]),
            None => prose.push(line),
        }
    }
    (blocks, prose)
}

#[test]
fn the_readme_has_at_most_2200_words_and_no_line_of_prose_has_over_200_characters() {
    let words = read("README.md").split_whitespace().count();
    assert!(
        (1000..=2200).contains(&words),
        "README.md has {words} words"
    );
    for (file, text) in documents() {
        if file == "bench/numbers.md" {
            continue; // written by `make bench`
        }
        for line in blocks(&text).1 {
            let length = line.chars().count();
            assert!(
                line.starts_with('|') || length <= 200,
                "{file}, {length}: {line}"
            );
        }
    }
}

/// The fragments that lead to a heading or an anchor of a document, as GitHub makes them.
fn fragments(text: &str) -> BTreeSet<String> {
    let (_, prose) = blocks(text);
    let headings = prose.iter().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| {
        let title = line
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .replace(' ', "-");
        title.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")
    });
    let anchors = text
        .split("<a id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned());
    headings.chain(anchors).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_of_it() {
    let mut links = 0;
    for (file, text) in documents() {
        let folder = Path::new(&file).parent().unwrap();
        for line in blocks(&text).1 {
            for link in line.split("](").skip(1) {
                let link = link.split(')').next().unwrap();
                if link.starts_with("https://") {
                    continue;
                }
                let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
                let path = if path.is_empty() {
                    file.clone()
                } else {
                    folder.join(path).to_str().unwrap().to_owned()
                };
                let is_there = Path::new(ROOT).join(&path).exists();
                assert!(is_there, "{file}: {link}");
                let is_heading = fragment.is_empty() || fragments(&read(&path)).contains(fragment);
                assert!(is_heading, "{file}: {link}");
                links += 1;
            }
        }
    }
    assert!(links > 50, "{links}");
}

#[test]
fn the_options_are_those_of_the_table_in_the_code() {
    let document = read("docs/options.md");
    for (title, parameters) in GROUPS {
        let row = |it: &Parameter| format!("| `{}` | {} | {} |\n", it.name, it.allowed, it.effect);
        let rows: String = parameters.iter().map(row).collect();
        let table = format!("| {title} | allowed | effect |\n|---|---|---|\n{rows}\n");
        assert!(document.contains(&table), "it should be:\n{table}");
    }
    let row = |it: &Parameter| format!("`{}` | {}\n", it.name, it.effect);
    let rows: String = parameters().map(row).collect();
    let table = format!("option | effect\n---|---\n{rows}\n");
    assert!(read("README.md").contains(&table), "it should be:\n{table}");
}

/// Asserts that the block of `document` that contains `text` consists of lines of `program` in
/// their order. A line may end in `// …`, where lines are left out.
#[track_caller]
fn assert_extract(document: &str, text: &str, program: &str) {
    let document = read(document);
    let (blocks, _) = blocks(&document);
    let block = blocks.into_iter().find(|block| block.text.contains(text));
    let block = block.expect(text).text;
    let mut rest = program.lines();
    let mut is_next = false;
    for line in block.lines() {
        let (line, leaves_out) = match line.strip_suffix(" // …") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let found = if is_next {
            rest.next() == Some(line)
        } else {
            rest.any(|other| other == line)
        };
        assert!(found, "{line}");
        is_next = !leaves_out;
    }
}

#[test]
fn the_lines_of_programs_in_the_readme_are_theirs() {
    let learn = read("docs/learn.md");
    let (blocks, _) = blocks(&learn);
    let node = blocks.iter().find(|block| block.language == "js").unwrap();
    assert_extract("README.md", "createServer", &node.text);
    assert_extract(
        "README.md",
        "async fn respond",
        &read("examples/minimal.rs"),
    );
    assert_extract("README.md", "fn events", &read("examples/notify.rs"));
}

#[test]
fn docs_learn_holds_the_example_in_one_file() {
    let program = format!("```rust\n{}```\n", read("examples/minimal.rs"));
    assert!(read("docs/learn.md").contains(&program));
}

/// The rows of the table that compares Node's lines with ours, and our lines in each row.
fn twins() -> Vec<(String, Vec<String>)> {
    let learn = read("docs/learn.md");
    let table = learn.split("| the Node example | this server |").nth(1);
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
    // Two lines of a comment are one sentence.
    let screen = screen.clone() + &screen.replace("\n/// ", " ");
    let twins = twins();
    assert_eq!(twins.len(), 10);
    for (node, ours) in twins {
        assert!(!ours.is_empty(), "{node}");
        let text = if node.contains("listen(") {
            &read("src/main.rs")
        } else {
            &screen
        };
        for line in ours {
            assert!(text.contains(&line), "{node}: {line}");
        }
    }
}

#[test]
fn the_readme_of_longhaul_holds_the_heart_of_the_program_in_its_guide() {
    let readme = read("serve/README.md");
    assert!(readme.lines().count() <= 30);
    let program = readme.split("```rust\n").nth(1).unwrap();
    let program = program.split("```").next().unwrap().trim_end();
    let program = format!("//!     {}\n", program.replace('\n', "\n//!     "));
    assert!(read("serve/src/lib.rs").contains(&program), "{program}");
}

#[test]
fn the_readme_has_the_best_eight_of_the_scoreboard() {
    let scores = read("clients/README.md").replace("](#", "](clients/README.md#");
    let header = "| client | release | right | events | ids | reconnects |\n";
    let (_, rows) = scores.split_once(header).unwrap();
    let rows: Vec<_> = rows.lines().take(9).collect();
    let table = format!("{header}{}\n\n", rows.join("\n"));
    assert!(read("README.md").contains(&table), "it should be:\n{table}");
}

#[test]
fn the_readme_has_figures_of_the_benchmark() {
    let readme = read("README.md");
    let section = readme.split("\n## Numbers\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 10, "{rows:?}");
    let numbers = read("bench/numbers.md");
    let mut lines = numbers.lines();
    for row in rows {
        assert!(lines.any(|line| line == row), "{row}");
    }
}

/// Returns the cell of a server in the table that a point of the benchmark has printed.
fn figure(point: &str, server: &str, column: &str) -> String {
    let numbers = read("bench/numbers.md");
    let (_, table) = numbers
        .split_once(&format!("`make bench POINTS={point}`"))
        .unwrap();
    let mut rows = table.lines().filter(|line| line.starts_with('|'));
    let cells = |row: &str| row.split(" | ").map(str::to_owned).collect::<Vec<_>>();
    let column = cells(rows.next().unwrap())
        .iter()
        .position(|it| it == column);
    let row = rows.find(|row| row.starts_with(&format!("| {server} |")));
    cells(row.unwrap())[column.unwrap()].clone()
}

#[test]
fn the_size_of_a_machine_has_figures_of_the_benchmark() {
    let both = |point, column, unit| {
        let of = |server| figure(point, server, column);
        let (plain, jemalloc) = (of("sse-clock"), of("sse-clock, jemalloc"));
        format!(
            "| {plain} {unit}, with jemalloc {jemalloc} {unit} | `make bench POINTS={point}` |\n"
        )
    };
    let rate = |point| figure(point, "sse-clock", "events per second");
    let memory = "memory per stream, KiB";
    let kernel = figure("steady", "sse-clock", "kernel memory per socket, KiB");
    let cpu = |point| {
        let cells = both(point, "CPU per event, µs", "µs");
        format!(
            "| CPU per event, at {} events a second {cells}",
            rate(point)
        )
    };
    let burst = figure("fanout", "notify.rs", "CPU per event, µs");
    let rows = [
        format!(
            "| memory per stream, in the process {}",
            both("steady", memory, "KiB")
        ),
        format!(
            "| memory per socket, in the kernel | {kernel} KiB | `make bench POINTS=steady` |\n"
        ),
        cpu("steady"),
        cpu("rate"),
        format!("| CPU per event of a notification to 10,000 clients | {burst} µs | `make bench POINTS=fanout` |\n"),
    ]
    .concat();
    assert!(
        read("docs/production.md").contains(&rows),
        "it should be:\n{rows}"
    );
}

#[test]
fn the_badges_and_the_picture_are_small_and_true() {
    for file in ["license", "rust", "resume"] {
        let picture = read(&format!("docs/{file}.svg"));
        assert!(
            picture.starts_with("<svg ") && picture.len() <= 400_000,
            "{file}"
        );
    }
    let manifest = read("Cargo.toml");
    let oldest = manifest.split("rust-version = \"").nth(1).unwrap();
    let oldest = oldest.split('"').next().unwrap();
    assert!(read("docs/rust.svg").contains(&format!(">{oldest} or later<")));
    assert!(read("README.md").contains(&format!("Rust {oldest} or later")));
}

#[test]
fn the_tests_that_hold_the_promises_are_there() {
    let page = read("docs/promises.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<_> = rows
        .filter_map(|row| row.split_once(" | "))
        .skip(1)
        .collect();
    assert_eq!(rows.len(), 10);
    let readme = read("README.md").replace("\n  ", " ");
    for (promise, tests) in rows {
        assert!(readme.contains(&format!("\n- {promise}\n")), "{promise}");
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{promise}");
        for name in tests {
            assert_is_test(name);
        }
    }
}

/// Asserts that `name` is a module of the specification or a test in one.
#[track_caller]
fn assert_is_test(name: &str) {
    let path = name.replace("::", "/");
    let is_module = |path: &str| {
        let file = Path::new(ROOT).join("tests/spec").join(path);
        file.is_dir() || file.with_extension("rs").is_file()
    };
    let (module, function) = match path.rsplit_once('/') {
        Some((module, function)) if !is_module(&path) => (module, function),
        _ => (path.as_str(), ""),
    };
    let files = sources(&format!("tests/spec/{module}"));
    let module = if files.is_empty() {
        read(&format!("tests/spec/{module}.rs"))
    } else {
        files.into_iter().map(|(_, text)| text).collect()
    };
    assert!(
        function.is_empty() || module.contains(&format!("fn {function}(")),
        "{name}"
    );
}

/// The commands that this test does not run, by their beginning, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo run ", "starts the server, as every test here does"),
    ("make bench ", "takes minutes, and measures"),
    ("make platforms ", "takes half an hour"),
    ("icacls ", "needs Windows"),
    (
        "curl -N 'localhost:8080/",
        "needs a proxy: see server::proxies",
    ),
    (
        "server=",
        "runs in suite::runners::the_script_in_the_docs_plays_a_case",
    ),
];

/// The text of a run or of a document, without what differs from run to run: the times of events,
/// ids that are times, waits, dates, and curl's words for its status.
fn masked(text: &str) -> Vec<String> {
    let mask = |line: &str| {
        let is_time = |id: &str| id.len() == 13 && id.bytes().all(|byte| byte.is_ascii_digit());
        if line.starts_with("data: ") && (line.ends_with(" AM") || line.ends_with(" PM")) {
            "data: TIME".to_owned()
        } else if line.strip_prefix("id: ").is_some_and(is_time) {
            "id: TIME".to_owned()
        } else if line.starts_with("Date: ") {
            "Date: TIME".to_owned()
        } else if let Some((status, _)) = line
            .split_once(") ")
            .filter(|_| line.starts_with("curl: ("))
        {
            status.to_owned()
        } else if let Some((before, after)) = line.split_once("\"after_ms\":") {
            let mut parts = vec![before.to_owned()];
            for part in after.split("\"after_ms\":") {
                parts.push(
                    part.trim_start_matches(|c: char| c.is_ascii_digit())
                        .to_owned(),
                );
            }
            parts.join("\"after_ms\":")
        } else {
            line.trim_end().to_owned()
        }
    };
    text.trim_end().lines().map(mask).collect()
}

/// The first `lines` lines that `script` prints, within 20 s.
fn printed(script: &str, server: &Server, lines: usize) -> String {
    let url = server.address().to_string();
    let script = script.replace("localhost:3000", &url);
    let quiet = "exec 2>&1; curl() { command curl --no-progress-meter \"$@\"; }";
    let mut timeout = Command::new("timeout");
    timeout.args(["20", "bash", "-c", &format!("{quiet}\n{script}")]);
    let mut child = timeout.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines();
    let text = output
        .take(lines)
        .map(|line| line.unwrap() + "\n")
        .collect();
    // Without its process, `timeout` ends; curl ends with the server.
    let _ = child.kill();
    child.wait().unwrap();
    text
}

/// The commands of the documents: the document, the block, and the output that follows it.
/// Those in `packages` need a package: `make packages-test`.
fn commands() -> Vec<(String, String, Option<String>)> {
    let mut commands = Vec::new();
    let documents = documents().into_iter();
    for (file, text) in documents.filter(|(file, _)| !file.starts_with("packages/")) {
        let (blocks, _) = blocks(&text);
        for (number, block) in blocks.iter().enumerate() {
            if ["sh", "bat"].contains(&block.language) {
                let next = blocks.get(number + 1);
                let shown = next.filter(|it| it.language == "text" && it.begin == block.end + 1);
                let shown = shown.map(|next| next.text.clone());
                commands.push((file.clone(), block.text.clone(), shown));
            }
        }
    }
    commands
}

#[test]
fn every_command_shows_its_output_or_is_in_the_list() {
    let mut found = BTreeSet::new();
    for (file, script, shown) in commands() {
        let mut list = NOT_RUN.iter().map(|(begin, _)| begin);
        match list.find(|begin| script.starts_with(**begin)) {
            Some(begin) => assert!(shown.is_none() && found.insert((file, begin))),
            None => assert!(shown.is_some(), "{file} shows no output of {script}"),
        }
    }
    assert_eq!(found.len(), NOT_RUN.len(), "{found:?}");
}

#[test]
fn a_command_in_a_sentence_is_one_of_those_that_show_their_output() {
    let scripts: String = commands()
        .into_iter()
        .map(|(_, script, _)| script)
        .collect();
    let mut count = 0;
    for (file, text) in documents() {
        for line in blocks(&text).1 {
            for code in line.split('`').skip(1).step_by(2) {
                // `STREAM` stands for any.
                if code.starts_with("curl ") && code.contains(":3000") && !code.contains("STREAM") {
                    assert!(scripts.contains(&format!("{code}\n")), "{file}: {code}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 0);
}

#[test]
fn every_command_prints_what_its_document_shows() {
    if !there_is("bash") || !there_is("curl") {
        return;
    }
    let mut count = 0;
    thread::scope(|scope| {
        for (file, script, shown) in commands() {
            let Some(shown) = shown else { continue };
            count += 1;
            scope.spawn(move || {
                let server = Server::start();
                // An endless stream ends in an ellipsis.
                let (shown, lines) = match shown.strip_suffix("…\n") {
                    Some(begin) => (begin, begin.lines().count()),
                    None => (&*shown, usize::MAX),
                };
                let printed = printed(&script, &server, lines);
                assert_eq!(masked(&printed), masked(shown), "{file}: {script}{printed}");
            });
        }
    });
    assert!(count > 10, "{count}");
}
