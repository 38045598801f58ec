//! The wall clock: what time it is here, and the event that says so.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::sse::Event;

/// The time zone of the machine, or the one that `TZ` names; UTC when there is none to be found.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));

/// Finds the time zone now, while there are files to read it from.
pub fn find_zone() {
    LazyLock::force(&ZONE);
}

/// The present time in milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The latest second that was asked for, with its local time as text and as an event.
type Latest = (u64, Arc<str>, Bytes);

/// The local time as Node's `toLocaleTimeString()` prints it in en-US: `9:05:07 AM`.
///
/// `at` is in milliseconds since the Unix epoch.
#[must_use]
pub fn local_time(at: u64) -> Arc<str> {
    with_latest(at, |(_, text, _)| text.clone())
}

/// The event that says the local time.
#[must_use]
pub fn time_event(at: u64) -> Bytes {
    with_latest(at, |(_, _, event)| event.clone())
}

/// Formats a second once for all streams of a thread.
fn with_latest<T>(at: u64, read: impl FnOnce(&Latest) -> T) -> T {
    thread_local! {
        static LATEST: RefCell<Option<Latest>> = const { RefCell::new(None) };
    }
    let second = at / 1000;
    LATEST.with_borrow_mut(|latest| {
        let known = latest.take().filter(|(known, ..)| *known == second);
        read(latest.insert(known.unwrap_or_else(|| {
            let text = format(second);
            let event = Event::of(&text).into();
            (second, text.into(), event)
        })))
    })
}

fn format(second: u64) -> String {
    let second = i64::try_from(second).ok();
    let instant = second.and_then(|second| Timestamp::from_second(second).ok());
    let local = instant.unwrap_or(Timestamp::MAX).to_zoned(ZONE.clone());
    local.strftime("%-I:%M:%S %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::time_event;

    #[test]
    fn an_event_is_shared_within_its_second_only() {
        let first = time_event(5_000);
        assert_eq!(first.as_ptr(), time_event(5_999).as_ptr());
        assert_ne!(first, time_event(6_000));
        assert_eq!(first, time_event(5_000));
    }
}
