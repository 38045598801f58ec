//! One stream, and the part of its response that is under way.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ready_queue::ReadyQueue;
use crate::connection::Connection;
use crate::shutdown::Exchange;

/// The bytes and the frames of a stream at which no more may wait.
///
/// h2 keeps half a KiB for a frame, even for a short frame.
const BYTES: u64 = 1024;
const FRAMES: u64 = 2;

/// How long a client gets to read its last frames before a reset.
///
/// curl, nghttp2 and Chromium drop data that they have not handed over when the reset comes in the
/// same read. 10 ms are enough for a client that has a processor to itself.
const BEFORE_RESET: Duration = Duration::from_millis(250);

/// How soon a stream, before a reset, first checks whether its frames were written.
///
/// Later checks are less frequent.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// One frame, in a number that counts bytes in the lower 48 bits.
const FRAME: u64 = 1 << 48;

/// A stream of a connection, and the part of its response that is under way.
///
/// Everything except waking is done in the task of the connection.
pub(super) struct Stream {
    connection: Connection,
    queue: Arc<ReadyQueue>,
    /// The slot of the stream among the streams of its connection.
    slot: usize,
    /// Whether the stream is in the ready queue.
    is_awake: AtomicBool,
    /// What hyper was given and has not passed on: the bytes, and [`FRAME`] for each frame.
    waiting: AtomicU64,
    /// When the last bytes left or, before that, when the first bytes came.
    ///
    /// The unit is nanoseconds of the connection.
    since: AtomicU64,
    is_awaited: AtomicBool,
    responded: AtomicBool,
    ends: AtomicBool,
}

impl Stream {
    pub(super) fn new(connection: Connection, queue: Arc<ReadyQueue>, slot: usize) -> Self {
        Self {
            connection,
            queue,
            slot,
            is_awake: AtomicBool::new(false),
            waiting: AtomicU64::new(0),
            since: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            responded: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        }
    }

    /// Adds the stream to the ready queue, unless the stream is in the queue.
    pub(super) fn wake(&self) {
        if !self.is_awake.swap(true, AcqRel) {
            self.queue.wait(self.slot);
        }
    }

    /// Begins a poll of the stream: a wake from now on adds the stream to the ready queue again.
    pub(super) fn begin_polling(&self) {
        self.is_awake.swap(false, AcqRel);
    }

    /// Ends the stream, even before the end of its response.
    pub(super) fn end(&self) {
        self.ends.store(true, Relaxed);
        self.wake();
    }

    /// Returns whether the stream is to end: it is stuck, or the shutdown begins before its
    /// response.
    pub(super) fn is_to_end(&self) -> bool {
        let is_answered = || self.responded.load(Relaxed);
        self.ends.load(Relaxed) || (!is_answered() && self.connection.is_shutting_down())
    }

    /// Records that hyper is given the first frame (the response head) or the last (the end of the
    /// body).
    pub(super) fn add_frame(&self) {
        self.queue.add_frame();
    }

    /// Records that hyper is given a frame of `bytes` bytes.
    pub(super) fn add(&self, bytes: usize) {
        let now = self.queue.add_frame();
        if bytes == 0 {
            return;
        }
        if self.has_left() {
            self.since.store(now, Relaxed);
        }
        self.waiting.fetch_add(FRAME + bytes as u64, Relaxed);
    }

    /// Records that `bytes` bytes have left, and whether they complete a frame.
    pub(super) fn leave(&self, bytes: usize, ends: bool) {
        if bytes == 0 {
            return;
        }
        let gone = bytes as u64 + if ends { FRAME } else { 0 };
        if self.waiting.fetch_sub(gone, Relaxed) > gone {
            self.since.store(self.queue.now(), Relaxed);
        } else if self.is_awaited.load(Relaxed) {
            self.is_awaited.store(false, Relaxed);
            self.wake();
        }
    }

    /// Returns since when bytes wait while none of them leaves.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let since = || self.queue.instant(self.since.load(Relaxed));
        (!self.has_left()).then(since)
    }

    /// Waits until one more frame may wait.
    pub(super) fn poll_room(&self) -> Poll<()> {
        let waiting = self.waiting.load(Relaxed);
        if waiting < FRAMES * FRAME && waiting % FRAME < BYTES {
            return Poll::Ready(());
        }
        self.poll_none()
    }

    /// Waits until no bytes wait.
    pub(super) fn poll_none(&self) -> Poll<()> {
        self.is_awaited.store(!self.has_left(), Relaxed);
        if self.has_left() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits until all frames are written to the socket, then gives the client time to read them.
    pub(super) async fn read_by_client(self: Arc<Self>) {
        poll_fn(|_| self.poll_none()).await;
        let flushes = self.queue.flushes();
        let mut pause = CHECK_INTERVAL;
        while self.queue.flushes() == flushes {
            sleep(pause).await;
            pause = (2 * pause).min(BEFORE_RESET);
        }
        sleep(BEFORE_RESET).await;
    }

    /// Returns whether all bytes have left.
    pub(super) fn has_left(&self) -> bool {
        self.waiting.load(Relaxed) == 0
    }
}

impl Wake for Stream {
    fn wake(self: Arc<Self>) {
        Stream::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Stream::wake(self);
    }
}

impl Exchange for Arc<Stream> {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Once a response has begun, the stream goes on until the bytes of the response have left.
    fn set_responding(&self, responding: bool) {
        self.responded.fetch_or(responding, Relaxed);
    }

    /// Always ready, because `Sent` waits for this, and longer.
    fn poll_left(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
