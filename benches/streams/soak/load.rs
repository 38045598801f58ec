//! As many clients as use half the machine, for a while.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    client,
    town::{Hour, Town},
};
use crate::process::Cpu;

const STEP: Duration = Duration::from_millis(20);
const STEPS_PER_SECOND: u32 = 50;
/// What a second has become where the machine is busy with something else.
const LATE: Duration = Duration::from_millis(1150);
/// Bounds on the clients at a time: a process has 20,000 descriptors or more.
const LEAST: f64 = 50.0;
const MOST: f64 = 10_000.0;

/// The clients that come, one after the other.
pub(super) struct Load {
    town: Arc<Town>,
    /// As many as processors are to be busy: one alone might not get there.
    threads: Vec<Handle>,
    clients: JoinSet<()>,
    next: u64,
    wanted: f64,
    /// Processors to be busy.
    pub(super) aim: f64,
    busy: Vec<f64>,
}

impl Load {
    pub(super) fn new(town: Arc<Town>) -> Result<Self, String> {
        let cores = thread::available_parallelism().map_err(|e| e.to_string())?;
        let threads = (0..cores.get().div_ceil(2)).map(|_| begin_thread());
        Ok(Self {
            town,
            threads: threads.collect::<Result<_, _>>()?,
            clients: JoinSet::new(),
            next: 0,
            wanted: 500.0,
            aim: cores.get() as f64 / 2.0,
            busy: Vec::new(),
        })
    }

    /// Lets clients come for so long; `each_second` looks after the servers.
    pub(super) async fn come(
        &mut self,
        time: Duration,
        pids: &[u32],
        mut each_second: impl FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        self.town.hour.send_replace(Hour::Load);
        let end = Instant::now() + time;
        let (mut steps, mut clock) = (0, interval(STEP));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut since, mut before) = (Instant::now(), cpu(pids)?);
        while Instant::now() < end {
            clock.tick().await;
            let missing = self.wanted - self.town.notes.alive.load(Relaxed) as f64;
            // Not all at once: they are to be of every age.
            for _ in 0..missing.min(1.0 + self.wanted / 250.0) as usize {
                let client = client::live(self.next, Arc::clone(&self.town));
                let thread = self.next as usize % self.threads.len();
                self.clients.spawn_on(client, &self.threads[thread]);
                self.next += 1;
            }
            steps += 1;
            if steps % STEPS_PER_SECOND == 0 {
                let now = cpu(pids)?;
                self.regulate(&before, &now, since.elapsed());
                (since, before) = (Instant::now(), now);
                self.bury();
                each_second()?;
            }
        }
        Ok(())
    }

    /// Forgets clients whose life is over; none may have panicked.
    pub(super) fn bury(&mut self) {
        while let Some(life) = self.clients.try_join_next() {
            if let Err(error) = life {
                self.town.fault(format!("the client's {error}"));
            }
        }
    }

    /// More clients where less than half is used, slowly, for they live for up to two minutes; fewer
    /// where others leave the machine no time for these.
    fn regulate(&mut self, before: &[Cpu], now: &[Cpu], time: Duration) {
        let spent: Result<f64, String> = now
            .iter()
            .zip(before)
            .map(|(now, before)| Ok(now.since(before)?.total))
            .sum();
        // A thread that has ended makes a second unknown.
        if let Ok(micros) = spent {
            let busy = micros / 1e6 / time.as_secs_f64();
            self.busy.push(busy);
            let step = ((self.aim - busy) / self.aim).clamp(-0.5, 0.5);
            let step = if time > LATE { -0.5 } else { step };
            self.wanted = (self.wanted * (1.0 + step / 5.0)).clamp(LEAST, MOST);
        }
    }

    /// The processors that were busy since this was asked, in the mean.
    pub(super) fn take_busy(&mut self) -> f64 {
        let busy = std::mem::take(&mut self.busy);
        busy.iter().sum::<f64>() / busy.len().max(1) as f64
    }
}

/// A thread that clients may live in, until all is over.
fn begin_thread() -> Result<Handle, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("no runtime: {e}"))?;
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(pending::<()>()));
    Ok(handle)
}

/// The processor time of the servers and of their clients.
fn cpu(pids: &[u32]) -> Result<Vec<Cpu>, String> {
    let own = std::process::id();
    pids.iter().chain([&own]).map(|pid| Cpu::of(*pid)).collect()
}
