//! Node's `setInterval`: a callback that is called every so many milliseconds.

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

/// What the callback is given: what the ticks are told apart by, and their ids where there are any.
#[derive(Clone, Debug)]
pub enum Given {
    /// The time in milliseconds since the Unix epoch, by this clock.
    Time(fn() -> u64),
    /// A number from a count that all streams share.
    Count(Arc<AtomicU64>),
}

/// One call of the callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What the callback was given.
    pub id: u64,
    /// What it has written.
    pub event: Bytes,
}

pin_project! {
    /// An endless stream of ticks, which begins when it is polled first.
    #[derive(Debug)]
    pub struct Interval {
        pub(super) period: Duration,
        pub(super) first: Duration,
        pub(super) given: Given,
        pub(super) callback: Callback,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// Calls `callback` every so many `milliseconds`, 1 to a year, and first after so many.
///
/// Ticks that a reader was too slow for are skipped; the others stay on their beat.
#[must_use]
pub fn set_interval(milliseconds: u64, given: Given, callback: Callback) -> Interval {
    let period = Duration::from_millis(milliseconds.clamp(1, YEAR));
    Interval {
        period,
        first: period,
        given,
        callback,
        sleep: None,
    }
}

impl Interval {
    /// The same with the first call at once.
    #[must_use]
    pub fn at_once(self) -> Self {
        let first = Duration::ZERO;
        Self { first, ..self }
    }
}

impl Stream for Interval {
    type Item = Call;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        let mut this = self.project();
        let now = Instant::now();
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(now + *this.first)));
        }
        let mut sleep = this.sleep.as_pin_mut().expect("it was set above");
        let due = sleep.deadline();
        // A sleep that is due when it is made would take a millisecond all the same.
        if now < due {
            ready!(sleep.as_mut().poll(cx));
        }
        let late = now.saturating_duration_since(due);
        sleep.reset(due + *this.period * (1 + missed(late, *this.period)));
        let id = match this.given {
            Given::Time(now) => now(),
            Given::Count(next) => next.fetch_add(1, Relaxed),
        };
        let event = (this.callback)(id);
        Poll::Ready(Some(Call { id, event }))
    }
}

/// How many whole periods a tick that comes this late has missed.
fn missed(late: Duration, period: Duration) -> u32 {
    if late < period {
        return 0;
    }
    u32::try_from(late.as_nanos() / period.as_nanos()).unwrap_or(u32::MAX - 1)
}
