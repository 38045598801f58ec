//! What all clients share: where the servers are, what is the hour, and what was seen.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

use tokio::sync::watch;

use super::channel::Address;

/// What clients are to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hour {
    /// Whatever they like.
    Load,
    /// Nothing at all; those with ids wait.
    Away,
    /// Those with ids come back, and sit still.
    Still,
}

/// Faults that are told in full.
pub(super) const TOLD: usize = 20;

pub(super) struct Town {
    pub(super) seed: u64,
    pub(super) houses: Vec<House>,
    pub(super) hour: watch::Sender<Hour>,
    pub(super) notes: Notes,
    /// In the order in which they were found.
    faults: Mutex<Vec<String>>,
}

/// A server, and its clients.
pub(super) struct House {
    pub(super) name: &'static str,
    pub(super) address: Address,
    guests: Mutex<Arc<Guests>>,
    /// Its server process is to end, and the next one has not begun.
    ends: AtomicBool,
}

/// The clients of one server process that are there now.
#[derive(Default)]
pub(super) struct Guests {
    /// Streams of clients that sit still.
    pub(super) streams: AtomicUsize,
    /// Those of them that are quick, and have heard an id of now.
    pub(super) hear: AtomicUsize,
}

/// How many there are, and were.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) came: AtomicU64,
    pub(super) visits: AtomicU64,
    pub(super) streams: AtomicU64,
    pub(super) resumed: AtomicU64,
    pub(super) ids: AtomicU64,
    /// Events without an id, ids that are missing, came twice or too early, gaps without a reason.
    pub(super) wrong: AtomicU64,
    pub(super) gaps: AtomicU64,
    /// Clients that are alive.
    pub(super) alive: AtomicUsize,
    /// Those of them that do what they like.
    pub(super) busy: AtomicUsize,
    /// Streams that will come back, by their house.
    /// How late the latest plain event of this minute came, in microseconds.
    pub(super) latest: AtomicU64,
    pub(super) faithful: Vec<AtomicUsize>,
    /// Those of them whose next id is never far.
    pub(super) quick: Vec<AtomicUsize>,
}

impl Town {
    pub(super) fn new(seed: u64, houses: Vec<House>) -> Self {
        let none = || houses.iter().map(|_| AtomicUsize::default()).collect();
        Self {
            seed,
            notes: Notes {
                faithful: none(),
                quick: none(),
                ..Notes::default()
            },
            houses,
            hour: watch::Sender::new(Hour::Away),
            faults: Mutex::default(),
        }
    }

    /// Notes that a promise is broken.
    pub(super) fn fault(&self, what: String) {
        let mut faults = lock(&self.faults);
        if faults.contains(&what) {
            return;
        }
        if faults.len() < TOLD {
            eprintln!("  broken: {what}");
        }
        faults.push(what);
    }

    /// Nothing is proved where nothing happened.
    pub(super) fn judge(&self) {
        let Notes {
            ids, resumed, gaps, ..
        } = &self.notes;
        for (what, number) in [
            ("id came", ids),
            ("stream went on", resumed),
            ("gap was told", gaps),
        ] {
            if number.load(Relaxed) == 0 {
                self.fault(format!("no {what}"));
            }
        }
    }

    pub(super) fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }
}

impl House {
    pub(super) fn new(name: &'static str, address: Address) -> Self {
        Self {
            name,
            address,
            guests: Mutex::default(),
            ends: AtomicBool::new(false),
        }
    }

    pub(super) fn guests(&self) -> Arc<Guests> {
        Arc::clone(&lock(&self.guests))
    }

    /// Whether it is to keep these: their process is not to end.
    pub(super) fn keeps(&self, guests: &Arc<Guests>) -> bool {
        !self.ends.load(SeqCst) && Arc::ptr_eq(guests, &lock(&self.guests))
    }

    /// Its process is to end: who comes from now on may come to the next one.
    pub(super) fn end(&self) {
        self.ends.store(true, SeqCst);
        *lock(&self.guests) = Arc::default();
    }

    /// The next process is there.
    pub(super) fn begin_anew(&self) {
        self.ends.store(false, SeqCst);
    }
}

/// So many more, as long as this lives.
pub(super) struct Counted<'a>(&'a AtomicUsize, usize);

impl<'a> Counted<'a> {
    pub(super) fn one(count: &'a AtomicUsize) -> Self {
        Self::many(count, 1)
    }

    pub(super) fn many(count: &'a AtomicUsize, number: usize) -> Self {
        count.fetch_add(number, Relaxed);
        Self(count, number)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}

pub(super) fn add(count: &AtomicU64, number: u64) {
    count.fetch_add(number, Relaxed);
}

/// A panic elsewhere leaves what was seen as good as it was.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
