//! The streams of one connection: who is open, and who is stuck.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::stream::{Stream, scope};
use super::turn::Turn;
use crate::connection::{Connection, Shutdown};

/// The streams of one connection.
pub(super) struct Streams {
    pub(super) turn: Arc<Turn>,
    connection: Connection,
    open: Mutex<Slab<Arc<Stream>>>,
    /// One was opened, or has ended.
    changed: Notify,
}

impl Streams {
    pub(super) fn of(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            turn: Arc::new(Turn::new()),
            connection,
            open: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(super) fn shutdown(&self) -> &Shutdown {
        self.connection.shutdown()
    }

    fn open(&self) -> MutexGuard<'_, Slab<Arc<Stream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stream, and says where.
    fn add(&self) -> (usize, Arc<Stream>) {
        let stream = Stream::new(self.connection.clone(), Arc::clone(&self.turn));
        let stream = Arc::new(stream);
        let slot = self.open().insert(Arc::clone(&stream));
        self.changed.notify_one();
        (slot, stream)
    }

    fn remove(&self, slot: usize) {
        self.open().remove(slot);
        self.changed.notify_one();
    }

    pub(super) fn are_open(&self) -> bool {
        !self.open().is_empty()
    }

    /// Waits until none is open.
    pub(super) async fn none(&self) {
        while self.are_open() {
            self.changed.notified().await;
        }
    }

    /// Waits until none has been open for `time`, or none was opened before `deadline`.
    pub(super) async fn idle(&self, deadline: Instant, time: Duration) {
        let mut until = deadline;
        loop {
            let changed = self.changed.notified();
            if self.are_open() {
                changed.await;
            } else if timeout_at(until, changed).await.is_err() {
                return;
            }
            until = Instant::now() + time;
        }
    }

    /// Ends those that are stuck, and lets all end when the shutdown begins.
    pub(super) async fn attend(&self, stuck_timeout: Duration) -> Infallible {
        let end_all = async {
            self.shutdown().begun.wait().await;
            // Each sees it for itself.
            self.open().iter().for_each(|(_, stream)| stream.wake());
            pending().await
        };
        tokio::select! {
            never = self.end_stuck(stuck_timeout) => never,
            never = end_all => never,
        }
    }

    /// Ends those whose bytes have waited for `time`, while none of them left.
    async fn end_stuck(&self, time: Duration) -> Infallible {
        loop {
            let now = Instant::now();
            let mut next = now + time;
            for (_, stream) in self.open().iter() {
                match stream.waits_since().map(|since| since + time) {
                    Some(due) if due <= now => stream.end(),
                    Some(due) => next = next.min(due),
                    None => {}
                }
            }
            sleep_until(next).await;
        }
    }
}

/// A connection that is there: when this is dropped, its streams end.
pub(super) struct Connected(pub(super) Arc<Streams>);

impl Drop for Connected {
    fn drop(&mut self) {
        // None has another turn.
        self.0.open().iter().for_each(|(_, stream)| stream.end());
    }
}

/// Gives each stream of a connection a task.
#[derive(Clone)]
pub(super) struct Spawn(pub(super) Arc<Streams>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, exchange: F) {
        let (slot, stream) = self.0.add();
        let open = Open {
            streams: Arc::clone(&self.0),
            slot,
        };
        self.0.turn.add_waiting();
        let task = Task {
            exchange,
            waits: true,
            stream: Arc::clone(&stream),
            open,
        };
        tokio::spawn(scope(stream, task));
    }
}

/// A stream that is open, for as long as this lives.
struct Open {
    streams: Arc<Streams>,
    slot: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.streams.remove(self.slot);
    }
}

pin_project! {
    /// Drives the exchange of a stream to its end; dropping it resets the stream.
    struct Task<F> {
        #[pin]
        exchange: F,
        waits: bool,
        stream: Arc<Stream>,
        // Last, for the stream is open until the exchange is dropped.
        open: Open,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let turn = &this.open.streams.turn;
        let is_over = this.stream.is_to_end(cx.waker());
        if !is_over && turn.poll_frame(cx).is_pending() {
            if !std::mem::replace(this.waits, true) {
                turn.add_waiting();
            }
            return Poll::Pending;
        }
        if std::mem::take(this.waits) {
            turn.remove_waiting();
        }
        if is_over {
            return Poll::Ready(());
        }
        this.exchange.poll(cx)
    }
}
