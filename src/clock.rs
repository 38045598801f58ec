//! Which ticks are due, and the stream that wakes for them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tokio_stream::Stream;

pin_project! {
    /// A stream of ticks, which begins when it is polled first and never ends.
    #[derive(Debug)]
    pub struct Ticks {
        interval: Duration,
        first: Duration,
        due: Option<Instant>,
        #[pin]
        sleep: Sleep,
    }
}

/// A tick every `interval`, the first after one interval: Node's `setInterval`.
///
/// Ticks that a reader was too slow for are skipped; the others stay on their beat.
#[must_use]
pub fn every(interval: Duration) -> Ticks {
    Ticks {
        interval: interval.max(Duration::from_millis(1)),
        first: interval,
        due: None,
        sleep: sleep(interval),
    }
}

impl Ticks {
    /// The same with the first tick at once.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self {
            first: Duration::ZERO,
            ..self
        }
    }
}

impl Stream for Ticks {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let mut this = self.project();
        let due = *this.due.get_or_insert_with(|| {
            let due = Instant::now() + *this.first;
            this.sleep.as_mut().reset(due);
            due
        });
        ready!(this.sleep.as_mut().poll(cx));
        let next = due + *this.interval * (1 + missed(due.elapsed(), *this.interval));
        this.sleep.reset(next);
        *this.due = Some(next);
        Poll::Ready(Some(()))
    }
}

/// How many whole intervals a tick that comes this late has missed.
fn missed(late: Duration, interval: Duration) -> u32 {
    let missed = late.as_nanos() / interval.as_nanos();
    u32::try_from(missed).unwrap_or(u32::MAX - 1)
}
