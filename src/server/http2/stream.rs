//! One stream, and what of its answer is under way.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::futures::TaskLocalFuture;
use tokio::time::Instant;

use super::turn::Turn;
use crate::connection::Connection;
use crate::server::shutdown::Exchange;

/// The bytes and the frames of a stream beyond which no more may wait; h2 keeps half a KiB for a
/// frame, however short it is.
const BYTES: usize = 1024;
const FRAMES: usize = 2;

tokio::task_local! {
    /// The stream that the current task is for.
    static STREAM: Arc<Stream>;
}

/// The stream that the current task is for.
pub(super) fn current() -> Arc<Stream> {
    STREAM.with(Arc::clone)
}

/// `task`, which is for this stream.
pub(super) fn scope<F: Future>(stream: Arc<Stream>, task: F) -> TaskLocalFuture<Arc<Stream>, F> {
    STREAM.scope(stream, task)
}

/// A stream of a connection, and what is under way on it.
pub(super) struct Stream {
    connection: Connection,
    turn: Arc<Turn>,
    answered: AtomicBool,
    ends: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// What was given to hyper and has not left it.
#[derive(Default)]
struct Waiting {
    bytes: usize,
    frames: usize,
    /// When the last bytes left, or else the first came.
    since: Option<Instant>,
    is_awaited: bool,
    /// The task of the stream, which is always the same.
    task: Option<Waker>,
}

impl Waiting {
    /// Waits until there is nothing.
    fn poll_none(&mut self) -> Poll<()> {
        self.is_awaited = self.bytes > 0;
        if self.is_awaited {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Stream {
    pub(super) fn new(connection: Connection, turn: Arc<Turn>) -> Self {
        Self {
            connection,
            turn,
            answered: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        if let Some(task) = &self.waiting().task {
            task.wake_by_ref();
        }
    }

    /// Ends it, whatever it has still to say.
    pub(super) fn end(&self) {
        self.ends.store(true, Relaxed);
        self.wake();
    }

    /// Whether its `task` has no more to do: it is stuck, or the shutdown begins before its answer.
    pub(super) fn is_to_end(&self, task: &Waker) -> bool {
        let ends = self.ends.load(Relaxed);
        if ends || self.answered.load(Relaxed) {
            return ends;
        }
        self.waiting().task.get_or_insert_with(|| task.clone());
        self.connection.is_shutting_down()
    }

    /// Notes that hyper is given the head of the answer.
    pub(super) fn add_head(&self) {
        self.turn.add_frame();
    }

    /// Notes that hyper is given a frame of so many bytes.
    pub(super) fn add(&self, bytes: usize) {
        self.turn.add_frame();
        if bytes > 0 {
            let mut waiting = self.waiting();
            waiting.bytes += bytes;
            waiting.frames += 1;
            waiting.since.get_or_insert_with(Instant::now);
        }
    }

    /// Notes that so many bytes have left, the last of a frame if it `ends`.
    pub(super) fn leave(&self, bytes: usize, ends: bool) {
        if bytes == 0 {
            return;
        }
        let mut waiting = self.waiting();
        waiting.bytes -= bytes;
        waiting.frames -= usize::from(ends);
        if waiting.bytes > 0 {
            waiting.since = Some(Instant::now());
            return;
        }
        waiting.since = None;
        if std::mem::take(&mut waiting.is_awaited)
            && let Some(task) = &waiting.task
        {
            task.wake_by_ref();
        }
    }

    /// Since when bytes wait, and none of them leaves.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.waiting().since
    }

    /// Waits until one more frame may wait.
    pub(super) fn poll_room(&self) -> Poll<()> {
        let mut waiting = self.waiting();
        if waiting.bytes < BYTES && waiting.frames < FRAMES {
            return Poll::Ready(());
        }
        waiting.poll_none()
    }

    /// Whether all has left.
    pub(super) fn has_left(&self) -> bool {
        self.waiting().bytes == 0
    }
}

impl Exchange for Arc<Stream> {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Once it answers, it goes on until its bytes have left.
    fn set_answering(&self, answering: bool) {
        self.answered.fetch_or(answering, Relaxed);
    }

    fn poll_left(&self, _: &mut Context<'_>) -> Poll<()> {
        self.waiting().poll_none()
    }
}
