//! The step in which streams wake: those of a thread together, threads in turn.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::SILENCE;

/// Milliseconds between two times to wake.
const STEP: u64 = 8;

/// How much later than asked for a stream of this thread begins, at most 7 ms.
///
/// A wake-up costs more than an event, and streams that wake together share it. Threads that do so
/// at the same time get in each other's way. A stream keeps to its step where that divides the
/// `interval`, and nobody notices where it is small beside it. `now` is in milliseconds.
pub(crate) fn wait(interval: Duration, now: u64) -> Duration {
    let unnoticed = Duration::from_millis(100 * STEP)..SILENCE;
    let kept = interval.as_millis().is_multiple_of(STEP.into());
    if !kept || !unnoticed.contains(&interval) {
        return Duration::ZERO;
    }
    Duration::from_millis(now.wrapping_add(turn()).wrapping_neg() % STEP)
}

/// The place of this thread in a step: those of threads that follow each other lie far apart.
fn turn() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static TURN: u64 = 5 * THREADS.fetch_add(1, Relaxed) % STEP;
    }
    TURN.with(|turn| *turn)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;
    use std::time::Duration;

    use super::{STEP, wait};

    const SECOND: Duration = Duration::from_secs(1);

    /// When streams that are asked for at these times wake, in their step.
    fn times() -> BTreeSet<u64> {
        let asked = [0, 1, 7, 8, 9_999, 1_700_000_000_003, u64::MAX - 20];
        let wake = |now| {
            let wait = wait(SECOND, now);
            assert!(wait < Duration::from_millis(STEP), "{now}: {wait:?}");
            (now + u64::try_from(wait.as_millis()).unwrap()) % STEP
        };
        asked.into_iter().map(wake).collect()
    }

    #[test]
    fn the_streams_of_a_thread_wake_together_and_eight_threads_in_turn() {
        let threads = thread::scope(|scope| {
            let threads: Vec<_> = (0..STEP).map(|_| scope.spawn(times)).collect();
            let times = threads.into_iter().map(|thread| thread.join().unwrap());
            times.collect::<Vec<_>>()
        });
        assert!(threads.iter().all(|times| times.len() == 1), "{threads:?}");
        let apart: BTreeSet<_> = threads.iter().flatten().collect();
        assert_eq!(apart.len(), threads.len(), "{threads:?}");
    }

    #[test]
    fn an_interval_that_the_step_does_not_fit_is_kept_to_the_millisecond() {
        for interval in [0, 25, 799, 1001, 1004, 15_000, 3_600_000] {
            for now in 0..STEP {
                assert_eq!(wait(Duration::from_millis(interval), now), Duration::ZERO);
            }
        }
    }
}
