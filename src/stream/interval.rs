//! Node's `setInterval`: a callback that is called at an interval.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_stream::Stream;

const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

/// Writes the event of a tick, given the tick's id.
pub type Callback = fn(u64) -> Bytes;

/// Where a tick's number comes from, which is its id where there are ids.
#[derive(Clone, Debug)]
pub enum Source {
    /// The time in milliseconds since the Unix epoch, by this clock.
    Time(fn() -> u64),
    /// A counter that all streams share.
    Count(Arc<AtomicU64>),
}

/// One call of the callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The number that the callback was called with.
    pub id: u64,
    /// The event that the callback wrote.
    pub event: Bytes,
}

pin_project! {
    /// An endless stream of ticks that starts with the first poll.
    #[derive(Debug)]
    pub struct Interval {
        pub(super) period: Duration,
        pub(super) first: Duration,
        pub(super) source: Source,
        pub(super) callback: Callback,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// Calls `callback` every `milliseconds`, 1 to a year, and the first time after that many.
///
/// Ticks that fall due while the socket is full are skipped. The others stay on the schedule of the
/// first.
#[must_use]
pub fn set_interval(milliseconds: u64, source: Source, callback: Callback) -> Interval {
    let period = Duration::from_millis(milliseconds.clamp(1, YEAR));
    Interval {
        period,
        first: period,
        source,
        callback,
        sleep: None,
    }
}

impl Interval {
    /// Returns the interval with its first call at once.
    #[must_use]
    pub fn at_once(self) -> Self {
        let first = Duration::ZERO;
        Self { first, ..self }
    }
}

impl Stream for Interval {
    type Item = Tick;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Tick>> {
        let mut this = self.project();
        let is_at_once = this.sleep.is_none() && this.first.is_zero();
        if this.sleep.is_none() {
            let first = Instant::now() + *this.first;
            this.sleep.set(Some(sleep_until(first)));
        }
        let mut sleep = this.sleep.as_pin_mut().expect("it is set above");
        // Polling a `Sleep` that is due rounds the time up, and one that has elapsed uses the budget
        // of the task.
        if !is_at_once && !sleep.is_elapsed() {
            ready!(sleep.as_mut().poll(cx));
        }
        let mut next = sleep.deadline() + *this.period;
        let now = Instant::now();
        if next <= now {
            let missed = (now - next).as_nanos() / this.period.as_nanos();
            next += *this.period * (1 + u32::try_from(missed).unwrap_or(u32::MAX - 1));
        }
        sleep.reset(next);
        let id = match this.source {
            Source::Time(now) => now(),
            Source::Count(next) => next.fetch_add(1, Relaxed),
        };
        let event = (this.callback)(id);
        Poll::Ready(Some(Tick { id, event }))
    }
}
