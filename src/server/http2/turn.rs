//! Whose turn it is: streams wait in a row to give their connection frames, and it writes them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// The frames that may wait for the connection's turn: h2 keeps for ever the room of all that ever
/// waited at a time, half a KiB each.
pub(super) const FRAMES_AT_ONCE: usize = 32;

/// The turns of a connection and of its streams.
pub(super) struct Turn {
    /// Where the count of nanoseconds begins.
    start: Instant,
    /// When the first frame came since the connection's last turn.
    begun: AtomicU64,
    /// Frames that hyper was given since that turn.
    frames: AtomicUsize,
    /// Requests that have not had their first turn.
    requests: AtomicUsize,
    /// Whether what is given now need not wait for more.
    lets_go: AtomicBool,
    /// How often all that h2 had was written to the socket.
    flushes: AtomicUsize,
    row: Mutex<Row>,
}

#[derive(Default)]
struct Row {
    /// The slots of the streams that wait for their turn.
    streams: VecDeque<usize>,
    /// The task of the connection, while it sleeps.
    connection: Option<Waker>,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            frames: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            lets_go: AtomicBool::new(false),
            flushes: AtomicUsize::new(0),
            row: Mutex::default(),
        }
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the stream of this slot have a turn.
    pub(super) fn wait(&self, stream: usize) {
        let connection = {
            let mut row = self.row();
            row.streams.push_back(stream);
            row.connection.take()
        };
        if let Some(connection) = connection {
            connection.wake();
        }
    }

    /// Whether the `connection` may sleep, until a stream waits.
    pub(super) fn may_sleep(&self, connection: &Waker) -> bool {
        let mut row = self.row();
        let sleeps = row.streams.is_empty();
        row.connection = sleeps.then(|| connection.clone());
        sleeps
    }

    /// Whether little that was given waits for what other streams give.
    pub(super) fn holds_back(&self) -> bool {
        !self.lets_go.load(Relaxed) && !self.row().streams.is_empty()
    }

    /// Holds nothing back until the connection begins another turn.
    pub(super) fn let_go(&self) {
        self.lets_go.store(true, Relaxed);
    }

    /// Notes that a request waits for its first turn.
    pub(super) fn add_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Notes that one waits no more.
    pub(super) fn remove_request(&self) {
        self.requests.fetch_sub(1, Relaxed);
    }

    pub(super) fn has_requests(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Notes that all that h2 had was written to the socket.
    pub(super) fn count_flush(&self) {
        self.flushes.fetch_add(1, Relaxed);
    }

    /// How often all that h2 had was written to the socket.
    pub(super) fn flushes(&self) -> usize {
        self.flushes.load(Relaxed)
    }

    /// The stream whose turn it is, as long as it may give a frame.
    pub(super) fn next(&self) -> Option<usize> {
        if self.frames.load(Relaxed) >= FRAMES_AT_ONCE {
            return None;
        }
        self.row().streams.pop_front()
    }

    /// Begins the turn of the connection, which takes the frames.
    pub(super) fn begin(&self) {
        self.frames.store(0, Relaxed);
        self.lets_go.store(false, Relaxed);
        self.row().connection = None;
    }

    /// Notes that hyper is given a frame, and says when the first of this turn came.
    pub(super) fn add_frame(&self) -> u64 {
        if self.frames.fetch_add(1, Relaxed) == 0 {
            self.begun.store(self.now(), Relaxed);
        }
        self.begun.load(Relaxed)
    }

    /// The present time, in nanoseconds of this connection.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment after so many nanoseconds.
    pub(super) fn instant(&self, nanos: u64) -> Instant {
        self.start + Duration::from_nanos(nanos)
    }
}
