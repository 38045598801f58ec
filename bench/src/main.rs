//! The benchmark: the list of its points.

use std::process::ExitCode;

use sse_clock_bench::{Point, bench, fanout, instructions, million, steady};

fn main() -> ExitCode {
    bench(points)
}

/// Returns every point, in the order of `all`.
fn points() -> Vec<Point> {
    vec![
        steady::quick(),
        steady::steady(),
        steady::rate(),
        fanout::point(),
        instructions::point(),
        million::smaller(),
        million::point(),
    ]
}
