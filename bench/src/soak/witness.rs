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
use crate::{client::Client, crowd::Crowd, histogram::Histogram, load::Load, servers::Target};

/// Enough for every thread of the server. Over HTTP/2 two streams share a connection.
const STREAMS: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_millis(250);
const NAP: Duration = Duration::from_millis(10);
/// The longest allowed time without an event.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Witness {
    state: State,
    thread: JoinHandle<Result<(), String>>,
}

impl Witness {
    /// Measures how far events deviate from their interval of one second.
    ///
    /// The streams run over plain HTTP, or over TLS and HTTP/2.
    pub(super) fn listen(target: Target, is_secure: bool, shared: Arc<Shared>) -> Self {
        Self::begin(move |state| {
            if is_secure {
                let mut crowd = Crowd::new(target)?;
                crowd.open(STREAMS / 2, 2, Duration::ZERO)?;
                state.watch(crowd, &shared.notes)
            } else {
                let mut load = Load::new(target)?;
                load.open(STREAMS, SECOND)?;
                state.watch(load, &shared.notes)
            }
        })
    }

    /// Measures how late the machine wakes a sleeping thread: a lower bound for events.
    pub(super) fn sleep() -> Self {
        Self::begin(|state| {
            while !state.is_over() {
                let due = Instant::now() + NAP;
                thread::sleep(NAP);
                lock(&state.deviation).record(due.elapsed());
            }
            Ok(())
        })
    }

    fn begin(measure: impl FnOnce(State) -> Result<(), String> + Send + 'static) -> Self {
        let state = State {
            is_over: Arc::default(),
            deviation: Arc::new(Mutex::new(Histogram::new())),
        };
        let thread = thread::spawn({
            let state = state.clone();
            move || measure(state)
        });
        Self { state, thread }
    }

    /// Stops the thread and returns the measured deviation.
    pub(super) fn leave(self) -> Result<Histogram, String> {
        self.state.is_over.store(true, Relaxed);
        let watched = self.thread.join();
        watched.unwrap_or_else(|_| Err("a witness panicked".into()))?;
        let deviation = std::mem::replace(&mut *lock(&self.state.deviation), Histogram::new());
        Ok(deviation)
    }
}

/// State that a witness shares with its thread.
#[derive(Clone)]
struct State {
    is_over: Arc<AtomicBool>,
    deviation: Arc<Mutex<Histogram>>,
}

impl State {
    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Watches until the load is over. No stream may end or fall silent.
    fn watch(&self, mut client: impl Client, notes: &Notes) -> Result<(), String> {
        let begin = Instant::now();
        while !self.is_over() {
            let tally = client.watch(WINDOW)?;
            let (lost, ended) = (tally.lost, client.ended_cleanly());
            if lost > 0 {
                let reason = client.reason();
                return Err(format!("{lost} plain streams were lost: {reason}"));
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
            lock(&self.deviation).add(&tally.deviation);
        }
        Ok(())
    }
}
