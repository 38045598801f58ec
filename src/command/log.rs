//! The log on stderr, which never makes a stream wait.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;
use std::{panic, thread};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Lines that may wait for a slow reader of stderr; what comes on top of them is lost.
const WAITING: usize = 16 * 1024;

/// Bytes of lines that are written together.
const TOGETHER: usize = 8 * 1024;

/// How long lines gather after some were written: whoever logs while the writer sleeps need not
/// wake it.
const REST: Duration = Duration::from_millis(10);

/// What is logged where `RUST_LOG` says nothing else: h2 would warn of what clients get wrong.
const USUAL: &str = "info,h2=error";

/// Starts the log as `RUST_LOG` has it, else the usual one; dropping the guard flushes it.
pub(crate) fn start() -> Log {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .finish(Gathering::default());
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

/// Lines that are written to stderr together: the appender flushes when no line waits.
#[derive(Default)]
struct Gathering(Vec<u8>);

impl Gathering {
    /// Writes what it has; what nobody takes is lost, and the lines after it are not.
    fn send(&mut self) {
        drop(io::stderr().write_all(&self.0));
        self.0.clear();
    }
}

impl Write for Gathering {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(line);
        if self.0.len() > TOGETHER {
            self.send();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.0.is_empty() {
            self.send();
            thread::sleep(REST);
        }
        Ok(())
    }
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
