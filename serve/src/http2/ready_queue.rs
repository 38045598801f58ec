//! The ready queue of a connection's streams.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The most frames that may wait for the next poll of the connection.
///
/// h2 never frees the memory for the most frames that ever waited at the same time, half a KiB
/// each.
pub(super) const MAX_FRAMES: usize = 64;

/// Schedules the polls of a connection and of its streams.
#[derive(Default)]
pub(super) struct ReadyQueue {
    /// Frames that hyper was given since the last poll of the connection.
    frames: AtomicUsize,
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
        self.waiting().connection = None;
    }

    /// Records that hyper is given a frame.
    pub(super) fn add_frame(&self) {
        self.frames.fetch_add(1, Relaxed);
    }
}
