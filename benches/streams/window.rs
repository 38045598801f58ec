//! What a server shows in a window of time: what came of it, and what it spent on that.

use std::time::{Duration, Instant};

use crate::{
    client::{Client, Tally},
    process::{Cpu, Spent},
};

pub(crate) struct Window {
    pub(crate) tally: Tally,
    pub(crate) seconds: f64,
    /// By the server.
    pub(crate) spent: Spent,
    pub(crate) by_client: Spent,
}

impl Window {
    /// Watches the server of this process id, whose streams `client` holds.
    pub(crate) fn watch(
        pid: u32,
        client: &mut impl Client,
        length: Duration,
    ) -> Result<Self, String> {
        let own = std::process::id();
        let (server, before, begin) = (Cpu::of(pid)?, Cpu::of(own)?, Instant::now());
        let tally = client.watch(length)?;
        let spent = Cpu::of(pid)?.since(&server)?;
        let by_client = Cpu::of(own)?.since(&before)?;
        let seconds = begin.elapsed().as_secs_f64();
        if tally.events == 0 {
            return Err(format!("no event came; {}", client.reason()));
        }
        Ok(Self {
            tally,
            seconds,
            spent,
            by_client,
        })
    }

    pub(crate) fn events(&self) -> f64 {
        self.tally.events as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.events() / self.seconds
    }

    /// Microseconds of the server's processor time per event.
    pub(crate) fn cpu(&self) -> f64 {
        self.spent.total / self.events()
    }

    /// The events that came, in percent of those that were due.
    pub(crate) fn of_those_due(&self, streams: usize, interval: Duration) -> f64 {
        let due = streams as f64 * self.seconds / interval.as_secs_f64();
        100.0 * self.events() / due
    }

    /// The deviation in milliseconds that this share of the events does not pass.
    pub(crate) fn deviation(&self, share: f64) -> f64 {
        self.tally.deviation.percentile_ms(share)
    }
}
