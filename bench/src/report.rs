//! Markdown tables of the measured rounds.

use std::fmt::Write;

use crate::{
    aims,
    point::{Outcome, Point, grouped},
    servers::Kind,
    summary::{self, Group},
};

impl Outcome {
    /// Returns the point as a heading, a table and notes.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.point.title);
        let Point {
            name,
            about,
            rounds,
            ..
        } = &self.point;
        let plural = if *rounds == 1 { "" } else { "s" };
        let _ = write!(
            text,
            "`make bench POINTS={name}`: {about} {rounds} round{plural}."
        );
        let mut reads = self.reads.clone();
        reads.sort_by(f64::total_cmp);
        // There are none where the point was left out.
        if let [least, .., most] = reads[..] {
            let _ = write!(
                text,
                " A random read in 64 MiB took {least:.0} to {most:.0} ns before the measurements."
            );
        }
        text.push_str("\n\n");
        let kinds = self.point.kinds.iter().copied();
        let kinds: Vec<Kind> = kinds.filter(|kind| self.sample(*kind).is_some()).collect();
        // Some servers have fewer figures than others.
        let samples = kinds.iter().filter_map(|kind| self.sample(*kind));
        if let Some(most) = samples.max_by_key(|sample| sample.figures.len()) {
            let names: Vec<&str> = most.figures.iter().map(|figure| figure.name).collect();
            let ratios: Vec<&str> = self.point.ratios.iter().map(|it| it.name).collect();
            let titles = [&names[..], &ratios].concat();
            let _ = writeln!(text, "| server | {} |", titles.join(" | "));
            let _ = writeln!(text, "|---|{}", "---:|".repeat(titles.len()));
            for kind in kinds {
                let _ = writeln!(
                    text,
                    "| {}{} | {} |",
                    kind.title(),
                    self.missing(kind),
                    self.cells(kind, &titles).join(" | ")
                );
            }
            text.push('\n');
        }
        for line in &self.left_out {
            let _ = writeln!(text, "Left out: {line}.\n");
        }
        for line in &self.failures {
            let _ = writeln!(text, "**Failed**: {line}.\n");
        }
        text
    }

    /// Returns the number of successful rounds of a row, if some failed.
    fn missing(&self, kind: Kind) -> String {
        let rounds = self.rounds.iter();
        let there = rounds.filter(|round| round.contains_key(&kind)).count();
        if there == self.rounds.len() {
            return String::new();
        }
        format!(" ({there} of {} rounds)", self.rounds.len())
    }

    fn cells(&self, kind: Kind, names: &[&str]) -> Vec<String> {
        let cell = |name: &&str| {
            let figure = self.figure(kind, name);
            figure.map_or_else(|| "–".into(), |(value, digits)| grouped(value, digits))
        };
        names.iter().map(cell).collect()
    }
}

/// Returns the whole document.
pub(crate) fn document(
    outcomes: &[Outcome],
    groups: &[Group],
    machine: &str,
    versions: &str,
) -> String {
    let mut text = format!(
        "# Numbers\n\n\
         Measured on {versions}; {machine}.\n\
         Server and load client share the processors over loopback.\n\
         Figures are medians over the rounds, ratios are taken within a round; servers take turns in every round.\n\
         An absolute time says little on a shared machine, a ratio says more.\n\
         CPU time is the scheduler's, to the nanosecond; its split into user and system time is sampled by the kernel's clock.\n\n"
    );
    if !groups.is_empty() {
        text.push_str("![The figures below as bars](numbers.svg)\n\n");
        text.push_str(&summary::table(groups));
        text.push('\n');
    }
    for outcome in outcomes {
        text.push_str(&outcome.markdown());
    }
    text.push_str(&aims::table(outcomes));
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
