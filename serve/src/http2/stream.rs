//! One stream, and its frames in flight: given to h2, and neither written nor in its buffer.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::task::{Poll, Wake};

use bytes::{Buf, Bytes};
use tokio::time::sleep;

use super::ready_queue::ReadyQueue;
use crate::connection::{Connection, ready_if};
use crate::shutdown::BEFORE_CUT;

/// How often a client gets [`BEFORE_CUT`] while the socket is full.
const MAX_WAITS: u32 = 40;

/// A stream of a connection.
///
/// Everything except waking is done in the task of the connection.
pub(super) struct Stream {
    pub(super) queue: Arc<ReadyQueue>,
    /// The slot of the stream among the streams of its connection.
    slot: usize,
    /// Whether the stream is in the ready queue.
    is_awake: AtomicBool,
    /// Whether the stream waits for a frame to be written.
    is_waiting: AtomicBool,
    /// How many checks in a row have found the same bytes in flight.
    checks: AtomicU32,
    in_flight: AtomicUsize,
}

impl Stream {
    pub(super) fn new(queue: Arc<ReadyQueue>, slot: usize) -> Self {
        Self {
            queue,
            slot,
            is_awake: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            checks: AtomicU32::new(0),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Begins a poll of the stream: a wake from now on adds the stream to the ready queue again.
    pub(super) fn begin_polling(&self) {
        self.is_awake.swap(false, AcqRel);
    }

    /// Waits until at most `most` frames are in flight.
    pub(super) fn poll_in_flight(&self, most: usize) -> Poll<()> {
        let is_waiting = self.in_flight() > most;
        self.is_waiting.store(is_waiting, Relaxed);
        ready_if(!is_waiting)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Returns how many checks in a row, with this one, have found the same bytes in flight.
    pub(super) fn check(&self) -> u32 {
        match self.in_flight() {
            0 => 0,
            _ => 1 + self.checks.fetch_add(1, Relaxed),
        }
    }

    /// Waits until no frame is in flight, then gives the socket and the client time for the frames.
    pub(super) async fn read_by_client(self: Arc<Self>, connection: Connection) {
        poll_fn(|_| self.poll_in_flight(0)).await;
        for _ in 0..MAX_WAITS {
            let is_written = !connection.is_blocked();
            sleep(BEFORE_CUT).await;
            if is_written {
                break;
            }
        }
    }
}

/// Adds the stream to the ready queue, unless the stream is in the queue.
impl Wake for Stream {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_awake.swap(true, AcqRel) {
            self.queue.push(self.slot);
        }
    }
}

/// The bytes of a frame in flight; h2 drops them once they are written, or copied into its buffer of
/// 16 KiB for the socket.
pub(super) struct InFlight {
    bytes: Bytes,
    stream: Arc<Stream>,
}

impl InFlight {
    pub(super) fn new(bytes: Bytes, stream: &Arc<Stream>) -> Self {
        stream.queue.add_frame();
        if stream.in_flight.fetch_add(1, Relaxed) == 0 {
            stream.checks.store(0, Relaxed);
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
        self.stream.checks.store(0, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.stream.in_flight.fetch_sub(1, Relaxed);
        if self.stream.is_waiting.swap(false, Relaxed) {
            self.stream.wake_by_ref();
        }
    }
}
