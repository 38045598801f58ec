//! What both load clients share: a poll loop that counts events.

use std::{
    io::ErrorKind,
    mem,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use crate::histogram::Histogram;

/// Time for the last stream to open after all requests were sent.
const OPEN_DEADLINE: Duration = Duration::from_secs(120);

/// Counts of one measurement window.
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) lost: usize,
    pub(crate) deviation: Histogram,
}

pub(crate) trait Client {
    /// Waits at most `timeout` for data, and processes it.
    fn poll(&mut self, timeout: Duration) -> Result<(), String>;

    /// Returns the counts since the last window.
    fn tally(&mut self) -> &mut Tally;

    /// Returns the number of streams that ended with the terminating chunk or `END_STREAM`.
    fn ended_cleanly(&self) -> usize;

    /// Returns the number of unfinished streams without an event for `time`.
    fn silent_for(&self, time: Duration) -> usize;

    /// Returns why the last lost stream was lost.
    fn reason(&self) -> &str;

    /// Counts events for `duration`.
    fn watch(&mut self, duration: Duration) -> Result<Tally, String> {
        *self.tally() = Tally::new();
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(mem::replace(self.tally(), Tally::new()));
            }
            self.poll(left)?;
        }
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            events: 0,
            lost: 0,
            deviation: Histogram::new(),
        }
    }
}

/// A schedule that opens `count` streams evenly over a duration. Zero opens all at once.
pub(crate) struct Pace {
    begin: Instant,
    count: usize,
    over: Duration,
}

impl Pace {
    pub(crate) fn begin(count: usize, over: Duration) -> Self {
        let begin = Instant::now();
        Self { begin, count, over }
    }

    /// Returns how many streams should be started by now.
    pub(crate) fn due(&self) -> usize {
        let share = self.begin.elapsed().as_secs_f64() / self.over.as_secs_f64().max(1e-9);
        (self.count as f64 * share.min(1.0)) as usize
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Returns whether the deadline of the last stream has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.elapsed() > self.over + OPEN_DEADLINE
    }
}

/// Waits at most `timeout` for ready sockets.
pub(crate) fn wait(poll: &mut Poll, ready: &mut Events, timeout: Duration) -> Result<(), String> {
    match poll.poll(ready, Some(timeout)) {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            ready.clear();
            Ok(())
        }
        other => other.map_err(|error| format!("epoll failed: {error}")),
    }
}
