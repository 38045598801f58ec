//! A load of clients that uses half of the machine.

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
    shared::{Phase, Shared},
};
use crate::process::Cpu;

const STEP: Duration = Duration::from_millis(20);
const STEPS_PER_SECOND: u32 = 50;
/// A second that takes this long shows that other programs keep the machine busy.
const LATE: Duration = Duration::from_millis(1150);
/// Limits of concurrent clients. A process may open 20,000 descriptors or more.
const MIN_CLIENTS: f64 = 50.0;
const MAX_CLIENTS: f64 = 10_000.0;

/// The running clients.
pub(super) struct Load {
    shared: Arc<Shared>,
    /// One thread per processor of the intended load, because a single thread may not reach the
    /// aim.
    threads: Vec<Handle>,
    clients: JoinSet<()>,
    next: u64,
    wanted: f64,
    /// The intended number of busy processors.
    pub(super) aim: f64,
    busy: Vec<f64>,
}

impl Load {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, String> {
        let cores = thread::available_parallelism().map_err(|e| e.to_string())?;
        let threads = (0..cores.get().div_ceil(2)).map(|_| begin_thread());
        Ok(Self {
            shared,
            threads: threads.collect::<Result<_, _>>()?,
            clients: JoinSet::new(),
            next: 0,
            wanted: 500.0,
            aim: cores.get() as f64 / 2.0,
            busy: Vec::new(),
        })
    }

    /// Runs clients for the given time and calls `each_second` to check the servers.
    pub(super) async fn come(
        &mut self,
        time: Duration,
        pids: &[u32],
        mut each_second: impl FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        self.shared.phase.send_replace(Phase::Load);
        let end = Instant::now() + time;
        let (mut steps, mut clock) = (0, interval(STEP));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut since, mut before) = (Instant::now(), cpu(pids)?);
        while Instant::now() < end {
            clock.tick().await;
            let missing = self.wanted - self.shared.notes.alive.load(Relaxed) as f64;
            // Starts clients gradually, so that their ages differ.
            for _ in 0..missing.min(1.0 + self.wanted / 250.0) as usize {
                let client = client::live(self.next, Arc::clone(&self.shared));
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

    /// Removes finished clients. A panic of a client is a fault.
    pub(super) fn bury(&mut self) {
        while let Some(life) = self.clients.try_join_next() {
            if let Err(error) = life {
                self.shared.fault(format!("the client's {error}"));
            }
        }
    }

    /// Adapts the number of clients.
    ///
    /// - Less than half of the machine is used: more clients, slowly, because each lives up to two
    ///   minutes.
    /// - Other programs keep the machine busy: fewer clients.
    fn regulate(&mut self, before: &[Cpu], now: &[Cpu], time: Duration) {
        let spent: Result<f64, String> = now
            .iter()
            .zip(before)
            .map(|(now, before)| Ok(now.since(before)?.total))
            .sum();
        // If a thread has ended, the processor time of this second is unknown.
        if let Ok(micros) = spent {
            let busy = micros / 1e6 / time.as_secs_f64();
            self.busy.push(busy);
            let step = ((self.aim - busy) / self.aim).clamp(-0.5, 0.5);
            let step = if time > LATE { -0.5 } else { step };
            self.wanted = (self.wanted * (1.0 + step / 5.0)).clamp(MIN_CLIENTS, MAX_CLIENTS);
        }
    }

    /// Returns the mean number of busy processors since the last call.
    pub(super) fn take_busy(&mut self) -> f64 {
        let busy = std::mem::take(&mut self.busy);
        busy.iter().sum::<f64>() / busy.len().max(1) as f64
    }
}

/// Starts a thread that runs clients until the process exits.
fn begin_thread() -> Result<Handle, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("no runtime: {e}"))?;
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(pending::<()>()));
    Ok(handle)
}

/// Returns the processor time of the servers and of this process.
fn cpu(pids: &[u32]) -> Result<Vec<Cpu>, String> {
    let own = std::process::id();
    pids.iter().chain([&own]).map(|pid| Cpu::of(*pid)).collect()
}
