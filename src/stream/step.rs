//! The step in which streams wake: those of a thread together, threads in turn.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::keep_alive::SILENCE;

const STEP: Duration = Duration::from_millis(8);

/// How many threads have a turn of their own in a step.
const TURNS: u32 = 8;

/// How much later than asked for a stream of this thread begins: at most 8 ms.
///
/// A wake-up costs more than an event, and streams that wake together share it. Threads that do so
/// at the same time get in each other's way. A stream keeps to its step where that divides the
/// `interval`. Beside a short interval the wait would be noticed, and a stream with a long one wakes
/// too seldom to share much.
pub(crate) fn wait(interval: Duration) -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let kept = interval.as_nanos().is_multiple_of(STEP.as_nanos());
    if kept && (100 * STEP..SILENCE).contains(&interval) {
        rest(START.elapsed() + turn())
    } else {
        Duration::ZERO
    }
}

/// From `now` to the end of the step.
fn rest(now: Duration) -> Duration {
    let begun = u64::try_from(now.as_nanos() % STEP.as_nanos());
    STEP.saturating_sub(Duration::from_nanos(begun.unwrap_or_default()))
}

/// The place of this thread in a step: those of threads that follow each other lie far apart.
fn turn() -> Duration {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static TURN: u32 = 5 * THREADS.fetch_add(1, Relaxed) % TURNS;
    }
    STEP * TURN.with(|turn| *turn) / TURNS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;
    use std::time::Duration;

    use super::{STEP, TURNS, rest, turn, wait};

    #[test]
    fn streams_that_are_asked_for_at_any_time_wake_in_step() {
        for nanos in [0, 1, 999_999, 7_999_999, 8_000_000, 8_000_001, 1 << 60] {
            let now = Duration::from_nanos(nanos);
            let wait = rest(now);
            assert!(wait <= STEP, "{now:?}: {wait:?}");
            assert_eq!((now + wait).as_nanos() % STEP.as_nanos(), 0, "{now:?}");
        }
    }

    #[test]
    fn eight_threads_wake_in_turn() {
        let turns: BTreeSet<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..TURNS)
                .map(|_| scope.spawn(|| [turn(), turn()]))
                .collect();
            let turns = threads.into_iter().map(|thread| thread.join().unwrap());
            turns.collect()
        });
        assert_eq!(turns.len(), TURNS as usize, "{turns:?}");
        assert!(turns.iter().all(|[one, same]| one == same && *one < STEP));
    }

    #[test]
    fn an_interval_that_the_step_does_not_fit_is_kept() {
        for interval in [0, 25, 799, 1001, 1004, 15_000, 3_600_000] {
            assert_eq!(wait(Duration::from_millis(interval)), Duration::ZERO);
        }
    }
}
