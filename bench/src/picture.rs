//! A bar chart of the key figures: an SVG that follows the light or dark scheme.

use std::fmt::Write;

use crate::{
    point::grouped,
    summary::{COLUMNS, Group, Row},
};

const WIDTH: usize = 944;
const MARGIN: usize = 16;
const NAMES: usize = 152;
const COLUMN: usize = 256;
const BARS: f64 = 186.0;
const HEAD: usize = 44;
const TITLE: usize = 40;
const ROW: usize = 24;

const STYLE: &str = "
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #57606a }
  .title { font-size: 15px; font-weight: 600; fill: #1f2328 }
  .group { font-size: 12px }
  .ours { font-weight: 600; fill: #1f2328 }
  .value { font-variant-numeric: tabular-nums }
  .line { stroke: #d1d9e0 }
  .peer { fill: #afb8c1 }
  .own { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title, .ours { fill: #f0f6fc }
    .line { stroke: #3d444d }
    .peer { fill: #656c76 }
    .own { fill: #f0883e }
  }
";

/// Draws the groups, unless they are empty.
pub(crate) fn draw(groups: &[Group]) -> Option<String> {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let count = rows().count();
    if count == 0 {
        return None;
    }
    let longest: Vec<f64> = (0..COLUMNS.len())
        .map(|column| {
            rows()
                .map(|row| row.values[column])
                .fold(f64::MIN_POSITIVE, f64::max)
        })
        .collect();

    let height = HEAD + groups.len() * TITLE + count * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What a stream costs, by server; less is better\">\n<style>{STYLE}</style>\n"
    );
    for (index, column) in COLUMNS.iter().enumerate() {
        let (left, title, unit) = (left(index), column.title, column.unit);
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"28\"><tspan class=\"title\">{title}</tspan>  {unit}</text>"
        );
    }
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"28\">Less is better</text>");
    let mut top = HEAD;
    for Group { title, rows } in groups {
        let right = WIDTH - MARGIN;
        let _ = writeln!(
            svg,
            "<line class=\"line\" x1=\"{MARGIN}\" x2=\"{right}\" y1=\"{top}\" y2=\"{top}\"/>\n\
             <text class=\"group\" x=\"{MARGIN}\" y=\"{}\">{title}</text>",
            top + 22
        );
        top += TITLE - 8;
        for row in rows {
            draw_row(&mut svg, row, top, &longest);
            top += ROW;
        }
        top += 8;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn left(column: usize) -> usize {
    MARGIN + NAMES + column * COLUMN
}

fn draw_row(svg: &mut String, row: &Row, top: usize, longest: &[f64]) {
    let (bar, ours) = if row.kind.is_ours() {
        ("own", " ours")
    } else {
        ("peer", "")
    };
    let (name, base) = (row.name(), top + 14);
    let _ = writeln!(
        svg,
        "<text class=\"name{ours}\" x=\"{MARGIN}\" y=\"{base}\">{name}</text>"
    );
    for (index, value) in row.values.iter().enumerate() {
        let width = (value / longest[index] * BARS).max(1.0);
        let (left, value) = (left(index), grouped(*value, COLUMNS[index].digits));
        let _ = writeln!(
            svg,
            "<rect class=\"{bar}\" x=\"{left}\" y=\"{top}\" width=\"{width:.1}\" height=\"18\" rx=\"3\"/>\
             <text class=\"value{ours}\" x=\"{:.1}\" y=\"{base}\">{value}</text>",
            left as f64 + width + 7.0
        );
    }
}
