//! The key figures: processor time per event, memory per stream, and the deviation of events.

use std::fmt::Write;

use crate::{
    million::{FEW_CPU, FEW_MEMORY, FEW_P99},
    point::{CPU, MEMORY, Outcome, P99, grouped},
    servers::Kind,
};

pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) digits: usize,
}

pub(crate) const COLUMNS: [Column; 3] = [
    column("CPU per event", "µs", 2),
    column("Memory per stream", "KiB", 2),
    column("Deviation, p99", "ms", 1),
];

const fn column(title: &'static str, unit: &'static str, digits: usize) -> Column {
    Column {
        title,
        unit,
        digits,
    }
}

/// The source of a group's rows.
struct Source {
    point: &'static str,
    group: &'static str,
    kinds: &'static [Kind],
    figures: [&'static str; 3],
}

const SOURCES: [Source; 4] = [
    Source {
        point: "quick",
        group: "HTTP/1.1: 5,000 streams, an event each every 25 ms",
        kinds: &Kind::PLAIN,
        figures: [CPU, MEMORY, P99],
    },
    Source {
        point: "steady",
        group: "HTTP/1.1: 5,000 streams, an event each every second",
        kinds: &Kind::PLAIN,
        figures: [CPU, MEMORY, P99],
    },
    Source {
        point: "h2",
        group: "HTTP/2 over TLS: 10,000 streams, an event each every second",
        kinds: &Kind::SECURE,
        figures: [FEW_CPU, FEW_MEMORY, FEW_P99],
    },
    Source {
        point: "million",
        group: "HTTP/2 over TLS: 1,000,000 streams, an event each every 10 seconds",
        kinds: &Kind::SECURE,
        figures: [CPU, MEMORY, P99],
    },
];

pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// A server with one value per column.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) values: [f64; 3],
}

impl Row {
    /// Returns the server's name without the protocol, which is in the heading.
    pub(crate) fn name(&self) -> String {
        self.kind.title().replace(", HTTP/2", "")
    }
}

/// Returns the measured groups.
pub(crate) fn groups(outcomes: &[Outcome]) -> Vec<Group> {
    let group = |source: &Source| {
        let outcome = outcomes.iter().find(|it| it.point.name == source.point)?;
        let row = |&kind: &Kind| {
            let [cpu, memory, late] = source.figures.map(|name| outcome.median(kind, name));
            let values = [cpu?, memory?, late?];
            Some(Row { kind, values })
        };
        let rows: Vec<Row> = source.kinds.iter().filter_map(row).collect();
        let title = source.group;
        (!rows.is_empty()).then_some(Group { title, rows })
    };
    SOURCES.iter().filter_map(group).collect()
}

/// Returns the groups as one table.
pub(crate) fn table(groups: &[Group]) -> String {
    let titles = COLUMNS.map(|it| format!("{}, {}", it.title, it.unit));
    let mut text = format!(
        "| server | {} |\n|---|---:|---:|---:|\n",
        titles.join(" | ")
    );
    for Group { title, rows } in groups {
        let _ = writeln!(text, "| *{title}* | | | |");
        for row in rows {
            let cells = row.values.iter().zip(&COLUMNS);
            let cells = cells.map(|(value, column)| grouped(*value, column.digits));
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "| {} | {} |", row.name(), cells.join(" | "));
        }
    }
    text
}
