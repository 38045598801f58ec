//! Timer slack: the streams of a thread wake up together, and the threads one after the other.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::keep_alive::SILENCE;

const SLACK: Duration = Duration::from_millis(8);

/// How many threads have a phase of their own.
const PHASES: u32 = 8;

/// Returns how much later than requested a stream of this thread begins: at most 8 ms.
///
/// A wake-up costs more than an event, and streams that wake up together share it. Threads that
/// wake up at the same time slow each other down. Only an `interval` that is a multiple of 8 ms
/// keeps its phase. With an interval below 800 ms the delay would be noticed, and a stream with one
/// of 15 s or more wakes up too seldom to share much.
pub(crate) fn wait(interval: Duration) -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let kept = interval.as_nanos().is_multiple_of(SLACK.as_nanos());
    if kept && (100 * SLACK..SILENCE).contains(&interval) {
        rest(START.elapsed() + phase())
    } else {
        Duration::ZERO
    }
}

/// Returns the time from `now` to the next multiple of the slack.
fn rest(now: Duration) -> Duration {
    let begun = u64::try_from(now.as_nanos() % SLACK.as_nanos());
    SLACK.saturating_sub(Duration::from_nanos(begun.unwrap_or_default()))
}

/// Returns the phase of this thread; threads that start one after the other are far apart.
fn phase() -> Duration {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static PHASE: u32 = 5 * THREADS.fetch_add(1, Relaxed) % PHASES;
    }
    SLACK * PHASE.with(|phase| *phase) / PHASES
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, thread};

    #[test]
    fn streams_that_begin_at_any_time_wake_up_together() {
        for nanos in [0, 1, 999_999, 7_999_999, 8_000_000, 8_000_001, 1 << 60] {
            let now = Duration::from_nanos(nanos);
            let wait = rest(now);
            assert!(wait <= SLACK, "{now:?}: {wait:?}");
            assert_eq!((now + wait).as_nanos() % SLACK.as_nanos(), 0, "{now:?}");
        }
    }

    #[test]
    fn eight_threads_have_eight_phases() {
        let two = || thread::spawn(|| [phase(), phase()]).join().unwrap();
        let phases: BTreeSet<_> = (0..PHASES).map(|_| two()).collect();
        assert_eq!(phases.len(), PHASES as usize, "{phases:?}");
        assert!(phases.iter().all(|[one, same]| one == same && *one < SLACK));
    }

    #[test]
    fn an_interval_that_is_no_multiple_of_the_slack_is_not_delayed() {
        for interval in [0, 25, 799, 1001, 1004, 15_000, 3_600_000] {
            assert_eq!(wait(Duration::from_millis(interval)), Duration::ZERO);
        }
    }
}
