//! The soak: half an hour of everything at once.

use std::process::ExitCode;

fn main() -> ExitCode {
    sse_clock_bench::soak()
}
