//! The wall clock: what time it is here, as a number and as Node says it.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time zone of the machine, or the one that `TZ` names; UTC when there is none to be found.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));

/// Finds the time zone now, while there are files to read it from.
pub fn find_zone() {
    LazyLock::force(&ZONE);
}

/// The present time in milliseconds since the Unix epoch; Node: `Date.now()`.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The local time as Node's `toLocaleTimeString()` prints it in en-US: `9:05:07 AM`.
///
/// `at` is in milliseconds since the Unix epoch.
#[must_use]
pub fn to_locale_time_string(at: u64) -> String {
    let at = i64::try_from(at / 1000).ok();
    let instant = at.and_then(|second| Timestamp::from_second(second).ok());
    let local = instant.unwrap_or(Timestamp::MAX).to_zoned(ZONE.clone());
    local.strftime("%-I:%M:%S %p").to_string()
}

/// What `write` says of the second of `at`: all streams of a thread share what the first has
/// written, so there may be one such text only.
#[must_use]
pub fn once_a_second(at: u64, write: impl FnOnce() -> String) -> Bytes {
    thread_local! {
        static LATEST: RefCell<(u64, Bytes)> = const { RefCell::new((u64::MAX, Bytes::new())) };
    }
    let second = at / 1000;
    LATEST.with_borrow_mut(|(latest, text)| {
        if *latest != second {
            (*latest, *text) = (second, write().into());
        }
        text.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::once_a_second;

    #[test]
    fn a_text_is_shared_within_its_second_only() {
        let text = |at: u64| once_a_second(at, || format!("written at {at}"));
        let first = text(5_000);
        assert_eq!(first.as_ptr(), text(5_999).as_ptr());
        assert_eq!(text(6_000), "written at 6000");
        assert_eq!(text(5_001), "written at 5001");
    }
}
