//! The state of one connection. HTTP/1.1 has one response at a time on a connection.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::connection::Connection;
use super::content::{Unread, is_unread};
use super::shutdown::Exchange;

/// One connection, and the request and response that are under way.
#[derive(Debug)]
pub(super) struct ConnectionState {
    pub(super) connection: Connection,
    responding: AtomicBool,
    stuck: AtomicBool,
    shared: AtomicBool,
    busy: AtomicBool,
    content: Mutex<Unread>,
}

impl ConnectionState {
    pub(super) fn new(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            connection,
            responding: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            shared: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            content: Mutex::default(),
        })
    }

    /// Returns whether a response has begun and has not left this process completely.
    pub(super) fn is_responding(&self) -> bool {
        self.responding.load(Relaxed) || self.stuck.load(Relaxed)
    }

    /// Records that many responses share the connection.
    #[cfg(feature = "tls")]
    pub(super) fn set_shared(&self) {
        self.shared.store(true, Relaxed);
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.load(Relaxed)
    }

    /// Records that a request was dispatched, with content that is still to be read, if any.
    pub(super) fn begin(&self, content: Unread) {
        self.busy.store(true, Relaxed);
        *self.content() = content;
    }

    /// Returns whether a request was dispatched and the response is not at its end.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// Returns whether bytes of the peer may be content that is still to be read.
    pub(super) fn has_content(&self) -> bool {
        is_unread(&self.content())
    }

    fn content(&self) -> MutexGuard<'_, Unread> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether bytes wait for room in the socket, and returns the previous value.
    pub(super) fn set_stuck(&self, stuck: bool) -> bool {
        self.stuck.swap(stuck, Relaxed)
    }
}

impl Exchange for Arc<ConnectionState> {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn set_responding(&self, responding: bool) {
        self.responding.store(responding, Relaxed);
        self.busy.store(responding, Relaxed);
    }

    /// `ServerIo` wakes the task when the bytes have left.
    fn poll_left(&self, _: &mut Context<'_>) -> Poll<()> {
        if self.stuck.load(Relaxed) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
