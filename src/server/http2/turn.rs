//! Whose turn it is: the streams of a connection give it frames, and it writes them.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The frames that may wait for the connection's turn: h2 keeps for ever the room of all that ever
/// waited at a time, half a KiB each.
const AT_ONCE: usize = 32;

/// The turns of a connection.
#[derive(Default)]
pub(super) struct Turn {
    /// Frames that hyper was given since the last.
    frames: AtomicUsize,
    /// Requests that wait for the first turn of their task.
    requests: AtomicUsize,
    /// The task of the connection, which is always the same.
    task: Mutex<Option<Waker>>,
}

impl Turn {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the connection write what its streams have given it.
    pub(super) fn poll<F: Future + Unpin>(
        &self,
        serving: &mut F,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.task().get_or_insert_with(|| cx.waker().clone());
        self.frames.store(0, Relaxed);
        Pin::new(serving).poll(cx)
    }

    /// Notes that a request waits for its task.
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

    /// Notes that hyper is given a frame.
    pub(super) fn add_frame(&self) {
        self.frames.fetch_add(1, Relaxed);
    }

    /// Whether so many frames wait that the connection has its turn before the next.
    pub(super) fn is_full(&self) -> bool {
        let is_full = self.frames.load(Relaxed) >= AT_ONCE;
        if is_full && let Some(task) = &*self.task() {
            task.wake_by_ref();
        }
        is_full
    }
}
