//! Node's `setInterval`: a callback that is called every so many milliseconds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::timers::Timer;

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

/// An endless stream of ticks, which begins when it is polled first.
#[derive(Debug)]
pub struct Interval {
    pub(super) period: Duration,
    pub(super) first: Duration,
    pub(super) given: Given,
    pub(super) callback: Callback,
    timer: Option<Timer>,
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
        timer: None,
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

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        let this = &mut *self;
        let new = || Timer::new(Instant::now() + this.first);
        let timer = this.timer.get_or_insert_with(new);
        let now = ready!(timer.poll(cx));
        let due = timer.due();
        timer.reset(due + this.period * (1 + missed(now - due, this.period)));
        let id = match &this.given {
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
