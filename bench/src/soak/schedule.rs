//! The schedule: three lives of each server, with a kill between them.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    channel::{Address, Tls},
    life::Life,
    load::Load,
    minutes::tell,
    shared::{Endpoint, PATIENCE, Phase, Shared},
    witness::Witness,
};
use crate::{
    histogram::Histogram,
    process,
    servers::{Kind, Server},
};

/// Over plain HTTP and over TLS, with both allocators.
pub(super) const KINDS: [Kind; 4] = [Kind::Ours, Kind::Jemalloc, Kind::Http2, Kind::Http2Jemalloc];
const LIVES: u32 = 3;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The least share of the intended processor time that must be used.
const ENOUGH: f64 = 0.8;

/// The result of a soak.
pub(super) struct Outcome {
    pub(super) shared: Arc<Shared>,
    pub(super) lives: Vec<Life>,
    /// The mean number of busy processors, and the intended number.
    pub(super) busy: f64,
    pub(super) aim: f64,
    pub(super) machine: Histogram,
    pub(super) judges_memory: bool,
    /// Every life was completed.
    pub(super) is_whole: bool,
    pub(super) broken: Vec<String>,
}

struct Soak {
    shared: Arc<Shared>,
    servers: Vec<Server>,
    /// Open descriptors of each server before any client connected.
    idle: Vec<usize>,
    /// Lives of the current processes, in the order of the servers.
    now: Vec<Life>,
    past: Vec<Life>,
    load: Load,
    /// How late the machine wakes a sleeping thread.
    machine: Histogram,
    judges_memory: bool,
}

pub(super) async fn run(seed: u64, length: Duration) -> Result<Outcome, String> {
    let mut soak = Soak::begin(seed)?;
    let teller = tokio::spawn(tell(Arc::clone(&soak.shared)));
    let life = length / LIVES;
    let first = MINUTE.min(life / 4);
    soak.judges_memory = first == MINUTE;
    let mut is_whole = true;
    for number in 1..=LIVES {
        if let Err(what) = soak.live(number, first, life).await {
            soak.shared.fault(what);
            is_whole = false;
            break;
        }
    }
    teller.abort();
    Ok(soak.end(is_whole))
}

impl Soak {
    fn begin(seed: u64) -> Result<Self, String> {
        let (mut servers, mut endpoints) = (Vec::new(), Vec::new());
        for kind in KINDS {
            let server = Server::start(kind, SECOND)?;
            let address = Address {
                socket: server.target.address,
                tls: Kind::SECURE.contains(&kind).then(Tls::new).transpose()?,
            };
            endpoints.push(Endpoint::new(kind.title(), address));
            servers.push(server);
        }
        let shared = Arc::new(Shared::new(seed, endpoints));
        Ok(Self {
            load: Load::new(Arc::clone(&shared))?,
            shared,
            servers,
            idle: Vec::new(),
            now: Vec::new(),
            past: Vec::new(),
            machine: Histogram::new(),
            judges_memory: false,
        })
    }

    /// Runs one life. All lives except the last end with a kill.
    async fn live(&mut self, number: u32, first: Duration, life: Duration) -> Result<(), String> {
        self.be_born(number).await?;
        let begin = Instant::now();
        if number > 1 {
            // Idle clients of the killed server resume at the next id.
            self.all_are_back().await;
        }
        self.load(first).await?;
        let measurement = Instant::now();
        self.leave().await?;
        // The last measurement takes as long as the first.
        let rest = life.saturating_sub(begin.elapsed() + measurement.elapsed());
        self.load(rest.max(first)).await?;
        self.leave().await?;
        self.sit_still().await?;
        if number < LIVES {
            self.kill()?;
        }
        Ok(())
    }

    async fn be_born(&mut self, number: u32) -> Result<(), String> {
        // A server listens on its first core before its other threads start.
        sleep(SECOND).await;
        for (index, server) in self.servers.iter().enumerate() {
            if number == 1 {
                self.idle
                    .push(process::entries(server.pid(), "fd")?.count());
            }
            let life = Life::begin(KINDS[index], number, server, self.idle[index])?;
            self.now.push(life);
        }
        Ok(())
    }

    /// Runs random clients, together with plain streams.
    async fn load(&mut self, time: Duration) -> Result<(), String> {
        let witness = |(endpoint, server): (&Endpoint, &Server)| {
            let (target, is_secure) = (server.target.clone(), endpoint.address.tls.is_some());
            Witness::listen(target, is_secure, Arc::clone(&self.shared))
        };
        let pairs = self.shared.endpoints.iter().zip(&self.servers);
        let witnesses: Vec<Witness> = pairs.map(witness).collect();
        let pids: Vec<u32> = self.servers.iter().map(Server::pid).collect();
        let (shared, servers, now) = (&self.shared, &mut self.servers, &mut self.now);
        let each_second = || {
            for (server, life) in servers.iter_mut().zip(now.iter_mut()) {
                life.read_log(shared);
                if server.has_exited() {
                    return Err(format!("{} has ended by itself", life.name));
                }
            }
            Ok(())
        };
        let sleeper = Witness::sleep();
        let came = self.load.come(time, &pids, each_second).await;
        self.machine.add(&sleeper.leave()?);
        for (life, witness) in self.now.iter_mut().zip(witnesses) {
            match witness.leave() {
                Ok(deviation) => life.deviation.add(&deviation),
                Err(what) => self.shared.fault(format!("{}: {what}", life.name)),
            }
        }
        came
    }

    /// Disconnects all clients and waits until every server has noticed.
    async fn leave(&mut self) -> Result<(), String> {
        self.shared.phase.send_replace(Phase::Away);
        let notes = &self.shared.notes;
        if !comes_true(|| notes.busy.load(Relaxed) == 0).await {
            return Err("the clients do not leave".into());
        }
        let (shared, judges_memory) = (&self.shared, self.judges_memory);
        for (index, life) in self.now.iter_mut().enumerate() {
            let address = &shared.endpoints[index].address;
            life.settle(&self.servers[index], address, judges_memory, shared)
                .await?;
        }
        Ok(())
    }

    /// Lets clients with ids reconnect and idle, and compares all counts.
    async fn sit_still(&mut self) -> Result<(), String> {
        self.shared.phase.send_replace(Phase::Still);
        self.all_are_back().await;
        let shared = &self.shared;
        for (index, life) in self.now.iter_mut().enumerate() {
            let endpoint = &shared.endpoints[index];
            let held = || endpoint.clients().streams.load(Relaxed);
            life.agree(&endpoint.address, held, shared).await?;
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), String> {
        self.announce_the_end();
        let servers = self.servers.drain(..);
        let again = servers.map(Server::kill_and_start_again);
        self.servers = again.collect::<Result<_, _>>()?;
        for life in &mut self.now {
            life.read_log(&self.shared);
        }
        for endpoint in &self.shared.endpoints {
            endpoint.begin_anew();
        }
        self.past.append(&mut self.now);
        Ok(())
    }

    /// Allows streams to end from now on.
    fn announce_the_end(&self) {
        for endpoint in &self.shared.endpoints {
            endpoint.end();
        }
    }

    /// Waits until all faithful streams are open and all quick ones have received a new id.
    async fn all_are_back(&self) {
        let notes = &self.shared.notes;
        let missing = || -> Vec<String> {
            let endpoints = self.shared.endpoints.iter().enumerate();
            let missing = endpoints.filter_map(|(index, endpoint)| {
                let clients = endpoint.clients();
                let streams = clients.streams.load(Relaxed);
                let read = clients.read.load(Relaxed);
                let faithful = notes.faithful[index].load(Relaxed);
                let quick = notes.quick[index].load(Relaxed);
                let name = &self.now[index].name;
                let all = streams == faithful && read == quick;
                (!all).then(|| {
                    format!("{name}: of {faithful} streams {streams} are back, of {quick} quick ones {read} read")
                })
            });
            missing.collect()
        };
        if !comes_true(|| missing().is_empty()).await {
            for what in missing() {
                self.shared.fault(what);
            }
        }
    }

    fn end(mut self, is_whole: bool) -> Outcome {
        self.announce_the_end();
        if !is_whole {
            self.shared.phase.send_replace(Phase::Away);
        }
        for (server, life) in self.servers.iter_mut().zip(&mut self.now) {
            let fault = |what| self.shared.fault(format!("{}: {what}", life.name));
            match server.stop(10 * SECOND) {
                Ok(status) if status.success() => {}
                Ok(status) => fault(format!("it ended with {status}")),
                Err(what) => fault(what),
            }
            life.read_log(&self.shared);
            life.judge_end(&self.shared);
        }
        self.past.append(&mut self.now);
        self.load.bury();
        self.shared.judge();
        let (busy, aim) = (self.load.take_busy(), self.load.aim);
        // A short run ends before enough clients are connected.
        if self.judges_memory && busy < ENOUGH * aim {
            let fault = format!("{busy:.2} of {aim} processors were busy");
            self.shared.fault(fault);
        }
        Outcome {
            busy,
            aim,
            machine: self.machine,
            judges_memory: self.judges_memory,
            is_whole,
            broken: self.shared.faults(),
            shared: self.shared,
            lives: self.past,
        }
    }
}

/// Waits until `is_so` holds, or `PATIENCE` is over. Clients leave and reconnect faster than that.
async fn comes_true(mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > PATIENCE {
            return false;
        }
        sleep(POLL_INTERVAL).await;
    }
    true
}
