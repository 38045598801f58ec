//! What the figures should be at most, and why some are more.

use std::fmt::Write;

use crate::{
    instructions::INSTRUCTIONS,
    million::{CPU_GROWTH, CPU_TO_OPEN, CUT, EXIT, IN_ALL, MEMORY_GROWTH, SOME_CPU, SOME_P99},
    point::{
        CPU_OVER_AXUM, CPU_OVER_FLOOR, LOST, MEMORY, MEMORY_OVER_NODE, Outcome, USER_OVER_AXUM,
        grouped,
    },
    servers::Kind::{self, Http2, Http2Jemalloc, Jemalloc, Notify, Ours},
};

/// The most that a figure or a ratio of a server should be.
struct Aim {
    point: &'static str,
    kind: Kind,
    name: &'static str,
    most: f64,
    /// Why it is more, where it is.
    why: &'static str,
}

const fn aim(
    point: &'static str,
    kind: Kind,
    name: &'static str,
    most: f64,
    why: &'static str,
) -> Aim {
    Aim {
        point,
        kind,
        name,
        most,
        why,
    }
}

const LINES: &str = "an event touches memory of its own stream, which has left the L1 cache since \
                     the event before: `instructions` counts it for sse-clock";
const BUFFERS: &str = "hyper keeps 8 KiB to read and 8 KiB to write, and glibc's bookkeeping touches \
                       a page of each";
const H2_LINES: &str = "an event touches memory of its own stream; the floor touches none, and its time is \
                        the kernel's alone, so the ratio differs from run to run";
const GROWTH: &str = "an event touches memory of its own stream, and the caches can hold all streams at \
                      10,000, but not at a million";
const OPENING: &str = "half is hyper's and h2's, a quarter malloc's and copies, a quarter the kernel's, \
                       by `perf record`";
const KERNEL: &str = "more than half is the kernel's, which takes about as long for axum; with one \
                      thread, or with a `watch` channel for each thread, it falls by less than a tenth";

/// In the order of the points.
const AIMS: [Aim; 20] = [
    aim("steady", Ours, MEMORY, 11.0, BUFFERS),
    aim("steady", Ours, MEMORY_OVER_NODE, 0.6, BUFFERS),
    aim(
        "steady",
        Jemalloc,
        MEMORY,
        6.6,
        "hyper keeps 8 KiB to write, one page of it touched, and a `HeaderMap` of 792 bytes",
    ),
    aim("rate", Ours, CPU_OVER_FLOOR, 1.45, LINES),
    aim(
        "rate",
        Ours,
        USER_OVER_AXUM,
        0.4,
        "an event touches memory of its own stream; axum writes late events together",
    ),
    aim("fanout", Notify, CPU_OVER_FLOOR, 1.4, LINES),
    aim("fanout", Notify, CPU_OVER_AXUM, 0.8, KERNEL),
    aim("instructions", Ours, INSTRUCTIONS, 3200.0, ""),
    aim("million", Http2, LOST, 0.0, ""),
    aim("million", Http2, MEMORY, 1.7, ""),
    aim("million", Http2, IN_ALL, 2.2, ""),
    aim("million", Http2, CPU_OVER_FLOOR, 0.33, H2_LINES),
    aim("million", Http2, CPU_TO_OPEN, 12.0, OPENING),
    aim("million", Http2Jemalloc, CPU_TO_OPEN, 12.0, OPENING),
    aim("million", Http2, EXIT, 3.5, ""),
    aim("million", Http2, CUT, 0.0, ""),
    aim("million", Http2, CPU_GROWTH, 1.15, GROWTH),
    aim("million", Http2, MEMORY_GROWTH, 1.15, ""),
    aim("million", Http2, SOME_CPU, 1.1, ""),
    aim("million", Http2, SOME_P99, 10.0, ""),
];

/// Returns the aims of the measured points as a table.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut rows = String::new();
    for it in &AIMS {
        let mut outcomes = outcomes.iter();
        let Some(outcome) = outcomes.find(|outcome| outcome.point.name == it.point) else {
            continue;
        };
        let (point, server, name) = (it.point, it.kind.title(), it.name);
        let (value, digits) = outcome.figure(it.kind, name).unwrap_or((f64::NAN, 2));
        let [measured, most] = [value, it.most].map(|value| grouped(value, digits));
        let verdict = match it.why {
            _ if value.is_nan() => "**not measured**".into(),
            // What is printed decides.
            _ if value <= it.most || measured == most => "reached".into(),
            "" => "**missed**".into(),
            why => format!("**missed**: {why}"),
        };
        let _ = writeln!(
            rows,
            "| `{point}` | {server} | {name} | {most} | {measured} | {verdict} |"
        );
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "### The aims\n\n\
         | point | server | figure | at most | measured | |\n|---|---|---|---:|---:|---|\n{rows}\n"
    )
}
