//! The streams of one connection: which are open, and which are stuck.

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

use super::ready_queue::ReadyQueue;
use super::stream::Stream;
use crate::connection::{Connection, Shutdown};

/// How many polls the streams of a connection get before other tasks run.
const POLLS_AT_ONCE: usize = 256;

/// The streams of one connection, which run in the connection's task.
pub(super) struct Streams {
    pub(super) queue: Arc<ReadyQueue>,
    connection: Connection,
    open: Mutex<Slab<Open>>,
    /// The slot of the stream that was begun last.
    latest: AtomicUsize,
    /// Notified when a stream was opened or has ended.
    changed: Notify,
}

/// An open stream and its exchange. Dropping the exchange early resets the stream.
struct Open {
    stream: Arc<Stream>,
    /// Whether the stream waits for its first poll.
    is_new: bool,
    exchange: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Streams {
    pub(super) fn of(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            queue: Arc::new(ReadyQueue::new()),
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

    /// Begins the stream of a request, before hyper makes the exchange of the stream.
    pub(super) fn begin(&self) -> Arc<Stream> {
        let mut open = self.open();
        let slot = open.vacant_key();
        let stream = Stream::new(self.connection.clone(), Arc::clone(&self.queue), slot);
        let stream = Arc::new(stream);
        open.insert(Open {
            stream: Arc::clone(&stream),
            is_new: true,
            exchange: None,
        });
        self.latest.store(slot, Relaxed);
        self.queue.add_request();
        self.changed.notify_one();
        stream
    }

    /// Polls the connection and the streams in the ready queue, until the queue is empty.
    ///
    /// In each poll the connection writes the frames that the streams have given.
    pub(super) fn poll<F: Future + Unpin>(
        &self,
        serving: &mut F,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let mut turns = 0;
        while turns < POLLS_AT_ONCE {
            self.queue.begin();
            if let Poll::Ready(output) = Pin::new(&mut *serving).poll(cx) {
                return Poll::Ready(output);
            }
            if self.queue.may_sleep(cx.waker()) {
                return Poll::Pending;
            }
            while turns < POLLS_AT_ONCE
                && let Some(slot) = self.queue.next()
            {
                self.poll_stream(slot);
                turns += 1;
            }
        }
        // The budget is used up: let other tasks run.
        self.queue.let_go();
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
        stream.begin_polling();
        if std::mem::take(is_new) {
            self.queue.remove_request();
        }
        let is_over = stream.is_to_end() || {
            let task = Waker::from(Arc::clone(stream));
            let poll = || exchange.as_mut().poll(&mut Context::from_waker(&task));
            // A panic in one stream ends no other stream.
            catch_unwind(AssertUnwindSafe(poll)).map_or(true, |polled| polled.is_ready())
        };
        if is_over {
            let _exchange = open.remove(slot);
            drop(open);
            self.changed.notify_one();
        }
    }

    /// Ends all streams, because the connection has ended.
    pub(super) fn clear(&self) {
        let _exchanges = std::mem::take(&mut *self.open());
        self.changed.notify_one();
    }

    pub(super) fn are_open(&self) -> bool {
        !self.open().is_empty()
    }

    /// Waits until no stream is open.
    pub(super) async fn none(&self) {
        while self.are_open() {
            self.changed.notified().await;
        }
    }

    /// Waits until no stream has been open for `time`, or no stream was opened before `deadline`.
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

    /// Ends stuck streams, and lets all streams end when the shutdown begins.
    pub(super) async fn reset_stuck(&self, stuck_timeout: Duration) -> Infallible {
        let end_all = async {
            self.shutdown().begun.wait().await;
            // Each stream checks for the shutdown when polled.
            self.open().iter().for_each(|(_, open)| open.stream.wake());
            pending().await
        };
        tokio::select! {
            never = self.end_stuck(stuck_timeout) => never,
            never = end_all => never,
        }
    }

    /// Ends streams with bytes that have waited for `time` while none of these bytes left.
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

/// Ends the streams of a connection when dropped.
pub(super) struct StreamsGuard(pub(super) Arc<Streams>);

impl Drop for StreamsGuard {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Gives each stream its exchange, which hyper would otherwise run in a task.
#[derive(Clone)]
pub(super) struct ConnectionExecutor(pub(super) Arc<Streams>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for ConnectionExecutor {
    fn execute(&self, exchange: F) {
        let mut open = self.0.open();
        if let Some(open) = open.get_mut(self.0.latest.load(Relaxed)) {
            open.exchange = Some(Box::pin(exchange));
            open.stream.wake();
        }
    }
}
