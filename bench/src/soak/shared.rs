//! State that all clients share: the servers, the phase, and the counters.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use tokio::sync::watch;

use super::channel::Address;

/// The phase of the soak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Clients make random requests.
    Load,
    /// All clients are disconnected. Clients with ids wait.
    Away,
    /// Clients with ids reconnect and stay idle.
    Still,
}

/// Time for the server to notice that all clients left. A vanished client takes up to 30 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);
/// Faults that are reported in full.
pub(super) const MAX_REPORTED: usize = 20;

pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) notes: Notes,
    /// In the order of detection.
    faults: Mutex<Vec<String>>,
}

/// A server and its clients.
pub(super) struct Endpoint {
    pub(super) name: &'static str,
    pub(super) address: Address,
    clients: Mutex<Arc<Clients>>,
    /// The server process is about to be killed, or the next one has not started.
    ends: AtomicBool,
}

/// Connected clients of one server process.
#[derive(Default)]
pub(super) struct Clients {
    /// Streams of idle clients.
    pub(super) streams: AtomicUsize,
    /// Idle streams of quick clients that have received a current id.
    pub(super) read: AtomicUsize,
}

/// Current and total counts.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) came: AtomicU64,
    pub(super) visits: AtomicU64,
    pub(super) streams: AtomicU64,
    pub(super) resumed: AtomicU64,
    pub(super) ids: AtomicU64,
    /// Events without an id, missing, repeated or early ids, and gaps without a reason.
    pub(super) wrong: AtomicU64,
    pub(super) gaps: AtomicU64,
    /// Clients that have not finished.
    pub(super) alive: AtomicUsize,
    /// Clients that make random requests.
    pub(super) busy: AtomicUsize,
    /// The delay of the latest plain event of this minute, in microseconds.
    pub(super) latest: AtomicU64,
    /// Streams that will reconnect with their last id, by endpoint.
    pub(super) faithful: Vec<AtomicUsize>,
    /// Faithful streams with a next id within a second, by endpoint.
    pub(super) quick: Vec<AtomicUsize>,
}

impl Shared {
    pub(super) fn new(seed: u64, endpoints: Vec<Endpoint>) -> Self {
        let none = || endpoints.iter().map(|_| AtomicUsize::default()).collect();
        Self {
            seed,
            notes: Notes {
                faithful: none(),
                quick: none(),
                ..Notes::default()
            },
            endpoints,
            phase: watch::Sender::new(Phase::Away),
            faults: Mutex::default(),
        }
    }

    /// Records a broken promise.
    pub(super) fn fault(&self, what: String) {
        let mut faults = lock(&self.faults);
        if faults.contains(&what) {
            return;
        }
        if faults.len() < MAX_REPORTED {
            eprintln!("  broken: {what}");
        }
        faults.push(what);
    }

    /// Reports a fault if no id, no resumed stream or no gap occurred.
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

impl Endpoint {
    pub(super) fn new(name: &'static str, address: Address) -> Self {
        Self {
            name,
            address,
            clients: Mutex::default(),
            ends: AtomicBool::new(false),
        }
    }

    pub(super) fn clients(&self) -> Arc<Clients> {
        Arc::clone(&lock(&self.clients))
    }

    /// Returns whether the streams of `clients` must survive, because their process keeps running.
    pub(super) fn keeps(&self, clients: &Arc<Clients>) -> bool {
        !self.ends.load(SeqCst) && Arc::ptr_eq(clients, &lock(&self.clients))
    }

    /// Announces that the process is about to be killed.
    pub(super) fn end(&self) {
        self.ends.store(true, SeqCst);
        *lock(&self.clients) = Arc::default();
    }

    /// Marks that the next process has started.
    pub(super) fn begin_anew(&self) {
        self.ends.store(false, SeqCst);
    }
}

/// Raises a counter until dropped.
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

/// Locks a mutex. The data stays valid after a panic of another thread.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
