//! The points of the benchmark: how each loads a server, and which figures it records.

use std::time::Duration;

use crate::{
    churn,
    client::Client,
    cluster, handshake, instructions, limit,
    load::Load,
    million, process,
    report::{Ratio, Sample},
    servers::{Kind, Server},
    storm, thp,
    window::Window,
};

pub(crate) const CPU: &str = "CPU per event, µs";
const USER: &str = "user, µs";
const SYSTEM: &str = "system, µs";
pub(crate) const MEMORY: &str = "memory per stream, KiB";
pub(crate) const P99: &str = "p99, ms";
pub(crate) const RATE: &str = "events per second";
const SECOND: Duration = Duration::from_secs(1);
pub(crate) const FAST: Duration = Duration::from_millis(25);
/// Streams opened per second where the rate is not measured, so that ticks are spread evenly.
const CALLS_PER_SECOND: f64 = 5000.0;

type Measure = Box<dyn Fn(Kind) -> Result<Sample, String>>;

/// One point, with the servers to measure.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    pub(crate) ratios: Vec<Ratio>,
    /// Why the point cannot be measured on this machine.
    pub(crate) lacks: Option<String>,
    pub(crate) measure: Measure,
}

/// Returns every point, in the order of `all`.
pub(crate) fn all() -> Vec<Point> {
    vec![
        steady(),
        rate(3, Duration::from_secs(8)),
        growth(),
        limit::point(),
        storm::point(),
        churn::point(),
        thp::point(),
        instructions::point(),
        cluster::point(),
        handshake::point(),
        million::smaller(),
        million::point(),
    ]
}

/// Returns the most informative point that takes less than a minute.
pub(crate) fn quick() -> Vec<Point> {
    vec![Point {
        name: "quick",
        about: "a short window; for a first look, not for print.",
        kinds: vec![Kind::Floor, Kind::Ours, Kind::Node],
        ratios: cpu_ratios(),
        ..rate(1, Duration::from_secs(3))
    }]
}

fn steady() -> Point {
    Point {
        name: "steady",
        title: "5,000 streams, an event each every 1,000 ms",
        about: "a window of 15 s after a warm-up.",
        kinds: Kind::PLAIN.into(),
        rounds: 3,
        ratios: cpu_ratios(),
        lacks: None,
        measure: Box::new(|kind| Ok(hold(kind, 5000, SECOND, Duration::from_secs(15))?.sample())),
    }
}

fn rate(rounds: usize, window: Duration) -> Point {
    Point {
        name: "rate",
        title: "5,000 streams, an event each every 25 ms",
        about: "a window of 8 s; 200,000 events a second are due, and those that do not arrive were more than the server can send.",
        kinds: Kind::PLAIN.into(),
        rounds,
        ratios: [
            cpu_ratios(),
            vec![Ratio {
                name: "user over axum's",
                figure: USER,
                base: Kind::Axum,
            }],
        ]
        .concat(),
        lacks: None,
        measure: Box::new(move |kind| Ok(hold(kind, 5000, FAST, window)?.sample())),
    }
}

fn growth() -> Point {
    let measure = |kind| {
        let window = Duration::from_secs(8);
        let few = hold(kind, 1000, SECOND, window)?;
        let some = hold(kind, 5000, SECOND, window)?;
        let many = hold(kind, 19_000, SECOND, window)?;
        Ok(Sample::default()
            .with("CPU, µs: 1,000", few.window.cpu(), 2)
            .with("5,000", some.window.cpu(), 2)
            .with("19,000", many.window.cpu(), 2)
            .with(
                "CPU, 19,000 over 1,000",
                many.window.cpu() / few.window.cpu(),
                2,
            )
            .with("memory, KiB: 1,000 ", few.memory, 2)
            .with("5,000 ", some.memory, 2)
            .with("19,000 ", many.memory, 2)
            .with("memory, 19,000 over 1,000", many.memory / few.memory, 2)
            .with(
                "lost",
                [&few, &some, &many]
                    .map(|held| held.window.tally.lost as f64)
                    .iter()
                    .sum(),
                0,
            ))
    };
    Point {
        name: "growth",
        title: "1,000, 5,000 and 19,000 streams, an event each every 1,000 ms",
        about: "CPU per event and memory per stream as the number of streams grows; Express is left out, because its events are Node's.",
        kinds: vec![
            Kind::Floor,
            Kind::Ours,
            Kind::Jemalloc,
            Kind::Node,
            Kind::Axum,
        ],
        rounds: 3,
        ratios: Vec::new(),
        lacks: None,
        measure: Box::new(measure),
    }
}

fn cpu_ratios() -> Vec<Ratio> {
    vec![
        Ratio {
            name: "CPU over the floor's",
            figure: CPU,
            base: Kind::Floor,
        },
        Ratio {
            name: "CPU over Node's",
            figure: CPU,
            base: Kind::Node,
        },
    ]
}

/// Measurements of a server with a number of open streams.
pub(crate) struct Held {
    window: Window,
    of_those_due: f64,
    pub(crate) memory: f64,
    /// Connections that were lost before their response head, and opened again.
    refused: usize,
}

impl Held {
    fn sample(&self) -> Sample {
        let Self { window, .. } = self;
        Sample::default()
            .with(RATE, window.per_second(), 0)
            .with("of those due, %", self.of_those_due, 1)
            .with(CPU, window.cpu(), 2)
            .with(USER, window.spent.user / window.events(), 2)
            .with(SYSTEM, window.spent.system / window.events(), 2)
            .with(MEMORY, self.memory, 2)
            .with("deviation p50, ms", window.deviation(0.5), 2)
            .with(P99, window.deviation(0.99), 2)
            .with("max, ms", window.tally.deviation.max_ms(), 1)
            .with("lost", window.tally.lost as f64, 0)
            .with("refused at first", self.refused as f64, 0)
    }
}

pub(crate) fn hold(
    kind: Kind,
    streams: usize,
    interval: Duration,
    length: Duration,
) -> Result<Held, String> {
    let server = Server::start(kind, interval)?;
    let pid = server.pid();
    let mut load = Load::new(server.target.clone())?;
    warm_up(&mut load)?;

    let before = process::resident(pid)?;
    load.open(streams, even_spread(streams, interval))?;
    let early = load.watch(interval.max(SECOND) + interval)?.lost;
    let mut window = Window::watch(pid, &mut load, length)?;
    window.tally.lost += early;
    let memory = (process::resident(pid)? - before) / streams as f64;
    Ok(Held {
        of_those_due: window.of_those_due(streams, interval),
        window,
        memory,
        refused: load.refused(),
    })
}

/// Opens one stream, because the first sets up shared state such as the time zone.
pub(crate) fn warm_up(load: &mut Load) -> Result<(), String> {
    load.open(1, Duration::ZERO)?;
    load.close();
    load.watch(Duration::from_millis(100))?;
    Ok(())
}

/// Returns the time in which to open `streams`: a whole number of intervals.
pub(crate) fn even_spread(streams: usize, interval: Duration) -> Duration {
    let intervals = streams as f64 / CALLS_PER_SECOND / interval.as_secs_f64();
    interval.mul_f64(intervals.ceil().max(1.0))
}
