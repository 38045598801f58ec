//! The life of one server process: its resources before and after a load, its statistics, its log.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    channel::Address,
    log::Log,
    rush::{forget, rush},
    shared::{PATIENCE, Shared},
    stats::Stats,
};
use crate::{
    histogram::Histogram,
    process,
    servers::{Kind, Server},
};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Rushes before memory is measured. The heaps of glibc keep growing for the first few.
const RUSHES: usize = 8;
/// The final memory may be this multiple of the memory after the first load. jemalloc's twin of a
/// server runs the same code, and its memory is steady, so that it finds a leak of half a MiB.
const GROWTH: f64 = 1.05;
/// The same with glibc, whose heaps settle at another size after other clients. 16 more rushes do
/// not change that size: it is no leak.
const GLIBC_GROWTH: f64 = 1.1;

/// The resources of a process.
#[derive(Clone, Copy)]
pub(super) struct Footing {
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    /// MiB.
    pub(super) memory: f64,
}

pub(super) struct Life {
    pub(super) name: String,
    growth: f64,
    /// Descriptors of a process without clients.
    idle: usize,
    pub(super) base: Option<Footing>,
    pub(super) end: Option<Footing>,
    pub(super) stats: Stats,
    /// Streams that idle clients held at the end of this life.
    pub(super) held: usize,
    pub(super) deviation: Histogram,
    pub(super) log: Log,
}

/// Returns the number of rushes before a measurement.
pub(super) fn rushes(judges_memory: bool) -> usize {
    if judges_memory { RUSHES } else { 1 }
}

impl Footing {
    pub(super) fn of(pid: u32) -> Result<Self, String> {
        Ok(Self {
            descriptors: process::entries(pid, "fd")?.count(),
            threads: process::entries(pid, "task")?.count(),
            memory: process::resident(pid)? / 1024.0,
        })
    }
}

impl Life {
    pub(super) fn begin(
        kind: Kind,
        number: u32,
        server: &Server,
        idle: usize,
    ) -> Result<Self, String> {
        Ok(Self {
            name: format!("{}, life {number}", kind.title()),
            growth: match kind {
                Kind::Jemalloc | Kind::Http2Jemalloc => GROWTH,
                _ => GLIBC_GROWTH,
            },
            idle,
            base: None,
            end: None,
            stats: Stats::default(),
            held: 0,
            deviation: Histogram::new(),
            log: Log::open(server.log())?,
        })
    }

    /// Waits until all clients left, runs the rushes, and records the resources of the server.
    ///
    /// The first call records the base. The second call records the end and compares both.
    /// The server must count every stream of the rushes.
    pub(super) async fn settle(
        &mut self,
        server: &Server,
        address: &Address,
        judges_memory: bool,
        shared: &Shared,
    ) -> Result<(), String> {
        let mut footing = self.all_have_left(server, address, shared).await?;
        let open = Stats::open_by_key(address).await?;
        if open > 0 {
            shared.fault(format!("{}: {open} streams are counted by key", self.name));
        }
        let before = self.stats;
        let (mut came, mut memory) = (0, Vec::new());
        let prefix = if self.base.is_none() { "first" } else { "last" };
        let name = self.name.clone();
        let failed = |error| format!("{name}: a rush failed: {error}");
        for number in 0..rushes(judges_memory) {
            came += rush(address, server.pid()).await.map_err(failed)?;
            let keys = format!("{prefix}{number}-");
            came += forget(address, &keys).await.map_err(failed)?;
            footing = self.all_have_left(server, address, shared).await?;
            memory.push(footing.memory);
        }
        // The median, because memory differs by a few percent from one rush to the next.
        let mut late = memory.split_off(memory.len() / 2);
        late.sort_by(f64::total_cmp);
        footing.memory = late[late.len() / 2];
        let opened = self.stats.opened - before.opened;
        if opened != came {
            shared.fault(format!("{name}: {opened} streams of {came} are counted"));
        }
        let place = match self.base {
            None => &mut self.base,
            Some(_) => &mut self.end,
        };
        *place = Some(footing);
        self.judge(judges_memory, shared);
        Ok(())
    }

    /// Waits until the server counts no stream and holds no connection.
    async fn all_have_left(
        &mut self,
        server: &Server,
        address: &Address,
        shared: &Shared,
    ) -> Result<Footing, String> {
        let begin = Instant::now();
        loop {
            self.stats = Stats::fetch(address).await?;
            sleep(POLL_INTERVAL).await;
            let footing = Footing::of(server.pid())?;
            let (open, name) = (self.stats.open, &self.name);
            if open == 0 && footing.descriptors <= self.idle {
                return Ok(footing);
            }
            if begin.elapsed() > PATIENCE {
                let more = footing.descriptors.saturating_sub(self.idle);
                shared.fault(format!(
                    "{name}: {open} streams are counted and {more} connections held, {} s after the last client left",
                    PATIENCE.as_secs()
                ));
                return Ok(footing);
            }
        }
    }

    /// Compares the final resources with the base, once both are known.
    fn judge(&self, judges_memory: bool, shared: &Shared) {
        let (Some(base), Some(footing), name) = (self.base, self.end, &self.name) else {
            return;
        };
        if footing.threads != base.threads {
            let (before, after) = (base.threads, footing.threads);
            shared.fault(format!("{name}: {before} threads became {after}"));
        }
        if judges_memory && footing.memory > base.memory * self.growth {
            let (before, after) = (base.memory, footing.memory);
            shared.fault(format!("{name}: {before:.1} MiB became {after:.1} MiB"));
        }
    }

    /// Checks that the log of the stopped process reports an end for every opened stream.
    pub(super) fn judge_end(&self, shared: &Shared) {
        let (log, opened) = (&self.log, self.log.opened);
        let ended = log.left + log.finished + log.stopped;
        if opened.abs_diff(ended) > log.left_out {
            shared.fault(format!("{}: of {opened} streams {ended} ended", self.name));
        }
    }

    /// Waits until server, clients and log agree on the number of streams.
    pub(super) async fn agree(
        &mut self,
        address: &Address,
        held: impl Fn() -> usize,
        shared: &Shared,
    ) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            self.read_log(shared);
            let (stats, held) = (Stats::fetch(address).await?, held());
            self.read_log(shared);
            (self.stats, self.held) = (stats, held);
            let log = &self.log;
            let counted = [stats.open, stats.opened, stats.left, stats.finished];
            let seen = [held as u64, log.opened, log.left, log.finished];
            let missing = [1, 2, 3].map(|of| counted[of].checked_sub(seen[of]));
            // The log reports how many lines were left out.
            let is_logged = missing.into_iter().sum::<Option<u64>>();
            let is_logged = is_logged.is_some_and(|missing| missing <= log.left_out);
            let is_held = counted[0] == seen[0];
            if is_held && is_logged && stats.opened == stats.ended() + stats.open {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                shared.fault(format!(
                    "{}: open, opened, left and finished are counted as {counted:?}; clients and log have {seen:?}",
                    self.name
                ));
                return Ok(());
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    pub(super) fn read_log(&mut self, shared: &Shared) {
        for line in self.log.read_on() {
            shared.fault(format!("{}: unknown line in the log: {line}", self.name));
        }
    }
}
