//! Points with 5,000 open streams: their cost at rest and at a high rate.

use std::time::Duration;

use crate::{
    client::Client,
    load::Load,
    point::{
        CPU, CPU_OVER_FLOOR, LOST, MEMORY, MEMORY_OVER_NODE, P99, Point, RATE, Ratio, SYSTEM,
        Sample, USER, USER_OVER_AXUM,
    },
    process,
    servers::{Kind, Server},
    window::Window,
};

const SECOND: Duration = Duration::from_secs(1);
/// The interval of the events at a high rate.
const FAST: Duration = Duration::from_millis(25);
/// Streams opened per second where the rate is not measured, so that ticks are spread evenly.
const STREAMS_PER_SECOND: f64 = 5000.0;

/// Returns the point at rest.
pub fn steady() -> Point {
    Point {
        name: "steady",
        title: "5,000 streams, an event each every 1,000 ms",
        about: "a window of 15 s after a warm-up.",
        kinds: Kind::PLAIN.into(),
        rounds: 3,
        ratios: [
            cpu_ratios(),
            vec![Ratio::new(MEMORY_OVER_NODE, MEMORY, Kind::Node)],
        ]
        .concat(),
        lacks: None,
        measure: Box::new(|kind| hold(kind, 5000, SECOND, Duration::from_secs(15))),
    }
}

/// Returns the point at a high rate.
pub fn rate() -> Point {
    let kinds = Kind::PLAIN.into_iter();
    Point {
        name: "rate",
        title: "5,000 streams, an event each every 25 ms",
        about: "a window of 8 s; 200,000 events a second are due, and those that do not arrive were more than the server can send. Express is not measured: it takes more CPU time for an event than Node's http, and at this rate not all of its streams opened in time.",
        kinds: kinds.filter(|kind| *kind != Kind::Express).collect(),
        ratios: [
            cpu_ratios(),
            vec![Ratio::new(USER_OVER_AXUM, USER, Kind::Axum)],
        ]
        .concat(),
        measure: Box::new(|kind| hold(kind, 5000, FAST, SECOND * 8)),
        ..steady()
    }
}

/// Returns the most informative point that takes less than a minute.
pub fn quick() -> Point {
    Point {
        name: "quick",
        about: "a short window; for a first look, not for print.",
        kinds: vec![Kind::Floor, Kind::Ours, Kind::Node],
        rounds: 1,
        ratios: cpu_ratios(),
        measure: Box::new(|kind| hold(kind, 5000, FAST, SECOND * 3)),
        ..rate()
    }
}

fn cpu_ratios() -> Vec<Ratio> {
    vec![
        Ratio::new(CPU_OVER_FLOOR, CPU, Kind::Floor),
        Ratio::new("CPU over Node's", CPU, Kind::Node),
    ]
}

/// Measures a server with a number of open streams.
pub(crate) fn hold(
    kind: Kind,
    streams: usize,
    interval: Duration,
    length: Duration,
) -> Result<Sample, String> {
    let mut opened = Opened::new(kind, streams, interval, even_spread(streams, interval))?;
    let load = &mut opened.load;
    let early = load.watch(interval.max(SECOND) + interval)?.lost;
    let window = Window::watch(opened.server.pid(), load, length)?;
    let lost = window.tally.lost + early;
    Ok(opened
        .sample(&window, interval)?
        .with("deviation p50, ms", window.deviation(0.5), 2)
        .with(P99, window.deviation(0.99), 2)
        .with("max, ms", window.tally.deviation.max_ms(), 1)
        .with(LOST, lost as f64, 0))
}

/// A server with open streams over HTTP/1.1.
pub(crate) struct Opened {
    pub(crate) server: Server,
    pub(crate) load: Load,
    streams: usize,
    /// The resident memory without the streams, in KiB.
    before: f64,
    sockets_before: Option<f64>,
}

impl Opened {
    pub(crate) fn new(
        kind: Kind,
        streams: usize,
        interval: Duration,
        over: Duration,
    ) -> Result<Self, String> {
        let server = Server::start(kind, interval)?;
        let mut load = Load::new(server.target.clone())?;
        // The first stream sets up shared state such as the time zone.
        load.open(1, Duration::ZERO)?;
        load.close();
        load.watch(SECOND / 10)?;

        let before = process::resident(server.pid())?;
        let sockets_before = process::socket_memory();
        load.open(streams, over)?;
        Ok(Self {
            server,
            load,
            streams,
            before,
            sockets_before,
        })
    }

    /// Returns the figures of a window with an event to each stream every `interval`.
    pub(crate) fn sample(&self, window: &Window, interval: Duration) -> Result<Sample, String> {
        let (streams, events) = (self.streams, window.events());
        let memory = process::resident(self.server.pid())? - self.before;
        let sockets = process::socket_memory().zip(self.sockets_before);
        let sample = Sample::default()
            .with(RATE, window.per_second(), 0)
            .with("of those due, %", window.of_those_due(streams, interval), 1)
            .with(CPU, window.cpu(), 2)
            .with(USER, window.spent.user / events, 2)
            .with(SYSTEM, window.spent.system / events, 2)
            .with(MEMORY, memory / streams as f64, 2);
        Ok(match sockets {
            // Both ends are here.
            Some((all, before)) => {
                let memory = (all - before) / (2 * streams) as f64;
                sample.with("kernel memory per socket, KiB", memory, 2)
            }
            None => sample,
        })
    }
}

/// Returns the time in which to open `streams`: a whole number of intervals.
fn even_spread(streams: usize, interval: Duration) -> Duration {
    let intervals = streams as f64 / STREAMS_PER_SECOND / interval.as_secs_f64();
    interval.mul_f64(intervals.ceil().max(1.0))
}
