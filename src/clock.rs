//! Which ticks are due, and the stream that wakes for them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_stream::Stream;

/// The most ticks that are made up for after a gap.
pub const CATCH_UP: u64 = 1000;

/// How long a stream may say nothing before a proxy might take it for dead.
pub const SILENCE: Duration = Duration::from_secs(15);

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a stream wakes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// A tick, with its time in milliseconds since the Unix epoch.
    Tick(u64),
    /// So many ticks are left out ahead of the next one; 0 when the clock was set back.
    Gap(u64),
    /// Nothing is due, but a sign of life is.
    Silence,
}

/// The ticks that fell due since the last one: `count` of them, the first at `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The ticks that are too many to be made up for, before `first`.
    pub left_out: u64,
    /// The first of the ticks, or the next one when none is due.
    pub first: u64,
    /// How many ticks there are, at most [`CATCH_UP`].
    pub count: u64,
}

/// The points of the grid of `interval` that lie after `last` and not after `now`, all in
/// milliseconds; `interval` is not 0.
#[must_use]
pub fn due(last: u64, interval: u64, now: u64) -> Due {
    let all = now.saturating_sub(last) / interval;
    let count = all.min(CATCH_UP);
    let left_out = all - count;
    let first = last
        .saturating_add(left_out * interval)
        .saturating_add(interval);
    Due {
        left_out,
        first,
        count,
    }
}

/// The tick that an event id names: a number, and nothing else.
#[must_use]
pub fn tick(id: &str) -> Option<u64> {
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits)
}

/// The point of the grid after which a stream goes on: the tick that its client saw `last`, or
/// `now` when there was none or it is more than an `interval` ahead.
#[must_use]
pub fn start(last: Option<u64>, interval: u64, now: u64) -> u64 {
    let possible = last.filter(|last| *last <= now.saturating_add(interval));
    possible.unwrap_or(now)
}

pin_project! {
    /// An endless stream of beats, which begins when it is polled first.
    #[derive(Debug)]
    pub struct Ticks {
        interval: Duration,
        now: fn() -> u64,
        pace: Pace,
        signs: bool,
        said: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

#[derive(Debug)]
enum Pace {
    /// The next tick is due at an instant.
    Interval {
        due: Option<Instant>,
        first: Duration,
    },
    /// The tick at `last` went out; both clocks were `looked` at together.
    Grid {
        last: Option<u64>,
        looked: Option<(Instant, u64)>,
    },
}

/// A tick every `interval` of a millisecond to a year, the first after one interval: Node's
/// `setInterval`.
///
/// Ticks that a reader was too slow for are skipped; the others stay on their beat. `now` is the
/// wall clock, in milliseconds since the Unix epoch.
#[must_use]
pub fn every(interval: Duration, now: fn() -> u64) -> Ticks {
    let interval = interval.clamp(Duration::from_millis(1), YEAR);
    Ticks {
        interval,
        now,
        pace: Pace::Interval {
            due: None,
            first: interval,
        },
        signs: false,
        said: None,
        sleep: None,
    }
}

impl Ticks {
    /// The same with the first tick at once.
    #[must_use]
    pub fn at_once(self) -> Self {
        let pace = Pace::Interval {
            due: None,
            first: Duration::ZERO,
        };
        Self { pace, ..self }
    }

    /// The same with the first tick so much later, where ticks are no points of a grid.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        let pace = match self.pace {
            Pace::Interval { due, first } => Pace::Interval {
                due,
                first: first + by,
            },
            pace @ Pace::Grid { .. } => pace,
        };
        Self { pace, ..self }
    }

    /// The same with ticks that are points of a grid, which begins at [`start`]: late ones are sent
    /// as [`due`] says.
    #[must_use]
    pub fn on_a_grid(self, last: Option<u64>) -> Self {
        let pace = Pace::Grid { last, looked: None };
        Self { pace, ..self }
    }

    /// The same with or without a [`Beat::Silence`] at the beginning and after each [`SILENCE`].
    #[must_use]
    pub fn signs_of_life(self, signs: bool) -> Self {
        Self { signs, ..self }
    }
}

impl Stream for Ticks {
    type Item = Beat;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Beat>> {
        let mut this = self.project();
        loop {
            if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                ready!(sleep.poll(cx));
            }
            let at = Instant::now();
            let beat = match *this.said {
                None if *this.signs => Some(Beat::Silence),
                said => this.pace.beat(at, *this.interval, *this.now).or_else(|| {
                    let silent = *this.signs && said.is_some_and(|said| at >= said + SILENCE);
                    silent.then_some(Beat::Silence)
                }),
            };
            if beat.is_some() || this.said.is_none() {
                *this.said = Some(at);
            }
            let mut wake = this.pace.next(at, *this.interval);
            if let (Some(said), true) = (*this.said, *this.signs) {
                wake = wake.min(said + SILENCE);
            }
            // Where more is due already, the sleep stays at its end.
            match this.sleep.as_mut().as_pin_mut() {
                _ if wake <= at => {}
                Some(sleep) => sleep.reset(wake),
                None => this.sleep.set(Some(sleep_until(wake))),
            }
            if beat.is_some() {
                return Poll::Ready(beat);
            }
        }
    }
}

impl Pace {
    /// What is due `at` this instant.
    fn beat(&mut self, at: Instant, interval: Duration, now: fn() -> u64) -> Option<Beat> {
        match self {
            Self::Interval { due, first } => {
                let due = due.get_or_insert_with(|| at + *first);
                (at >= *due).then(|| {
                    *due += interval * (1 + missed(at - *due, interval));
                    Beat::Tick(now())
                })
            }
            Self::Grid { last, looked } => {
                let (now, interval) = (now(), milliseconds(interval));
                if looked.is_none() {
                    *last = Some(start(*last, interval, now));
                }
                // `at` was before `now`, this is after it: a pause in between is no clock set back.
                let look = (Instant::now(), now);
                let (then, before) = looked.replace(look).unwrap_or((at, now));
                let last = last.get_or_insert(now);
                let expected = before.saturating_add(milliseconds(at - then));
                // Small steps back are waited for, until they add up.
                let far = last.saturating_sub(interval);
                if now.saturating_add(interval) < expected.max(far) {
                    *last = now;
                    return Some(Beat::Gap(0));
                }
                let due = due(*last, interval, now);
                if due.left_out > 0 {
                    *last = due.first - interval;
                    return Some(Beat::Gap(due.left_out));
                }
                (due.count > 0).then(|| {
                    *last = due.first;
                    Beat::Tick(due.first)
                })
            }
        }
    }

    /// When the next tick is due, seen from `at`.
    fn next(&self, at: Instant, interval: Duration) -> Instant {
        match self {
            Self::Interval { due: Some(due), .. } => *due,
            Self::Grid {
                last: Some(last),
                looked: Some((_, now)),
            } => {
                let wait = last
                    .saturating_add(milliseconds(interval))
                    .saturating_sub(*now);
                at + Duration::from_millis(wait)
            }
            _ => at,
        }
    }
}

/// How many whole intervals a tick that comes this late has missed.
fn missed(late: Duration, interval: Duration) -> u32 {
    if late < interval {
        return 0;
    }
    u32::try_from(late.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX - 1)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::{CATCH_UP, Due, due, start, tick};

    const MAX: u64 = u64::MAX;

    #[test]
    fn the_ticks_that_are_due_come_after_the_last_and_not_after_now() {
        for (last, interval, now, left_out, first, count) in [
            (100, 10, 100, 0, 110, 0),
            (100, 10, 109, 0, 110, 0),
            (100, 10, 110, 0, 110, 1),
            (100, 10, 119, 0, 110, 1),
            (100, 10, 120, 0, 110, 2),
            (107, 10, 120, 0, 117, 1),
            (100, 10, 0, 0, 110, 0),
            (110, 10, 100, 0, 120, 0),
            (0, 1, 999, 0, 1, 999),
            (0, 1, 1000, 0, 1, 1000),
            (0, 1, 1001, 1, 2, 1000),
            (0, 10, 10_019, 1, 20, 1000),
            (0, 10, 10_020, 2, 30, 1000),
            (0, 1, MAX, MAX - 1000, MAX - 999, 1000),
            (0, MAX, MAX, 0, MAX, 1),
            (1, MAX, MAX, 0, MAX, 0),
            (MAX, 1, MAX, 0, MAX, 0),
        ] {
            let expected = Due {
                left_out,
                first,
                count,
            };
            assert_eq!(
                due(last, interval, now),
                expected,
                "{last} {interval} {now}"
            );
        }
    }

    #[test]
    fn an_id_is_a_number_and_nothing_else() {
        for (id, named) in [
            ("0", Some(0)),
            ("1763699759123", Some(1_763_699_759_123)),
            ("007", Some(7)),
            ("18446744073709551615", Some(MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("…", None),
            ("-1", None),
            ("+5", None),
            (" 5 ", None),
            ("1e9", None),
            ("0x10", None),
            ("5\0", None),
            ("٥", None),
            (&"9".repeat(400), None),
        ] {
            assert_eq!(tick(id), named, "{id:?}");
        }
    }

    #[test]
    fn a_stream_goes_on_after_an_id_of_at_most_one_interval_ahead() {
        for (last, interval, now, begins) in [
            (None, 10, 100, 100),
            (Some(0), 10, 100, 0),
            (Some(100), 10, 100, 100),
            (Some(110), 10, 100, 110),
            (Some(111), 10, 100, 100),
            (Some(MAX), 10, 100, 100),
            (Some(MAX), 10, MAX, MAX),
            (Some(MAX), MAX, 100, MAX),
        ] {
            assert_eq!(
                start(last, interval, now),
                begins,
                "{last:?} {interval} {now}"
            );
        }
    }

    fn moment() -> impl proptest::strategy::Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            0..5000_u64,
            (MAX - 5000)..=MAX,
            (1_763_699_759_000..1_763_699_769_000_u64),
        ]
    }

    fn interval() -> impl proptest::strategy::Strategy<Value = u64> {
        prop_oneof![1..=MAX, 1..50_u64, 10..=3_600_000_u64]
    }

    proptest! {
        #[test]
        fn what_is_sent_is_the_newest_of_the_grid_after_the_last_id_and_not_after_now(
            last in proptest::option::of(moment()),
            interval in interval(),
            now in moment(),
        ) {
            let begin = start(last, interval, now);
            match last {
                Some(last) if u128::from(last) <= u128::from(now) + u128::from(interval) => {
                    prop_assert_eq!(begin, last);
                }
                _ => prop_assert_eq!(begin, now),
            }

            let [wide_begin, wide_interval, wide_now] = [begin, interval, now].map(u128::from);
            let all = wide_now.saturating_sub(wide_begin) / wide_interval;
            let newest = all.saturating_sub(u128::from(CATCH_UP)) + 1..=all;
            let expected: Vec<u128> = newest.map(|k| wide_begin + k * wide_interval).collect();

            let due = due(begin, interval, now);
            let sent: Vec<u128> = (0..due.count)
                .map(|k| u128::from(due.first) + u128::from(k) * wide_interval)
                .collect();
            prop_assert!(sent.iter().all(|id| wide_begin < *id && *id <= wide_now));
            prop_assert_eq!(&sent, &expected);
            prop_assert_eq!(u128::from(due.left_out) + sent.len() as u128, all);
        }
    }
}
