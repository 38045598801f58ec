//! The wall clock, as a number and as Node prints it, and a wait until an instant.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};

/// The time zone of the machine, or the one that `TZ` names; UTC if none is found.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));

/// Loads the time zone now, while file descriptors are left.
pub fn find_zone() {
    LazyLock::force(&ZONE);
}

/// Returns the time in milliseconds since the Unix epoch; Node: `Date.now()`.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Formats a time as Node's `toLocaleTimeString()` does in en-US: `9:05:07 AM`.
///
/// `at` is in milliseconds since the Unix epoch.
#[must_use]
pub fn to_locale_time_string(at: u64) -> String {
    let at = i64::try_from(at / 1000).ok();
    let instant = at.and_then(|second| Timestamp::from_second(second).ok());
    let local = instant.unwrap_or(Timestamp::MAX).to_zoned(ZONE.clone());
    local.strftime("%-I:%M:%S %p").to_string()
}

/// Waits until `due`. A time that has passed needs no timer, which would round up.
pub(super) async fn until(due: Instant) {
    if due > Instant::now() {
        sleep_until(due).await;
    }
}

/// Returns what `write` makes of the time `at`, one copy for all streams of a thread and a second.
#[must_use]
pub fn once_a_second(at: u64, write: fn(u64) -> String) -> Bytes {
    type Written = (u64, fn(u64) -> String, Bytes);
    thread_local! {
        static LATEST: RefCell<Option<Written>> = const { RefCell::new(None) };
    }
    let second = at / 1000;
    LATEST.with_borrow_mut(|latest| {
        let known = latest
            .take()
            .filter(|(known, by, _)| *known == second && std::ptr::fn_addr_eq(*by, write));
        let (.., text) = latest.insert(known.unwrap_or_else(|| (second, write, write(at).into())));
        text.clone()
    })
}
