//! The streams of one connection: who is open, and who is stuck.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::Executor;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::stream::Stream;
use super::turn::Turn;
use crate::server::connection::{Connection, Shutdown};

/// How many turns its streams may have before other connections have theirs.
const TURNS_AT_ONCE: usize = 256;

/// The streams of one connection, which live in its task.
pub(super) struct Streams {
    pub(super) turn: Arc<Turn>,
    connection: Connection,
    open: Mutex<Slab<Open>>,
    /// The slot of the stream whose request was passed on last.
    latest: AtomicUsize,
    /// One was opened, or has ended.
    changed: Notify,
}

/// A stream that is open, and its exchange, which resets it when it is dropped early.
struct Open {
    stream: Arc<Stream>,
    /// Whether it has yet to have its first turn.
    is_new: bool,
    exchange: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Streams {
    pub(super) fn of(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            turn: Arc::new(Turn::new()),
            connection,
            open: Mutex::default(),
            latest: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    pub(super) fn shutdown(&self) -> &Shutdown {
        self.connection.shutdown()
    }

    fn open(&self) -> MutexGuard<'_, Slab<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the stream of a request, whose exchange hyper makes next.
    pub(super) fn begin(&self) -> Arc<Stream> {
        let mut open = self.open();
        let slot = open.vacant_key();
        let stream = Stream::new(self.connection.clone(), Arc::clone(&self.turn), slot);
        let stream = Arc::new(stream);
        open.insert(Open {
            stream: Arc::clone(&stream),
            is_new: true,
            exchange: None,
        });
        self.latest.store(slot, Relaxed);
        self.turn.add_request();
        self.changed.notify_one();
        stream
    }

    /// Lets the connection write what its streams have given it, and those give more that wait for
    /// their turn, until none does.
    pub(super) fn poll<F: Future + Unpin>(
        &self,
        serving: &mut F,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let mut turns = 0;
        while turns < TURNS_AT_ONCE {
            self.turn.begin();
            if let Poll::Ready(output) = Pin::new(&mut *serving).poll(cx) {
                return Poll::Ready(output);
            }
            if self.turn.may_sleep(cx.waker()) {
                return Poll::Pending;
            }
            while turns < TURNS_AT_ONCE
                && let Some(slot) = self.turn.next()
            {
                self.poll_stream(slot);
                turns += 1;
            }
        }
        // Some never rest.
        self.turn.let_go();
        cx.waker().wake_by_ref();
        Pin::new(serving).poll(cx)
    }

    fn poll_stream(&self, slot: usize) {
        let mut open = self.open();
        let Some(Open {
            stream,
            is_new,
            exchange: Some(exchange),
        }) = open.get_mut(slot)
        else {
            return;
        };
        stream.begin_turn();
        if std::mem::take(is_new) {
            self.turn.remove_request();
        }
        let is_over = stream.is_to_end() || {
            let task = Waker::from(Arc::clone(stream));
            let poll = || exchange.as_mut().poll(&mut Context::from_waker(&task));
            // One that panics ends no other.
            catch_unwind(AssertUnwindSafe(poll)).map_or(true, |polled| polled.is_ready())
        };
        if is_over {
            let _exchange = open.remove(slot);
            drop(open);
            self.changed.notify_one();
        }
    }

    /// Ends all, with their connection.
    pub(super) fn clear(&self) {
        let _exchanges = std::mem::take(&mut *self.open());
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
            self.open().iter().for_each(|(_, open)| open.stream.wake());
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
            for (_, Open { stream, .. }) in self.open().iter() {
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
        self.0.clear();
    }
}

/// Gives each stream its exchange, which hyper would have in a task.
#[derive(Clone)]
pub(super) struct Keep(pub(super) Arc<Streams>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Keep {
    fn execute(&self, exchange: F) {
        let mut open = self.0.open();
        if let Some(open) = open.get_mut(self.0.latest.load(Relaxed)) {
            open.exchange = Some(Box::pin(exchange));
            open.stream.wake();
        }
    }
}
