//! The log on stderr, which never makes a stream wait and has at most 1,000 lines a second.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::iter::repeat_n;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};
use std::{env, panic, thread};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Lines that are written in any one second: 9 GB a day at most.
const A_SECOND: isize = 1000;

/// The part of these lines that is kept for warnings and errors.
const FOR_WARNINGS: isize = 100;

const SECOND: Duration = Duration::from_secs(1);

/// The target of the line that says how many lines were left out, at most once a second and at the end.
const REPORT: &str = "sse_clock::left_out";

/// Bytes of lines that are written together.
const TOGETHER: usize = 8 * 1024;

/// The pause after a write: a line that is logged meanwhile does not wake the writer.
const REST: Duration = Duration::from_millis(10);

/// The filter without `RUST_LOG`: h2 would warn of every fault of a client.
const USUAL: &str = "info,h2=error";

/// How many lines may be logged now.
///
/// A line takes one of these, and the writer gives it back a second after the line was written; each
/// event makes one line. So the lines that wait have a bound as well, however slow the reader of
/// stderr is.
static BUDGET: AtomicIsize = AtomicIsize::new(A_SECOND);

/// How many lines were left out since the last report.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// The running log. Dropping it flushes what was logged, for a second at most.
pub(crate) struct Log {
    lines: Lines,
    flushed: Receiver<()>,
}

/// The lines that wait for the writer; an empty line ends it.
#[derive(Clone)]
struct Lines(SyncSender<Vec<u8>>);

/// Starts the log with the filter of `RUST_LOG`, or the usual one.
pub(crate) fn start() -> Log {
    // Three more: two that say what was left out, and the end.
    let (lines, waiting) = mpsc::sync_channel(A_SECOND.unsigned_abs() + 3);
    let (lines, (done, flushed)) = (Lines(lines), mpsc::channel());
    // `sse_clock` in RUST_LOG means the server's crate too.
    let own = env::var("RUST_LOG").map(|own| [own.replace("sse_clock", "longhaul"), own].join(","));
    let filter = EnvFilter::builder()
        .with_default_directive(Level::INFO.into())
        .parse(own.as_deref().unwrap_or(USUAL))
        .unwrap_or_else(|_| EnvFilter::new(USUAL));
    let always = format!("{REPORT}=warn").parse();
    let always = always.expect("a target and a level");
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter.add_directive(always))
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(move || writer.clone())
        .finish()
        .with(Limit)
        .init();
    let writer = thread::Builder::new().name("log".into()).spawn(move || {
        write(&waiting);
        drop(done);
    });
    writer.expect("a thread starts");
    // The standard hook writes to stderr, and would wait for a full pipe.
    panic::set_hook(Box::new(|panic| {
        tracing::error!("a task panicked: {panic}");
    }));
    Log { lines, flushed }
}

/// Writes the lines to stderr, as many as wait at a time. If stderr is closed they are lost.
fn write(waiting: &Receiver<Vec<u8>>) {
    let (mut written, mut reported) = (VecDeque::<Instant>::new(), None::<Instant>);
    loop {
        let oldest = written.front();
        let next = match oldest.map(|time| SECOND.saturating_sub(time.elapsed()).max(REST)) {
            Some(rest) => waiting.recv_timeout(rest),
            None => waiting.recv().map_err(RecvTimeoutError::from),
        };
        let (mut text, mut lines, mut is_last) = (Vec::new(), 0, false);
        for line in next.into_iter().chain(waiting.try_iter()) {
            is_last = line.is_empty();
            text.extend(line);
            lines += 1;
            if is_last || text.len() > TOGETHER {
                break;
            }
        }
        if is_last {
            // A report of this thread may have come after the end.
            text.extend(waiting.try_iter().flatten());
        }
        drop(io::stderr().write_all(&text));
        written.extend(repeat_n(Instant::now(), lines));
        if is_last {
            return;
        }
        if !text.is_empty() {
            thread::sleep(REST);
        }
        let is_old = |time: &Instant| time.elapsed() >= SECOND;
        let old = written.iter().take_while(|time| is_old(time)).count();
        if old > 0 && reported.as_ref().is_none_or(is_old) && report() {
            reported = Some(Instant::now());
        }
        written.drain(..old);
        BUDGET.fetch_add(old.cast_signed(), Relaxed);
    }
}

/// Logs how many lines were left out since the last report, and returns whether there were any.
fn report() -> bool {
    let left_out = LEFT_OUT.swap(0, Relaxed);
    if left_out > 0 {
        tracing::warn!(
            target: REPORT,
            "{left_out} lines were left out: at most {A_SECOND} are written a second"
        );
    }
    left_out > 0
}

struct Limit;

/// A line that is left out is not formatted either.
impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let kept = match *metadata.level() {
            _ if metadata.target() == REPORT => isize::MIN,
            Level::ERROR | Level::WARN => 0,
            _ => FOR_WARNINGS,
        };
        let take = |left: isize| (left > kept).then(|| left - 1);
        let fits = BUDGET.fetch_update(Relaxed, Relaxed, take).is_ok();
        if !fits {
            LEFT_OUT.fetch_add(1, Relaxed);
        }
        fits
    }
}

impl Write for Lines {
    /// Hands the line to the writer without waiting.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        report();
        let _ = self.lines.0.try_send(Vec::new());
        let _ = self.flushed.recv_timeout(SECOND);
    }
}
