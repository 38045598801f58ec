//! Plain streams beside all that, in a thread of their own: how late the latest of their events came.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::town::{Notes, Town, lock};
use crate::{
    client::{Client, Target},
    crowd::Crowd,
    deviation::Deviation,
    load::Load,
};

/// So many that some are in each thread of the server; over HTTP/2 two share a connection.
const STREAMS: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(250);
const NAP: Duration = Duration::from_millis(10);
/// How long a stream may have no event.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Witness {
    look: Look,
    thread: JoinHandle<Result<(), String>>,
}

impl Witness {
    /// Listens in the clear, or over TLS and HTTP/2, to how far events come from a second after
    /// the one before.
    pub(super) fn listen(target: Target, is_secure: bool, town: Arc<Town>) -> Self {
        Self::begin(move |look| {
            if is_secure {
                let mut crowd = Crowd::new(target)?;
                crowd.open(STREAMS / 2, 2, Duration::ZERO)?;
                look.on(crowd, &town.notes)
            } else {
                let mut load = Load::new(target)?;
                load.open(STREAMS, SECOND)?;
                look.on(load, &town.notes)
            }
        })
    }

    /// Sleeps, and sees how late the machine wakes it: no event comes in better time.
    pub(super) fn sleep() -> Self {
        Self::begin(|look| {
            while !look.is_over() {
                let due = Instant::now() + NAP;
                thread::sleep(NAP);
                lock(&look.saw).record(due.elapsed());
            }
            Ok(())
        })
    }

    fn begin(watch: impl FnOnce(Look) -> Result<(), String> + Send + 'static) -> Self {
        let look = Look {
            is_over: Arc::default(),
            saw: Arc::new(Mutex::new(Deviation::new())),
        };
        let thread = thread::spawn({
            let look = look.clone();
            move || watch(look)
        });
        Self { look, thread }
    }

    /// What it has seen.
    pub(super) fn leave(self) -> Result<Deviation, String> {
        self.look.is_over.store(true, Relaxed);
        let watched = self.thread.join();
        watched.unwrap_or_else(|_| Err("a witness panicked".into()))?;
        let saw = std::mem::replace(&mut *lock(&self.look.saw), Deviation::new());
        Ok(saw)
    }
}

/// What a witness and its thread share.
#[derive(Clone)]
struct Look {
    is_over: Arc<AtomicBool>,
    saw: Arc<Mutex<Deviation>>,
}

impl Look {
    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Looks on until it is over: none of the client's streams may end or fall silent.
    fn on(&self, mut client: impl Client, notes: &Notes) -> Result<(), String> {
        let begin = Instant::now();
        while !self.is_over() {
            let tally = client.watch(LOOK)?;
            let (lost, ended) = (tally.lost, client.ended_cleanly());
            if lost > 0 {
                return Err(format!(
                    "{lost} plain streams were lost: {}",
                    client.reason()
                ));
            }
            if ended > 0 {
                return Err(format!("{ended} plain streams ended"));
            }
            // Before its first event a stream is silent, too.
            let silent = client.silent_for(PATIENCE);
            if silent > 0 && begin.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(format!(
                    "{silent} plain streams had no event for {seconds} s"
                ));
            }
            let micros = (1e3 * tally.deviation.max_ms()) as u64;
            notes.latest.fetch_max(micros, Relaxed);
            lock(&self.saw).add(&tally.deviation);
        }
        Ok(())
    }
}
