//! The cost of a stream: this server compared with its alternatives and a minimal server.
//!
//! - `make bench POINTS="steady rate"`: points by name, or `quick`, or `all`.
//! - `rounds=1` for a shorter measurement.
//! - `make soak MINUTES=2` tests promises and measures nothing.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts become figures here, far below 2^52"
)]

mod aims;
mod client;
mod crowd;
pub mod fanout;
mod floor;
mod framing;
mod histogram;
pub mod instructions;
mod load;
pub mod million;
mod picture;
mod point;
mod process;
mod report;
mod servers;
mod soak;
pub mod steady;
mod summary;
mod trust;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    process::ExitCode,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use point::Point;
use point::{Figure, Outcome, grouped};
use servers::{Kind, SCRATCH, run};

/// Runs the benchmark with the words of the command line, which name some of `points`.
#[must_use]
pub fn bench(points: fn() -> Vec<Point>) -> ExitCode {
    let words = words();
    exit(match words.first().map(String::as_str) {
        Some("floor") => floor::serve(),
        _ => measure(&words, points),
    })
}

/// Runs the soak with the words of the command line.
#[must_use]
pub fn soak() -> ExitCode {
    exit(set_up().and_then(|()| play(&words())))
}

fn words() -> Vec<String> {
    env::args().skip(1).collect()
}

fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[String], points: fn() -> Vec<Point>) -> Result<(), String> {
    let (rounds, words): (Vec<String>, Vec<String>) = words
        .iter()
        .cloned()
        .partition(|word| word.starts_with("rounds="));
    set_up()?;
    let mut points = choose(&words, points())?;
    for word in &rounds {
        let rounds = word["rounds=".len()..]
            .parse()
            .map_err(|_| format!("{word} is no number of rounds"))?;
        for point in &mut points {
            point.rounds = rounds;
        }
    }
    framing::check();
    let machine = process::machine()?;
    let versions = versions()?;

    let mut reasons = BTreeMap::new();
    let kinds: BTreeSet<Kind> = points.iter().flat_map(|it| it.kinds.clone()).collect();
    for kind in kinds {
        eprintln!("preparing {}", kind.title());
        if let Err(reason) = kind.prepare() {
            if kind == Kind::Ours {
                return Err(reason);
            }
            eprintln!("  left out: {reason}");
            reasons.insert(kind, reason);
        }
    }
    let outcomes: Vec<Outcome> = points
        .into_iter()
        .map(|point| take(point, &reasons))
        .collect();

    let groups = summary::groups(&outcomes);
    let document = report::document(&outcomes, &groups, &machine, &versions);
    println!("{document}");

    // Only a complete run replaces the stored figures.
    let whole = rounds.is_empty() && words == ["all"];
    let folder = if whole {
        env!("CARGO_MANIFEST_DIR")
    } else {
        SCRATCH
    };
    let soaked = if whole { stored() } else { String::new() };
    write(folder, "numbers.md", &soak::keep(&document, &soaked))?;
    if let Some(picture) = picture::draw(&groups) {
        write(folder, "numbers.svg", &picture)?;
    }
    match outcomes.iter().map(|outcome| outcome.failures.len()).sum() {
        0 => Ok(()),
        failures => Err(format!("{failures} measurements failed, as the tables say")),
    }
}

/// Returns the stored figures.
fn stored() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("numbers.md");
    fs::read_to_string(path).unwrap_or_default()
}

/// Runs a soak. Only a complete run replaces the stored table.
fn play(words: &[String]) -> Result<(), String> {
    let (text, whole, broken) = soak::run(words, &versions()?)?;
    println!("{text}");
    if whole {
        let folder = env!("CARGO_MANIFEST_DIR");
        write(folder, "numbers.md", &soak::put(&stored(), &text))?;
    }
    match broken {
        0 => Ok(()),
        broken => Err(format!("{broken} promises are broken, as the table says")),
    }
}

/// Returns the measured commit, the versions of the tools, and the date.
fn versions() -> Result<String, String> {
    let git = |arguments: &[&str]| {
        let folder = env!("CARGO_MANIFEST_DIR");
        run(Command::new("git").args(["-C", folder]).args(arguments))
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|_| "unknown".into());
    let measured = [
        "src",
        "serve",
        "public",
        "bench/src",
        "bench/peers",
        "bench/Cargo.toml",
        "examples/notify.rs",
        "tests/twins",
        "Cargo.toml",
        "Cargo.lock",
        ".cargo",
    ];
    let status = git(&[&["status", "--porcelain", "--"][..], &measured].concat());
    let changed = status.is_ok_and(|lines| !lines.is_empty());
    let rust = run(Command::new("rustc").arg("--version"))?;
    let node = run(Command::new("node").arg("--version"));
    let node = node.map(|node| node.replacen('v', "Node ", 1));
    Ok(format!(
        "{}, commit {commit}{}; {}, {}",
        run(Command::new("date").arg("+%-d %B %Y"))?,
        if changed { " with changes" } else { "" },
        rust.split(" (").next().unwrap_or_default(),
        node.unwrap_or_else(|_| "no Node".into()),
    ))
}

/// Returns the points that `words` name: by default `quick`, and with `all` every other one.
fn choose(words: &[String], mut points: Vec<Point>) -> Result<Vec<Point>, String> {
    let names: Vec<&str> = points.iter().map(|point| point.name).collect();
    let is_known = |word: &str| word == "all" || names.contains(&word);
    if let Some(word) = words.iter().find(|word| !is_known(word)) {
        return Err(format!(
            "no point is called {word}; there are all, {}",
            names.join(", ")
        ));
    }
    points.retain(|Point { name, .. }| match words {
        [] => *name == "quick",
        [word] if word == "all" => *name != "quick",
        _ => words.iter().any(|word| word == name),
    });
    Ok(points)
}

/// Measures one point.
///
/// Each round includes every server, so that a change of the machine affects all of them.
fn take(point: Point, reasons: &BTreeMap<Kind, String>) -> Outcome {
    let mut outcome = Outcome {
        point,
        rounds: Vec::new(),
        reads: Vec::new(),
        left_out: Vec::new(),
        failures: Vec::new(),
    };
    eprintln!("\n{}", outcome.point.title);
    if let Some(reason) = &outcome.point.lacks {
        eprintln!("  left out: {reason}");
        outcome.left_out.push(reason.clone());
        return outcome;
    }
    let kinds = outcome.point.kinds.clone();
    let (out, kinds): (Vec<Kind>, Vec<Kind>) = kinds
        .into_iter()
        .partition(|kind| reasons.contains_key(kind));
    for kind in out {
        outcome
            .left_out
            .push(format!("{}, because {}", kind.title(), reasons[&kind]));
    }
    for number in 1..=outcome.point.rounds {
        let mut round = BTreeMap::new();
        for &kind in &kinds {
            eprint!("  round {number}, {}: ", kind.title());
            outcome.reads.push(process::memory_latency());
            match (outcome.point.measure)(kind) {
                Ok(sample) => {
                    let figure =
                        |it: &Figure| format!("{} {}", it.name, grouped(it.value, it.digits));
                    let figures: Vec<String> = sample.figures.iter().map(figure).collect();
                    eprintln!("{}", figures.join("; "));
                    round.insert(kind, sample);
                }
                Err(reason) => {
                    eprintln!("failed: {reason}");
                    outcome
                        .failures
                        .push(format!("{} in round {number}: {reason}", kind.title()));
                }
            }
        }
        outcome.rounds.push(round);
    }
    outcome
}

/// Raises the limit on open files, and creates the folder for the files of a run.
fn set_up() -> Result<(), String> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)
        .map_err(|e| format!("the limit on open files cannot be raised: {e}"))?;
    fs::create_dir_all(SCRATCH).map_err(|e| format!("cannot create {SCRATCH}: {e}"))
}

fn write(folder: &str, name: &str, text: &str) -> Result<(), String> {
    let path = Path::new(folder).join(name);
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
