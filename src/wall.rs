//! The wall clock: what time it is here, and the event that says so.

use std::cell::RefCell;
use std::sync::LazyLock;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::sse;

/// The time zone of the machine, or the one that `TZ` names; UTC when there is none to be found.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));

/// The local time as Node's `toLocaleTimeString()` prints it in en-US: `9:05:07 AM`.
#[must_use]
pub fn local_time(at: Timestamp) -> String {
    let local = at.to_zoned(ZONE.clone());
    local.strftime("%-I:%M:%S %p").to_string()
}

/// The event that says the local time, made once a second and shared by all streams of a thread.
#[must_use]
pub fn time_event(at: Timestamp) -> Bytes {
    thread_local! {
        static LATEST: RefCell<(i64, Bytes)> = const { RefCell::new((i64::MIN, Bytes::new())) };
    }
    LATEST.with_borrow_mut(|(second, event)| {
        if *second != at.as_second() {
            *second = at.as_second();
            *event = sse::event(&local_time(at));
        }
        event.clone()
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    #[test]
    fn an_event_is_shared_within_its_second_only() {
        let at = |millisecond| super::time_event(Timestamp::from_millisecond(millisecond).unwrap());
        let first = at(5_000);
        assert_eq!(first.as_ptr(), at(5_999).as_ptr());
        assert_ne!(first, at(6_000));
        assert_eq!(first, at(5_000));
    }
}
