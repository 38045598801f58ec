//! Plain streams beside all that, in a thread of their own: how late the latest of their events came.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::town::lock;
use crate::{
    client::{Client, Tally, Target},
    crowd::Crowd,
    deviation::Deviation,
    load::Load,
};

const STREAMS: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(250);
const NAP: Duration = Duration::from_millis(10);
/// For streams to open, and for the last events to come.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Witness {
    leaves: Arc<AtomicBool>,
    saw: Arc<Mutex<Deviation>>,
    thread: JoinHandle<Result<(), String>>,
}

impl Witness {
    /// Listens in the clear, or over TLS and HTTP/2, to how far events come from a second after
    /// the one before.
    pub(super) fn listen(target: Target, is_secure: bool) -> Self {
        Self::begin(STREAMS, move |mut look| {
            if is_secure {
                let mut crowd = Crowd::new(target)?;
                crowd.open(1, STREAMS, Duration::ZERO)?;
                while look.on(&crowd.watch(LOOK)?)? {}
            } else {
                let mut load = Load::new(target)?;
                load.open(STREAMS, SECOND)?;
                while look.on(&load.watch(LOOK)?)? {}
            }
            Ok(())
        })
    }

    /// Sleeps, and sees how late the machine wakes it: no event comes in better time.
    pub(super) fn sleep() -> Self {
        Self::begin(0, |mut look| {
            let mut tally = Tally::new();
            loop {
                let due = Instant::now() + NAP;
                thread::sleep(NAP);
                tally.deviation.record(due.elapsed());
                if !look.on(&std::mem::replace(&mut tally, Tally::new()))? {
                    return Ok(());
                }
            }
        })
    }

    fn begin(
        streams: usize,
        watch: impl FnOnce(Look) -> Result<(), String> + Send + 'static,
    ) -> Self {
        let leaves = Arc::new(AtomicBool::new(false));
        let saw = Arc::new(Mutex::new(Deviation::new()));
        let look = Look {
            leaves: Arc::clone(&leaves),
            saw: Arc::clone(&saw),
            begin: Instant::now(),
            streams,
            events: 0,
        };
        let thread = thread::spawn(move || watch(look));
        Self {
            leaves,
            saw,
            thread,
        }
    }

    /// The latest event so far.
    pub(super) fn latest_ms(&self) -> f64 {
        lock(&self.saw).max_ms()
    }

    /// What it has seen.
    pub(super) fn leave(self) -> Result<Deviation, String> {
        self.leaves.store(true, Relaxed);
        let watched = self.thread.join();
        watched.unwrap_or_else(|_| Err("a witness panicked".into()))?;
        Ok(std::mem::replace(&mut lock(&self.saw), Deviation::new()))
    }
}

/// The thread's side of a witness.
struct Look {
    leaves: Arc<AtomicBool>,
    saw: Arc<Mutex<Deviation>>,
    begin: Instant,
    /// Those that have an event a second.
    streams: usize,
    events: u64,
}

impl Look {
    /// Notes what was seen, and says whether to look on.
    fn on(&mut self, tally: &Tally) -> Result<bool, String> {
        if tally.lost > 0 {
            return Err(format!("{} plain streams were lost", tally.lost));
        }
        lock(&self.saw).add(&tally.deviation);
        self.events += tally.events;
        let leaves = self.leaves.load(Relaxed);
        let seconds = self.begin.elapsed().saturating_sub(PATIENCE).as_secs();
        let due = self.streams as u64 * seconds;
        if leaves && self.events < due {
            let events = self.events;
            return Err(format!("of {due} plain events {events} came"));
        }
        Ok(!leaves)
    }
}
