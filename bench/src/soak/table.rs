//! The results of a soak as Markdown.

use std::{fmt::Write, sync::atomic::Ordering::Relaxed};

use super::{
    life::{Footing, Life, rushes},
    rush::CONNECTIONS,
    schedule::Outcome,
    shared::MAX_REPORTED,
};
use crate::point::grouped;

const COLUMNS: [&str; 11] = [
    "opened",
    "ended",
    "open",
    "held by clients",
    "descriptors",
    "threads",
    "memory, MiB",
    "lines of log",
    "odd ones",
    "p99.9, ms",
    "latest, ms",
];

const TITLE: &str = "## Half an hour of everything at once";

/// Returns `document` without a table of a soak, and the table, from its heading on.
fn split(document: &str) -> (&str, &str) {
    document.split_at(document.find(TITLE).unwrap_or(document.len()))
}

/// Returns `document` with this table at its end.
pub(crate) fn put(document: &str, table: &str) -> String {
    let document = split(document).0;
    format!("{}\n\n{}\n", document.trim_end(), table.trim_end())
}

/// Returns `document` with the table of `stored`, if there is one.
pub(crate) fn keep(document: &str, stored: &str) -> String {
    match split(stored).1 {
        "" => document.to_owned(),
        table => put(document, table),
    }
}

pub(super) fn markdown(outcome: &Outcome, minutes: u64, about: &str) -> String {
    let mut text = format!(
        "{TITLE}\n\n\
         `make soak MINUTES={minutes} SEED={}`; {about}.\n\
         {}\n\
         `opened`, `ended` and `open` are the counts of each server process, read just before its shutdown and found in its log. `held by clients` counts the streams that idle clients held then.\n\
         Descriptors, threads and memory are those after the first load and after the last, with all clients gone, and after {} rushes of {} connections or more. Memory is the median after the last half of the rushes. It may grow by 5 % with jemalloc, and by 10 % with glibc, whose heaps settle at another size after other clients.\n\
         The latest event is that of a plain stream under this load: how far it came from one second after the event before. The machine itself woke a sleeping thread up to {:.1} ms late, p99.9 {:.1}.\n{}\n",
        outcome.shared.seed,
        said(outcome),
        rushes(outcome.judges_memory),
        grouped(CONNECTIONS as f64, 0),
        outcome.machine.max_ms(),
        outcome.machine.percentile_ms(0.999),
        if outcome.judges_memory {
            ""
        } else {
            "Memory is shown and not judged: for that, clients have to come for a whole minute before the base.\n"
        },
    );
    let _ = writeln!(text, "| server | {} |", COLUMNS.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(COLUMNS.len()));
    for life in &outcome.lives {
        let _ = writeln!(text, "| {} | {} |", life.name, cells(life).join(" | "));
    }
    text.push('\n');
    if outcome.broken.is_empty() {
        text.push_str("No promise was broken.\n");
    }
    for what in outcome.broken.iter().take(MAX_REPORTED) {
        let _ = writeln!(text, "**Broken**: {what}.\n");
    }
    if let Some(more) = outcome.broken.len().checked_sub(MAX_REPORTED + 1) {
        let _ = writeln!(text, "**Broken**: and {} promises more.\n", more + 1);
    }
    text
}

fn said(outcome: &Outcome) -> String {
    let notes = &outcome.shared.notes;
    let number = |value: u64| grouped(value as f64, 0);
    format!(
        "{} clients connected, in {} visits, and opened {} streams, {} of them to resume. {} ids and {} gaps arrived; {} of them were missing, came twice or too early, or were left out without a reason. While clients connected, {:.2} of {} processors were busy; the aim was {}.",
        number(notes.came.load(Relaxed)),
        number(notes.visits.load(Relaxed)),
        number(notes.streams.load(Relaxed)),
        number(notes.resumed.load(Relaxed)),
        number(notes.ids.load(Relaxed)),
        number(notes.gaps.load(Relaxed)),
        number(notes.wrong.load(Relaxed)),
        outcome.busy,
        2.0 * outcome.aim,
        outcome.aim,
    )
}

fn cells(life: &Life) -> Vec<String> {
    let number = |value: u64| grouped(value as f64, 0);
    let both = |figure: fn(&Footing) -> String| {
        let figure = |footing: &Option<Footing>| footing.as_ref().map_or("–".into(), figure);
        format!("{} → {}", figure(&life.base), figure(&life.end))
    };
    vec![
        number(life.stats.opened),
        number(life.stats.ended()),
        number(life.stats.open),
        number(life.held as u64),
        both(|footing| footing.descriptors.to_string()),
        both(|footing| footing.threads.to_string()),
        both(|footing| grouped(footing.memory, 1)),
        number(life.log.lines),
        number(life.log.odd),
        grouped(life.deviation.percentile_ms(0.999), 1),
        grouped(life.deviation.max_ms(), 1),
    ]
}
