//! The log on stderr, which never makes a stream wait and has at most 1,000 lines a second.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{mem, panic};

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Lines that are written in any one second: 9 GB a day at most.
const A_SECOND: usize = 1000;

/// The part of these lines that is kept for warnings and errors.
const FOR_WARNINGS: usize = 100;

/// The target of the line that says how many lines were left out; this line is always written.
const LEFT_OUT: &str = "sse_clock::left_out";

/// Lines that may wait for a slow reader of stderr; further lines are lost.
const WAITING: usize = 16 * 1024;

/// Bytes of lines that are written together.
const TOGETHER: usize = 8 * 1024;

/// The pause after a write: a line that is logged meanwhile does not wake the writer.
const REST: Duration = Duration::from_millis(10);

/// The filter without `RUST_LOG`: h2 would warn of every fault of a client.
const USUAL: &str = "info,h2=error";

/// Starts the log with the filter of `RUST_LOG`, or the usual one; dropping the result flushes it.
pub(crate) fn start() -> Log {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .finish(Gathering::default());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new(USUAL));
    let always = format!("{LEFT_OUT}=warn");
    let always = always.parse().expect("a target and a level");
    let lines = Arc::<Mutex<Lines>>::default();
    tracing_subscriber::fmt()
        .with_env_filter(filter.add_directive(always))
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(writer)
        .finish()
        .with(Limit::on(Arc::clone(&lines)))
        .init();
    // The standard hook writes to stderr, and would wait for a full pipe.
    panic::set_hook(Box::new(|panic| {
        tracing::error!("a task panicked: {panic}");
    }));
    Log {
        guard: Some(guard),
        lines,
    }
}

/// Limits the lines of a second, and counts the lines that are left out.
struct Limit {
    lines: Arc<Mutex<Lines>>,
    reporter: Thread,
}

#[derive(Default)]
struct Lines {
    /// When each line of the last second was written.
    passed: VecDeque<Instant>,
    left_out: u64,
}

impl Limit {
    /// Returns a limit that reports a second after the first line that is left out.
    fn on(lines: Arc<Mutex<Lines>>) -> Self {
        let shared = Arc::clone(&lines);
        let reporter = thread::spawn(move || {
            loop {
                thread::park();
                thread::sleep(Duration::from_secs(1));
                report(&shared);
            }
        });
        Self {
            lines,
            reporter: reporter.thread().clone(),
        }
    }
}

/// A line that is left out is not formatted either.
impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if metadata.target() == LEFT_OUT {
            return true;
        }
        let room = match *metadata.level() {
            Level::ERROR | Level::WARN => A_SECOND,
            _ => A_SECOND - FOR_WARNINGS,
        };
        let now = Instant::now();
        let is_over = |then: &Instant| now.duration_since(*then) >= Duration::from_secs(1);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        while lines.passed.front().is_some_and(is_over) {
            lines.passed.pop_front();
        }
        let passes = lines.passed.len() < room;
        if passes {
            lines.passed.push_back(now);
        } else {
            lines.left_out += 1;
            if lines.left_out == 1 {
                self.reporter.unpark();
            }
        }
        passes
    }
}

/// Logs how many lines were left out since the last report, if any.
fn report(lines: &Mutex<Lines>) {
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let left_out = mem::take(&mut lines.left_out);
    // While the lock is held, so that the end of the log cannot come between.
    if left_out > 0 {
        tracing::warn!(
            target: LEFT_OUT,
            "{left_out} lines were left out: at most {A_SECOND} are written a second"
        );
    }
}

/// Lines that are written to stderr together: the appender flushes when no line waits.
#[derive(Default)]
struct Gathering(Vec<u8>);

impl Gathering {
    /// Writes the lines; if stderr is closed they are lost.
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
pub(crate) struct Log {
    guard: Option<WorkerGuard>,
    lines: Arc<Mutex<Lines>>,
}

/// Flushes for a second at most: the guard prints to stdout when it fails, and would wait there.
impl Drop for Log {
    fn drop(&mut self) {
        report(&self.lines);
        let (guard, (done, flushed)) = (self.guard.take(), mpsc::channel::<()>());
        thread::spawn(move || drop((guard, done)));
        let _ = flushed.recv_timeout(Duration::from_secs(1));
    }
}
