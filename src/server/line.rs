//! What is under way on the line of one connection, where HTTP/1.1 answers one request at a time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::connection::Connection;
use super::content::{Unread, is_unread};
use super::shutdown::Exchange;

/// One connection, and what is under way on it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: Connection,
    answering: AtomicBool,
    stuck: AtomicBool,
    shared: AtomicBool,
    busy: AtomicBool,
    content: Mutex<Unread>,
}

impl Line {
    pub(super) fn new(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            connection,
            answering: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            shared: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            content: Mutex::default(),
        })
    }

    /// Whether an answer has begun and has not left this process as a whole.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Relaxed) || self.stuck.load(Relaxed)
    }

    /// Notes that many answers share it.
    #[cfg(feature = "tls")]
    pub(super) fn set_shared(&self) {
        self.shared.store(true, Relaxed);
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.load(Relaxed)
    }

    /// Notes that a request was passed on, with content that is still to be read if it has any.
    pub(super) fn begin(&self, content: Unread) {
        self.busy.store(true, Relaxed);
        *self.content() = content;
    }

    /// Whether a request was passed on whose response is not at its end.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// Whether bytes of the peer may be content that is still to be read.
    pub(super) fn has_content(&self) -> bool {
        is_unread(&self.content())
    }

    fn content(&self) -> MutexGuard<'_, Unread> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether bytes wait for room in the socket, and says whether they did before.
    pub(super) fn set_stuck(&self, stuck: bool) -> bool {
        self.stuck.swap(stuck, Relaxed)
    }
}

impl Exchange for Arc<Line> {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn set_answering(&self, answering: bool) {
        self.answering.store(answering, Relaxed);
        self.busy.store(answering, Relaxed);
    }

    /// The wire wakes the task when its bytes have left.
    fn poll_left(&self, _: &mut Context<'_>) -> Poll<()> {
        if self.stuck.load(Relaxed) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
