//! Ticks as ids: a client that reconnects gets the missed ticks.

use std::time::Duration;

use async_stream::stream;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::time::until;
use crate::options::number;

/// The most missed ticks that are sent late.
pub const CATCH_UP: u64 = 1000;

/// What is due next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A tick, with its time in milliseconds since the Unix epoch.
    Tick(u64),
    /// The number of ticks that are left out before the next one; 0 when the clock was set back.
    Gap(u64),
}

/// Returns what is due at `now` after the tick at `last`, in milliseconds; `interval` is not 0.
#[must_use]
pub fn due(last: u64, interval: u64, now: u64) -> Option<Due> {
    match now.saturating_sub(last) / interval {
        0 => None,
        1..=CATCH_UP => Some(Due::Tick(last + interval)),
        ticks => Some(Due::Gap(ticks - CATCH_UP)),
    }
}

/// Parses the id of a tick: digits and nothing else.
#[must_use]
pub fn tick_of(id: &str) -> Option<u64> {
    number(id)
}

/// Returns the tick after which a stream resumes: the `last` one that its client saw, or `now` if
/// there is none or that is more than an `interval` in the future.
#[must_use]
pub fn start(last: Option<u64>, interval: u64, now: u64) -> u64 {
    let possible = last.filter(|last| *last <= now.saturating_add(interval));
    possible.unwrap_or(now)
}

/// Returns a tick every `interval`, a millisecond or more, after the one at [`start`]; missed ticks
/// come as [`due`] says. `now` is the wall clock, in milliseconds since the Unix epoch.
pub fn resume(
    interval: Duration,
    now: fn() -> u64,
    last: Option<u64>,
) -> impl Stream<Item = Due> + Send {
    let interval = milliseconds(interval).max(1);
    stream! {
        let mut time = now();
        let mut read_at = Instant::now();
        let mut last = start(last, interval, time);
        loop {
            let at = Instant::now();
            let expected = time.saturating_add(milliseconds(at - read_at));
            time = now();
            // `at` is read before the wall clock, this is read after it: a pause between the two is
            // no step back.
            read_at = Instant::now();
            // Steps back of up to an interval are waited for.
            let far = last.saturating_sub(interval);
            if time.saturating_add(interval) < expected.max(far) {
                last = time;
                yield Due::Gap(0);
                continue;
            }
            let next = due(last, interval, time);
            match next {
                Some(Due::Tick(tick)) => last = tick,
                Some(Due::Gap(left_out)) => last += left_out * interval,
                None => {}
            }
            let wait = last.saturating_add(interval).saturating_sub(time);
            let wake = at + Duration::from_millis(wait);
            if let Some(next) = next {
                yield next;
            }
            until(wake).await;
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
