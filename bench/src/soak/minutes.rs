//! Progress reports: one line a minute.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use super::shared::{Phase, Shared};

const MINUTE: Duration = Duration::from_secs(60);

/// Prints the current counts every minute, without end.
pub(super) async fn tell(shared: Arc<Shared>) {
    let mut clock = interval_at(Instant::now() + MINUTE, MINUTE);
    for minute in 1.. {
        clock.tick().await;
        let notes = &shared.notes;
        let phase = match *shared.phase.borrow() {
            Phase::Load => "they do what they like",
            Phase::Away => "all are away",
            Phase::Still => "they sit still",
        };
        eprintln!(
            "minute {minute}: {} clients of {}, {phase}, {} visits, {} streams, {} ids, {} gaps told, latest {:.1} ms, {} broken",
            notes.alive.load(Relaxed),
            notes.came.load(Relaxed),
            notes.visits.load(Relaxed),
            notes.streams.load(Relaxed),
            notes.ids.load(Relaxed),
            notes.gaps.load(Relaxed),
            notes.latest.swap(0, Relaxed) as f64 / 1e3,
            shared.faults().len(),
        );
    }
}
