//! The figures as bars, in an SVG that follows the reader's light or dark scheme.

use std::fmt::Write;

use crate::{
    report::{Outcome, grouped},
    servers::Kind,
};

struct Panel {
    points: &'static [&'static str],
    title: &'static str,
    unit: &'static str,
    figure: &'static str,
    /// What it consists of, from the left.
    parts: &'static [&'static str],
    digits: usize,
    better: &'static str,
}

const PANELS: [Panel; 4] = [
    Panel {
        points: &["rate", "quick"],
        title: "Processor time per event",
        unit: "µs, 5,000 streams at 25 ms; left part: user",
        figure: "CPU per event, µs",
        parts: &["user, µs", "system, µs"],
        digits: 1,
        better: "less is better",
    },
    Panel {
        points: &["steady"],
        title: "Resident memory per stream",
        unit: "KiB, 5,000 streams at 1,000 ms",
        figure: "memory per stream, KiB",
        parts: &[],
        digits: 1,
        better: "less is better",
    },
    Panel {
        points: &["limit"],
        title: "Events a second before they come late",
        unit: "p99 within half of 25 ms, two cores with the client",
        figure: "events per second",
        parts: &[],
        digits: 0,
        better: "more is better",
    },
    Panel {
        points: &["steady"],
        title: "Deviation from the interval",
        unit: "ms, p99, 5,000 streams at 1,000 ms",
        figure: "p99, ms",
        parts: &[],
        digits: 2,
        better: "less is better",
    },
];

const WIDTH: usize = 944;
const COLUMN: usize = 452;
const LABELS: usize = 132;
const BARS: f64 = 226.0;
const ROW: usize = 26;
const HEAD: usize = 58;
const MARGIN: usize = 24;

const STYLE: &str = "
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #57606a }
  .title { font-size: 15px; font-weight: 600; fill: #1f2328 }
  .unit { font-size: 12px }
  .name { text-anchor: end }
  .ours { font-weight: 600; fill: #1f2328 }
  .value { font-variant-numeric: tabular-nums }
  .track { fill: #818b98; fill-opacity: .12 }
  .peer { fill: #8c959f }
  .peer.rest { fill: #c4cad1 }
  .own { fill: #bc4c00 }
  .own.rest { fill: #fb8f44 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title, .ours { fill: #f0f6fc }
    .peer { fill: #656c76 }
    .peer.rest { fill: #3d444d }
    .own { fill: #f0883e }
    .own.rest { fill: #9b4215 }
  }
";

/// Whether the point has a panel in the picture.
pub(crate) fn shows(outcome: &Outcome) -> bool {
    PANELS
        .iter()
        .any(|panel| panel.points.contains(&outcome.point.name) && !rows(panel, outcome).is_empty())
}

/// The picture of what was measured, if anything in it was.
pub(crate) fn draw(outcomes: &[Outcome]) -> Option<String> {
    let panels: Vec<(&Panel, Vec<Row>)> = PANELS
        .iter()
        .filter_map(|panel| {
            let outcome = outcomes
                .iter()
                .find(|outcome| panel.points.contains(&outcome.point.name))?;
            Some((panel, rows(panel, outcome)))
        })
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let most = panels.iter().map(|(_, rows)| rows.len()).max()?;
    let tall = HEAD + most * ROW + MARGIN;
    let height = panels.len().div_ceil(2) * tall + MARGIN;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What a stream costs, by server\">\n<style>{STYLE}</style>\n"
    );
    for (index, (panel, rows)) in panels.iter().enumerate() {
        let left = MARGIN + index % 2 * (COLUMN + 8);
        let top = MARGIN + index / 2 * tall;
        let _ = writeln!(svg, "<g transform=\"translate({left} {top})\">");
        draw_panel(&mut svg, panel, rows);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

struct Row {
    kind: Kind,
    value: f64,
    /// Medians, which need not add up to the median of their sum.
    parts: Vec<f64>,
}

fn rows(panel: &Panel, outcome: &Outcome) -> Vec<Row> {
    let row = |kind| {
        let value = outcome.median(kind, panel.figure)?;
        let parts = panel.parts.iter();
        let parts = parts.map(|name| outcome.median(kind, name));
        let mut parts: Vec<f64> = parts.collect::<Option<_>>()?;
        if parts.is_empty() {
            parts.push(value);
        }
        Some(Row { kind, value, parts })
    };
    Kind::PLAIN.into_iter().filter_map(row).collect()
}

fn draw_panel(svg: &mut String, panel: &Panel, rows: &[Row]) {
    let Panel {
        title,
        unit,
        better,
        ..
    } = panel;
    let _ = writeln!(svg, "<text class=\"title\" y=\"14\">{title}</text>");
    let _ = writeln!(svg, "<text class=\"unit\" y=\"34\">{unit}; {better}</text>");
    let longest = rows.iter().map(|row| row.value);
    let longest = longest.fold(f64::MIN_POSITIVE, f64::max);
    for (index, row) in rows.iter().enumerate() {
        let top = HEAD - 8 + index * ROW;
        let text = top + 14;
        let emphasis = if row.kind.is_ours() { " ours" } else { "" };
        let color = if row.kind.is_ours() { "own" } else { "peer" };
        let _ = writeln!(
            svg,
            "<text class=\"name{emphasis}\" x=\"{}\" y=\"{text}\">{}</text>",
            LABELS - 10,
            row.kind.title()
        );
        let _ = writeln!(
            svg,
            "<rect class=\"track\" x=\"{LABELS}\" y=\"{top}\" width=\"{BARS}\" height=\"18\" rx=\"3\"/>"
        );
        let mut from = LABELS as f64;
        let whole: f64 = row.parts.iter().sum();
        for (part, value) in row.parts.iter().enumerate() {
            let width = (value / whole * row.value / longest).max(0.0) * BARS;
            let rest = if part > 0 { " rest" } else { "" };
            let _ = writeln!(
                svg,
                "<rect class=\"{color}{rest}\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"18\" rx=\"3\"/>"
            );
            from += width;
        }
        let _ = writeln!(
            svg,
            "<text class=\"value{emphasis}\" x=\"{}\" y=\"{text}\">{}</text>",
            LABELS as f64 + BARS + 8.0,
            grouped(row.value, panel.digits)
        );
    }
}
