//! The events and the processor time of a server in one measurement window.

use std::time::{Duration, Instant};

use crate::{
    client::{Client, Tally},
    process::{Cpu, Spent},
};

pub(crate) struct Window {
    pub(crate) tally: Tally,
    pub(crate) seconds: f64,
    /// The processor time of the server.
    pub(crate) spent: Spent,
    pub(crate) by_client: Spent,
}

impl Window {
    /// Measures the process `pid` while `client` counts the events of its streams.
    pub(crate) fn watch(
        pid: u32,
        client: &mut impl Client,
        length: Duration,
    ) -> Result<Self, String> {
        let window = Self::during(pid, || client.watch(length))?;
        if window.tally.events == 0 {
            return Err(format!("no event came; {}", client.reason()));
        }
        Ok(window)
    }

    /// Measures the process `pid` while `watch` counts the events of its streams.
    pub(crate) fn during(
        pid: u32,
        watch: impl FnOnce() -> Result<Tally, String>,
    ) -> Result<Self, String> {
        let own = std::process::id();
        let (server, before, begin) = (Cpu::of(pid)?, Cpu::of(own)?, Instant::now());
        let tally = watch()?;
        let spent = Cpu::of(pid)?.since(&server)?;
        let by_client = Cpu::of(own)?.since(&before)?;
        let seconds = begin.elapsed().as_secs_f64();
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

    /// Returns the server's processor time per event, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.spent.total / self.events()
    }

    /// Returns the received events in percent of the due events.
    pub(crate) fn of_those_due(&self, streams: usize, interval: Duration) -> f64 {
        let due = streams as f64 * self.seconds / interval.as_secs_f64();
        100.0 * self.events() / due
    }

    /// Returns the percentile `share` of the deviation, in milliseconds.
    pub(crate) fn deviation(&self, share: f64) -> f64 {
        self.tally.deviation.percentile_ms(share)
    }
}
