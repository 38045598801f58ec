//! The log on stderr, which never makes a stream wait.

use std::io::{self, IsTerminal};
use std::sync::mpsc;
use std::time::Duration;
use std::{panic, thread};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Lines that may wait for a slow reader of stderr; what comes on top of them is lost.
const WAITING: usize = 16 * 1024;

/// What is logged where `RUST_LOG` says nothing else: h2 would warn of what clients get wrong.
const USUAL: &str = "info,h2=error";

/// Starts the log as `RUST_LOG` has it, else the usual one; dropping the guard flushes it.
pub(crate) fn start() -> Log {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .finish(io::stderr());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .try_from_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new(USUAL)))
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(writer)
        .init();
    // The standard hook writes to stderr itself, and waits there when it is full.
    panic::set_hook(Box::new(|panic| {
        tracing::error!("a task panicked: {panic}");
    }));
    Log(Some(guard))
}

/// The running log.
pub(crate) struct Log(Option<WorkerGuard>);

/// Flushes, for a moment at most: the guard prints to stdout when it fails, and would wait there.
impl Drop for Log {
    fn drop(&mut self) {
        let (guard, (done, flushed)) = (self.0.take(), mpsc::channel::<()>());
        thread::spawn(move || drop((guard, done)));
        let _ = flushed.recv_timeout(Duration::from_secs(1));
    }
}
