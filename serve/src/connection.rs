//! The connection of a request: the peer, the shutdown, and what is under way.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};

use super::content::{Unread, is_unread};
use super::shutdown::Shutdown;

/// A handle on a request's connection, found in the extensions of the request.
#[derive(Clone, Debug)]
pub struct Connection(Arc<State>);

/// `responding` and `content` are read over HTTP/1.1 alone, which has one request at a time.
#[derive(Debug)]
struct State {
    peer: SocketAddr,
    shutdown: Arc<Shutdown>,
    /// Whether many responses share the connection.
    http2: AtomicBool,
    responding: AtomicBool,
    blocked: AtomicBool,
    /// Whether a read may find bytes.
    readable: AtomicBool,
    /// The task to wake when the socket is readable.
    task: Mutex<Waker>,
    content: Mutex<Unread>,
}

/// The waker of the socket's reads.
impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.readable.store(true, Release);
        let task = lock(&self.task).clone();
        task.wake();
    }
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, shutdown: Arc<Shutdown>) -> Self {
        Self(Arc::new(State {
            peer,
            shutdown,
            http2: AtomicBool::new(false),
            responding: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            readable: AtomicBool::new(true),
            task: Mutex::new(Waker::noop().clone()),
            content: Mutex::default(),
        }))
    }

    /// Returns the address of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Returns whether the server has begun to shut down.
    ///
    /// A body without a known length then ends.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.0.shutdown.begun.initialized()
    }

    /// Returns the steps of the server's shutdown, to wait for.
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// Returns whether many responses share the connection.
    pub(crate) fn is_http2(&self) -> bool {
        self.0.http2.load(Relaxed)
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_http2(&self, http2: bool) {
        self.0.http2.store(http2, Relaxed);
    }

    /// Returns whether a request was dispatched and the response is not at its end.
    pub(crate) fn is_responding(&self) -> bool {
        self.0.responding.load(Relaxed)
    }

    pub(crate) fn set_responding(&self, responding: bool) {
        self.0.responding.store(responding, Relaxed);
    }

    /// Returns whether written bytes wait for room in the socket.
    pub(crate) fn is_blocked(&self) -> bool {
        self.0.blocked.load(Relaxed)
    }

    /// Waits until no written bytes wait for room, if a write wakes the task.
    pub(crate) fn poll_unblocked(&self) -> Poll<()> {
        ready_if(!self.is_blocked())
    }

    /// Returns the previous value.
    pub(crate) fn set_blocked(&self, blocked: bool) -> bool {
        self.0.blocked.swap(blocked, Relaxed)
    }

    /// Returns whether bytes of the peer may be content that the handler is still to read.
    pub(crate) fn has_content(&self) -> bool {
        is_unread(&lock(&self.0.content))
    }

    pub(crate) fn set_content(&self, content: Unread) {
        *lock(&self.0.content) = content;
    }

    /// Returns the waker for a read, or `None` if nothing has come since a read that found nothing.
    ///
    /// After a read that found something, `set_readable` has to be called.
    pub(crate) fn begin_read(&self, task: &Waker) -> Option<Waker> {
        if !self.0.readable.load(Acquire) {
            return None;
        }
        lock(&self.0.task).clone_from(task);
        self.0.readable.store(false, Relaxed);
        Some(Arc::clone(&self.0).into())
    }

    /// Forgets the task, whose memory a handler that keeps the connection would hold.
    pub(crate) fn forget_task(&self) {
        // Bound to a name, so that the lock is free again before the drop.
        let _task = std::mem::replace(&mut *lock(&self.0.task), Waker::noop().clone());
    }

    pub(crate) fn set_readable(&self) {
        self.0.readable.store(true, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn ready_if(is_ready: bool) -> Poll<()> {
    if is_ready {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

/// Marks a response that the server drops instead of sending.
///
/// The server closes the connection before the first byte of the response. Over HTTP/2 the server
/// resets the stream. A handler inserts the mark into the extensions of the response.
#[derive(Clone, Copy, Debug)]
pub struct DropConnection;
