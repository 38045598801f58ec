//! The log on stderr, which never makes a stream wait.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Lines that may wait for a slow reader of stderr; what comes on top of them is lost.
const WAITING: usize = 16 * 1024;

/// Starts the log at the level that `RUST_LOG` names, else info; dropping the guard flushes it.
pub(crate) fn start() -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .finish(io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::builder()
                .with_default_directive(LevelFilter::INFO.into())
                .from_env_lossy(),
        )
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(writer)
        .init();
    // The standard hook writes to stderr itself, and waits there when it is full.
    panic::set_hook(Box::new(|panic| {
        tracing::error!("a task panicked: {panic}");
    }));
    guard
}
