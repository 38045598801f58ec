//! One stream, and what of its answer is under way.

use std::future::Future;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use tokio::task::futures::TaskLocalFuture;
use tokio::time::Instant;

use super::turn::Turn;
use crate::connection::Connection;
use crate::server::shutdown::Exchange;

/// The bytes and the frames of a stream beyond which no more may wait; h2 keeps half a KiB for a
/// frame, however short it is.
const BYTES: u64 = 1024;
const FRAMES: u64 = 2;

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
    /// The task of the stream, which is always the same.
    task: OnceLock<Waker>,
    /// What was given to hyper and has not left it: the frames above the bytes.
    waiting: AtomicU64,
    /// When the last bytes left, or else the first came, by the turns' count.
    since: AtomicU64,
    is_awaited: AtomicBool,
    answered: AtomicBool,
    ends: AtomicBool,
}

/// One frame, above its bytes.
const FRAME: u64 = 1 << 48;

impl Stream {
    pub(super) fn new(connection: Connection, turn: Arc<Turn>) -> Self {
        Self {
            connection,
            turn,
            task: OnceLock::new(),
            waiting: AtomicU64::new(0),
            since: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        }
    }

    pub(super) fn wake(&self) {
        if let Some(task) = self.task.get() {
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
        self.task.get_or_init(|| task.clone());
        self.connection.is_shutting_down()
    }

    /// Notes that hyper is given the head of the answer.
    pub(super) fn add_head(&self) {
        self.turn.add_frame();
    }

    /// Notes that hyper is given a frame of so many bytes.
    pub(super) fn add(&self, bytes: usize) {
        let now = self.turn.add_frame();
        if bytes == 0 {
            return;
        }
        if self.has_left() {
            self.since.store(now, Relaxed);
        }
        self.waiting.fetch_add(FRAME + bytes as u64, SeqCst);
    }

    /// Notes that so many bytes have left, the last of a frame if it `ends`.
    pub(super) fn leave(&self, bytes: usize, ends: bool) {
        if bytes == 0 {
            return;
        }
        let gone = bytes as u64 + if ends { FRAME } else { 0 };
        if self.waiting.fetch_sub(gone, SeqCst) > gone {
            self.since.store(self.turn.now(), Relaxed);
        } else if self.is_awaited.load(SeqCst) {
            self.is_awaited.store(false, SeqCst);
            self.wake();
        }
    }

    /// Since when bytes wait, and none of them leaves.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let since = || self.turn.instant(self.since.load(Relaxed));
        (!self.has_left()).then(since)
    }

    /// Waits until one more frame may wait.
    pub(super) fn poll_room(&self) -> Poll<()> {
        let waiting = self.waiting.load(SeqCst);
        if waiting < FRAMES * FRAME && waiting % FRAME < BYTES {
            return Poll::Ready(());
        }
        self.poll_none()
    }

    /// Waits until there is nothing.
    fn poll_none(&self) -> Poll<()> {
        // Noted first: what leaves after the look finds it.
        self.is_awaited.store(true, SeqCst);
        if !self.has_left() {
            return Poll::Pending;
        }
        self.is_awaited.store(false, SeqCst);
        Poll::Ready(())
    }

    /// Whether all has left.
    pub(super) fn has_left(&self) -> bool {
        self.waiting.load(SeqCst) == 0
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
        self.poll_none()
    }
}
