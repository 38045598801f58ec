//! One stream, and its frames that are in flight: given to h2 and not written.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::task::{Poll, Wake};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{Instant, sleep};

use super::ready_queue::ReadyQueue;

/// How long a client gets to read its last frames before a reset.
///
/// curl, nghttp2 and Chromium drop data that they have not handed over when the reset comes in the
/// same read. 10 ms are enough for a client that has a processor to itself.
const BEFORE_RESET: Duration = Duration::from_millis(250);

/// How soon a stream, before a reset, first checks whether its frames were written.
///
/// Later checks are less frequent.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// A stream of a connection.
///
/// Everything except waking is done in the task of the connection.
pub(super) struct Stream {
    queue: Arc<ReadyQueue>,
    /// The slot of the stream among the streams of its connection.
    slot: usize,
    /// Whether the stream is in the ready queue.
    is_awake: AtomicBool,
    in_flight: AtomicUsize,
    /// When the last bytes were written or, before that, when the first frame was given to h2.
    ///
    /// The unit is nanoseconds of the connection.
    since: AtomicU64,
    /// Whether the stream waits for a frame to be written.
    is_waiting: AtomicBool,
}

impl Stream {
    pub(super) fn new(queue: Arc<ReadyQueue>, slot: usize) -> Self {
        Self {
            queue,
            slot,
            is_awake: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            is_waiting: AtomicBool::new(false),
        }
    }

    /// Adds the stream to the ready queue, unless the stream is in the queue.
    pub(super) fn wake(&self) {
        if !self.is_awake.swap(true, AcqRel) {
            self.queue.push(self.slot);
        }
    }

    /// Begins a poll of the stream: a wake from now on adds the stream to the ready queue again.
    pub(super) fn begin_polling(&self) {
        self.is_awake.swap(false, AcqRel);
    }

    /// Records that h2 is given a frame without data: the response head or the end of the body.
    pub(super) fn add_frame(&self) {
        self.queue.add_frame();
    }

    /// Waits until at most `most` frames are in flight.
    pub(super) fn poll_in_flight(&self, most: usize) -> Poll<()> {
        let is_waiting = self.in_flight() > most;
        self.is_waiting.store(is_waiting, Relaxed);
        if is_waiting {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Returns since when frames are in flight while no bytes of them are written.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        let since = || self.queue.instant(self.since.load(Relaxed));
        (self.in_flight() > 0).then(since)
    }

    /// Waits until all frames are written to the socket, then gives the client time to read them.
    pub(super) async fn read_by_client(self: Arc<Self>) {
        poll_fn(|_| self.poll_in_flight(0)).await;
        let flushes = self.queue.flushes();
        let mut pause = CHECK_INTERVAL;
        while self.queue.flushes() == flushes {
            sleep(pause).await;
            pause = (2 * pause).min(BEFORE_RESET);
        }
        sleep(BEFORE_RESET).await;
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

/// The bytes of a frame in flight; h2 drops them once they are written.
pub(super) struct InFlight {
    bytes: Bytes,
    stream: Arc<Stream>,
}

impl InFlight {
    pub(super) fn new(bytes: Bytes, stream: &Arc<Stream>) -> Self {
        let now = stream.queue.add_frame();
        if stream.in_flight.fetch_add(1, Relaxed) == 0 {
            stream.since.store(now, Relaxed);
        }
        let stream = Arc::clone(stream);
        Self { bytes, stream }
    }
}

impl Buf for InFlight {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if !self.bytes.is_empty() {
            self.stream.since.store(self.stream.queue.now(), Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let stream = &self.stream;
        if stream.in_flight.fetch_sub(1, Relaxed) > 1 {
            stream.since.store(stream.queue.now(), Relaxed);
        }
        if stream.is_waiting.swap(false, Relaxed) {
            Stream::wake(stream);
        }
    }
}
