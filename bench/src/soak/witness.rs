//! Plain streams in a thread of their own, which measure the delay of events during the load.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::shared::{Notes, Shared, lock};
use crate::{
    client::{Client, Target},
    crowd::Crowd,
    deviation::Deviation,
    load::Load,
};

/// Enough for every thread of the server. Over HTTP/2 two streams share a connection.
const STREAMS: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(250);
const NAP: Duration = Duration::from_millis(10);
/// The longest allowed time without an event.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Witness {
    look: Look,
    thread: JoinHandle<Result<(), String>>,
}

impl Witness {
    /// Measures how far events deviate from their interval of one second.
    ///
    /// The streams run over plain HTTP, or over TLS and HTTP/2.
    pub(super) fn listen(target: Target, is_secure: bool, shared: Arc<Shared>) -> Self {
        Self::begin(move |look| {
            if is_secure {
                let mut crowd = Crowd::new(target)?;
                crowd.open(STREAMS / 2, 2, Duration::ZERO)?;
                look.on(crowd, &shared.notes)
            } else {
                let mut load = Load::new(target)?;
                load.open(STREAMS, SECOND)?;
                look.on(load, &shared.notes)
            }
        })
    }

    /// Measures how late the machine wakes a sleeping thread: a lower bound for events.
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

    /// Stops the thread and returns the measured deviation.
    pub(super) fn leave(self) -> Result<Deviation, String> {
        self.look.is_over.store(true, Relaxed);
        let watched = self.thread.join();
        watched.unwrap_or_else(|_| Err("a witness panicked".into()))?;
        let saw = std::mem::replace(&mut *lock(&self.look.saw), Deviation::new());
        Ok(saw)
    }
}

/// State that a witness shares with its thread.
#[derive(Clone)]
struct Look {
    is_over: Arc<AtomicBool>,
    saw: Arc<Mutex<Deviation>>,
}

impl Look {
    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Watches until the load is over. No stream may end or fall silent.
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
            // A stream also counts as silent before its first event.
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
