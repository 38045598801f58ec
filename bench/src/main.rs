//! The benchmark.

use std::process::ExitCode;

fn main() -> ExitCode {
    sse_clock_bench::bench()
}
