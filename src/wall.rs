//! The wall clock: what time it is here, and the event that says so.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::sse::Event;

/// The time zone of the machine, or the one that `TZ` names; UTC when there is none to be found.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));

/// The present time in milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The local time as Node's `toLocaleTimeString()` prints it in en-US: `9:05:07 AM`.
///
/// `at` is in milliseconds since the Unix epoch.
#[must_use]
pub fn local_time(at: u64) -> String {
    let at = i64::try_from(at)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok());
    let local = at.unwrap_or(Timestamp::MAX).to_zoned(ZONE.clone());
    local.strftime("%-I:%M:%S %p").to_string()
}

/// The event that says the local time, made once a second and shared by all streams of a thread.
#[must_use]
pub fn time_event(at: u64) -> Bytes {
    thread_local! {
        static LATEST: RefCell<(u64, Bytes)> = const { RefCell::new((u64::MAX, Bytes::new())) };
    }
    LATEST.with_borrow_mut(|(second, event)| {
        if *second != at / 1000 {
            *second = at / 1000;
            *event = Event::of(&local_time(at)).into();
        }
        event.clone()
    })
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
