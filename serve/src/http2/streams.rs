//! The streams of one connection: which are open, and which are stuck.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use hyper::rt::Executor;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::ready_queue::ReadyQueue;
use super::stream::Stream;
use crate::shutdown::Shutdown;

/// How often streams are checked in the time after which they are stuck.
const CHECKS: u32 = 4;

/// How many polls the streams of a connection get before other tasks run.
const POLLS_AT_ONCE: usize = 256;

/// The streams of one connection, which run in the connection's task.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) queue: Arc<ReadyQueue>,
    open: Mutex<Slab<Open>>,
    /// The slot of the stream that was begun last.
    latest: AtomicUsize,
    /// Notified when a stream was opened or has ended.
    changed: Notify,
}

/// An open stream and its exchange, the future of its request and response. Dropping the exchange
/// early resets the stream.
struct Open {
    stream: Arc<Stream>,
    exchange: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, Slab<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the stream of a request, before hyper makes the exchange of the stream.
    pub(super) fn begin(&self) -> Arc<Stream> {
        let mut open = self.open();
        let slot = open.vacant_key();
        let stream = Arc::new(Stream::new(Arc::clone(&self.queue), slot));
        open.insert(Open {
            stream: Arc::clone(&stream),
            exchange: None,
        });
        self.latest.store(slot, Relaxed);
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
        let mut polls = 0;
        loop {
            self.queue.begin();
            // First, so that streams that use up the task's budget do not keep it from the socket.
            if let Poll::Ready(output) = Pin::new(&mut *serving).poll(cx) {
                return Poll::Ready(output);
            }
            if self.queue.may_sleep(cx.waker()) {
                return Poll::Pending;
            }
            if polls >= POLLS_AT_ONCE {
                // Let other tasks run.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            while polls < POLLS_AT_ONCE
                && let Some(slot) = self.queue.pop()
            {
                self.poll_stream(slot);
                polls += 1;
            }
        }
    }

    fn poll_stream(&self, slot: usize) {
        let mut open = self.open();
        let Some(Open {
            stream,
            exchange: Some(exchange),
        }) = open.get_mut(slot)
        else {
            return;
        };
        stream.begin_polling();
        let task = Waker::from(Arc::clone(stream));
        let poll = || exchange.as_mut().poll(&mut Context::from_waker(&task));
        // A panic in one stream ends no other stream.
        if catch_unwind(AssertUnwindSafe(poll)).map_or(true, |polled| polled.is_ready()) {
            open.remove(slot);
            self.changed.notify_one();
        }
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

    /// Polls all streams anew once the shutdown has begun, because each looks for that when polled.
    pub(super) async fn wake_all(&self, shutdown: &Shutdown) -> Infallible {
        shutdown.begun.wait().await;
        for (_, open) in self.open().iter() {
            open.stream.wake_by_ref();
        }
        pending().await
    }

    /// Resets streams with frames in flight of which no byte was written for `time`, or a quarter
    /// more.
    pub(super) async fn reset_stuck(&self, time: Duration) -> Infallible {
        loop {
            self.open().retain(|_, open| {
                let is_stuck = open.stream.check() > CHECKS;
                if is_stuck {
                    self.changed.notify_one();
                }
                !is_stuck
            });
            sleep(time / CHECKS).await;
        }
    }
}

/// Gives each stream its exchange, which hyper would otherwise run in a task.
///
/// hyper keeps a clone in each exchange.
#[derive(Clone)]
pub(super) struct ConnectionExecutor(pub(super) Weak<Streams>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for ConnectionExecutor {
    fn execute(&self, exchange: F) {
        let Some(streams) = self.0.upgrade() else {
            return;
        };
        if let Some(open) = streams.open().get_mut(streams.latest.load(Relaxed)) {
            open.exchange = Some(Box::pin(exchange));
            open.stream.wake_by_ref();
        }
    }
}
