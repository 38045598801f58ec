//! One stream, and what of its answer is under way.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::turn::Turn;
use crate::server::connection::Connection;
use crate::server::shutdown::Exchange;

/// The bytes and the frames of a stream beyond which no more may wait; h2 keeps half a KiB for a
/// frame, however short it is.
const BYTES: u64 = 1024;
const FRAMES: u64 = 2;

/// How long a client gets to read its last frames before a reset: curl, nghttp2 and Chromium drop
/// what they have not handed over when the reset comes in the same read. 10 ms are enough for a
/// client that has a processor to itself.
const BEFORE_RESET: Duration = Duration::from_millis(250);

/// How soon a stream that is to be reset looks whether its frames were written; less often later.
const LOOK: Duration = Duration::from_millis(10);

/// A frame, in a number that counts bytes below it.
const FRAME: u64 = 1 << 48;

/// A stream of a connection, and what is under way on it: all but its waking is done in the task of
/// the connection.
pub(super) struct Stream {
    connection: Connection,
    turn: Arc<Turn>,
    /// Where it is among those of its connection.
    slot: usize,
    /// Whether it waits for a turn.
    is_awake: AtomicBool,
    /// What was given to hyper and has not left it: its bytes, and [`FRAME`] for each frame.
    waiting: AtomicU64,
    /// When the last bytes left, or else the first came, in nanoseconds of the connection.
    since: AtomicU64,
    is_awaited: AtomicBool,
    answered: AtomicBool,
    ends: AtomicBool,
}

impl Stream {
    pub(super) fn new(connection: Connection, turn: Arc<Turn>, slot: usize) -> Self {
        Self {
            connection,
            turn,
            slot,
            is_awake: AtomicBool::new(false),
            waiting: AtomicU64::new(0),
            since: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        }
    }

    /// Lets it have a turn.
    pub(super) fn wake(&self) {
        if !self.is_awake.swap(true, AcqRel) {
            self.turn.wait(self.slot);
        }
    }

    /// Begins its turn: whoever wakes it from now on lets it have another.
    pub(super) fn begin_turn(&self) {
        self.is_awake.swap(false, AcqRel);
    }

    /// Ends it, whatever it has still to say.
    pub(super) fn end(&self) {
        self.ends.store(true, Relaxed);
        self.wake();
    }

    /// Whether it has no more to do: it is stuck, or the shutdown begins before its answer.
    pub(super) fn is_to_end(&self) -> bool {
        let is_answered = || self.answered.load(Relaxed);
        self.ends.load(Relaxed) || (!is_answered() && self.connection.is_shutting_down())
    }

    /// Notes that hyper is given the first frame, the head of the answer, or the last, its end.
    pub(super) fn add_frame(&self) {
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
        self.waiting.fetch_add(FRAME + bytes as u64, Relaxed);
    }

    /// Notes that so many bytes have left, the last of a frame if it `ends`.
    pub(super) fn leave(&self, bytes: usize, ends: bool) {
        if bytes == 0 {
            return;
        }
        let gone = bytes as u64 + if ends { FRAME } else { 0 };
        if self.waiting.fetch_sub(gone, Relaxed) > gone {
            self.since.store(self.turn.now(), Relaxed);
        } else if self.is_awaited.load(Relaxed) {
            self.is_awaited.store(false, Relaxed);
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
        let waiting = self.waiting.load(Relaxed);
        if waiting < FRAMES * FRAME && waiting % FRAME < BYTES {
            return Poll::Ready(());
        }
        self.poll_none()
    }

    /// Waits until there is nothing.
    pub(super) fn poll_none(&self) -> Poll<()> {
        self.is_awaited.store(!self.has_left(), Relaxed);
        if self.has_left() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits until all frames are written to the socket, and then for the client to read them.
    pub(super) async fn read_by_client(self: Arc<Self>) {
        poll_fn(|_| self.poll_none()).await;
        let flushes = self.turn.flushes();
        let mut pause = LOOK;
        while self.turn.flushes() == flushes {
            sleep(pause).await;
            pause = (2 * pause).min(BEFORE_RESET);
        }
        sleep(BEFORE_RESET).await;
    }

    /// Whether all has left.
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

    /// Once it answers, it goes on until its bytes have left.
    fn set_answering(&self, answering: bool) {
        self.answered.fetch_or(answering, Relaxed);
    }

    /// The body of the stream waits for this, and longer.
    fn poll_left(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
