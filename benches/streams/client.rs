//! What both load clients are: given turns, they take what comes and count it.

use std::{
    io::ErrorKind,
    mem,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use crate::{deviation::Deviation, servers::Server};

/// For the last to open, when all were begun.
const OPEN_DEADLINE: Duration = Duration::from_secs(120);
const EXIT_DEADLINE: Duration = Duration::from_secs(30);

/// What to ask for, and how often events are due.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddrV4,
    pub(crate) path: String,
    pub(crate) interval: Duration,
}

/// What a window has seen.
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) lost: usize,
    pub(crate) deviation: Deviation,
}

pub(crate) trait Client {
    /// Waits for what comes at most this long, and takes it.
    fn turn(&mut self, timeout: Duration) -> Result<(), String>;

    /// What was counted since the last window.
    fn tally(&mut self) -> &mut Tally;

    /// Streams that ended as their protocol has it: with the terminating chunk, or `END_STREAM`.
    fn ended_cleanly(&self) -> usize;

    /// Streams that have not ended, and have had no event for so long.
    fn silent_for(&self, time: Duration) -> usize;

    /// Why the last lost stream was lost.
    fn reason(&self) -> &str;

    /// Takes what comes for a while and says what came.
    fn watch(&mut self, duration: Duration) -> Result<Tally, String> {
        *self.tally() = Tally::new();
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(mem::replace(self.tally(), Tally::new()));
            }
            self.turn(left)?;
        }
    }

    /// Asks the server to end, and says how long it took.
    fn watch_the_end_of(&mut self, server: &mut Server) -> Result<Duration, String> {
        server.terminate()?;
        let begin = Instant::now();
        while !server.has_exited() {
            if begin.elapsed() > EXIT_DEADLINE {
                let patience = EXIT_DEADLINE.as_secs();
                return Err(format!("it did not exit within {patience} s of SIGTERM"));
            }
            self.turn(Duration::from_millis(1))?;
        }
        Ok(begin.elapsed())
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            events: 0,
            lost: 0,
            deviation: Deviation::new(),
        }
    }
}

/// The opening of so many, evenly over a time; all at once over none.
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

    /// How many are to be begun by now.
    pub(crate) fn due(&self) -> usize {
        let share = self.begin.elapsed().as_secs_f64() / self.over.as_secs_f64().max(1e-9);
        (self.count as f64 * share.min(1.0)) as usize
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Whether the last of them should long be open.
    pub(crate) fn is_over(&self) -> bool {
        self.elapsed() > self.over + OPEN_DEADLINE
    }
}

/// Waits for ready sockets at most this long.
pub(crate) fn wait(poll: &mut Poll, ready: &mut Events, timeout: Duration) -> Result<(), String> {
    match poll.poll(ready, Some(timeout)) {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            ready.clear();
            Ok(())
        }
        other => other.map_err(|error| format!("epoll failed: {error}")),
    }
}
