//! The ready queue of a connection's streams.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// The most frames that may wait for the next poll of the connection.
///
/// h2 never frees the memory for the most frames that ever waited at the same time, half a KiB
/// each.
pub(super) const MAX_FRAMES: usize = 32;

/// Schedules the polls of a connection and of its streams.
pub(super) struct ReadyQueue {
    /// The instant at which the count of nanoseconds begins.
    start: Instant,
    /// When hyper was given the first frame since the last poll of the connection.
    begun: AtomicU64,
    /// Frames that hyper was given since the last poll of the connection.
    frames: AtomicUsize,
    /// Whether small writes need not wait for more frames.
    is_uncorked: AtomicBool,
    /// How often all frames of h2 were written to the socket.
    flushes: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The slots of the streams that wait to be polled.
    streams: VecDeque<usize>,
    /// The waker of the connection's task, while that task sleeps.
    connection: Option<Waker>,
}

impl ReadyQueue {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            frames: AtomicUsize::new(0),
            is_uncorked: AtomicBool::new(false),
            flushes: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the stream of this slot to the queue.
    pub(super) fn push(&self, slot: usize) {
        let connection = {
            let mut waiting = self.waiting();
            waiting.streams.push_back(slot);
            waiting.connection.take()
        };
        if let Some(connection) = connection {
            connection.wake();
        }
    }

    /// Returns whether the `connection` may sleep, until a stream is added to the queue.
    pub(super) fn may_sleep(&self, connection: &Waker) -> bool {
        let mut waiting = self.waiting();
        let sleeps = waiting.streams.is_empty();
        waiting.connection = sleeps.then(|| connection.clone());
        sleeps
    }

    /// Returns whether small writes are held back until the queue is empty.
    pub(super) fn holds_back(&self) -> bool {
        !self.is_uncorked.load(Relaxed) && !self.waiting().streams.is_empty()
    }

    /// Holds nothing back in the next poll of the connection.
    pub(super) fn uncork(&self) {
        self.is_uncorked.store(true, Relaxed);
    }

    /// Records that all frames of h2 were written to the socket.
    pub(super) fn count_flush(&self) {
        self.flushes.fetch_add(1, Relaxed);
    }

    /// Returns how often all frames of h2 were written to the socket.
    pub(super) fn flushes(&self) -> usize {
        self.flushes.load(Relaxed)
    }

    /// Removes and returns the next stream, unless too many frames wait already.
    pub(super) fn pop(&self) -> Option<usize> {
        if self.frames.load(Relaxed) >= MAX_FRAMES {
            return None;
        }
        self.waiting().streams.pop_front()
    }

    /// Begins a poll of the connection, which takes the frames.
    pub(super) fn begin(&self) {
        self.frames.store(0, Relaxed);
        self.is_uncorked.store(false, Relaxed);
        self.waiting().connection = None;
    }

    /// Records that hyper is given a frame, and returns when the first since the last poll came.
    pub(super) fn add_frame(&self) -> u64 {
        if self.frames.fetch_add(1, Relaxed) == 0 {
            self.begun.store(self.now(), Relaxed);
        }
        self.begun.load(Relaxed)
    }

    /// Returns the present time, in nanoseconds of this connection.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns the instant after `nanos` nanoseconds of this connection.
    pub(super) fn instant(&self, nanos: u64) -> Instant {
        self.start + Duration::from_nanos(nanos)
    }
}
