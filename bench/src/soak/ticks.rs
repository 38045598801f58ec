//! The ticks that one client received over all its connections: none missing, none repeated.

use std::time::{SystemTime, UNIX_EPOCH};

use sse_clock::stream::resume::CATCH_UP;

use super::events::Said;

/// The ticks of one stream and its reconnects.
pub(super) struct Ticks {
    interval: u64,
    /// The id of the last complete event, sent as `Last-Event-ID`.
    pub(super) last: Option<u64>,
    /// Ticks that gaps announced since the last id.
    left_out: u64,
    pub(super) seen: u64,
}

impl Ticks {
    pub(super) fn new(interval: u64, last: Option<u64>) -> Self {
        Self {
            interval,
            last,
            left_out: 0,
            seen: 0,
        }
    }

    /// Starts a new connection. The announcement of a gap may have been cut off.
    pub(super) fn begin(&mut self) {
        self.left_out = 0;
    }

    /// Records an event.
    ///
    /// # Errors
    /// If a tick is missing, repeated, early or without an id, or if a gap is wrong.
    pub(super) fn take(&mut self, said: Said) -> Result<(), String> {
        let (interval, last) = (self.interval, self.last);
        match said {
            Said::Gap(left_out) => {
                self.left_out += left_out;
                let due = last.map_or(0, |last| now().saturating_sub(last) / interval);
                if left_out == 0 {
                    return Err("the clock is said to be set back".into());
                }
                // The server read its clock a moment before.
                let left_out = self.left_out;
                if last.is_some() && left_out + CATCH_UP > due {
                    return Err(format!(
                        "gaps of {left_out} after {last:?} every {interval}, of which {due} are due"
                    ));
                }
            }
            Said::Id(id) => {
                let next = last.map(|last| last + (self.left_out + 1) * interval);
                self.last = Some(id);
                self.seen += 1;
                let left_out = std::mem::take(&mut self.left_out);
                if next.is_some_and(|next| next != id) {
                    return Err(format!(
                        "{id} came after {last:?} every {interval}, {left_out} left out"
                    ));
                }
                let now = now();
                if id > now {
                    return Err(format!("{id} came at {now} already"));
                }
            }
            Said::Nothing => return Err("an event has no id".into()),
        }
        Ok(())
    }
}

/// Returns the milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Tests that wrong ticks and gaps are detected. Runs before any soak.
pub(super) fn check() {
    use Said::{Gap, Id, Nothing};
    let (long_ago, interval) = (now() - 1_000_000, 10);
    let id = |number: u64| Id(long_ago + number * interval);
    let gap = 1_000_000 / interval - CATCH_UP;
    for (saw, is_right) in [
        (&[id(1), id(2)][..], true),
        (&[id(2)], false),
        (&[id(1), id(1)], false),
        (&[id(1), id(3)], false),
        (&[Gap(gap), id(gap + 1), id(gap + 2)], true),
        (&[Gap(gap), id(gap + 2)], false),
        (&[Gap(gap), id(gap)], false),
        (&[Gap(2 * gap)], false),
        (&[Gap(gap / 2), Gap(gap / 2), id(gap + 1)], true),
        (&[Gap(gap), Gap(gap)], false),
        (&[Gap(0)], false),
        (&[id(1), Nothing], false),
    ] {
        let mut ticks = Ticks::new(interval, Some(long_ago));
        let all = saw.iter().all(|said| ticks.take(*said).is_ok());
        assert_eq!(all, is_right, "{saw:?}");
    }
    let soon = Id(now() + 3_600_000);
    assert!(Ticks::new(interval, None).take(soon).is_err(), "{soon:?}");
}
