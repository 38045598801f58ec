//! Over HTTP/2: thousands of connections with a hundred streams each, up to a million in one process.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    crowd::Crowd,
    load::{Load, Tally},
    points::{Point, RATE},
    process::{self, Cpu, Spent},
    report::{Ratio, Sample},
    servers::{Kind, Server},
};

const CPU: &str = "CPU per event, µs";
const STREAMS: usize = 125;
const SECOND: Duration = Duration::from_secs(1);
/// The plain floor at the rate of a million streams with an event each every ten seconds.
const FLOOR: (usize, Duration) = (5000, Duration::from_millis(50));
/// KiB that a stream takes of both ends together, with room to spare.
const BOTH_ENDS: f64 = 5.0;

pub(crate) fn smaller() -> Point {
    Point {
        name: "h2",
        title: "100,000 streams over HTTP/2, an event each every 1,000 ms",
        about: "800 connections of 125 streams, TLS 1.3, and before it 80 connections, 10,000 streams; windows of 15 s after a warm-up.",
        kinds: [&[Kind::Floor], &Kind::SECURE[..]].concat(),
        rounds: 3,
        ratios: vec![over_the_floor()],
        lacks: None,
        measure: Box::new(|kind| {
            let window = Duration::from_secs(15);
            if kind == Kind::Floor {
                return floor(window);
            }
            let few = hold(kind, 80, SECOND, window)?;
            let many = hold(kind, 800, SECOND, window)?;
            Ok(many.sample().with("CPU at 10,000, µs", few.cpu(), 2).with(
                "memory at 10,000, KiB",
                few.memory,
                2,
            ))
        }),
    }
}

pub(crate) fn point() -> Point {
    Point {
        name: "million",
        title: "1,000,000 streams over HTTP/2 in one process, an event each every 10,000 ms",
        about: "8,000 connections of 125 streams, TLS 1.3; a window of two minutes, then SIGTERM.",
        kinds: vec![Kind::Floor, Kind::Http2],
        rounds: 1,
        ratios: vec![over_the_floor()],
        lacks: lacks(8000 * STREAMS),
        measure: Box::new(|kind| match kind {
            Kind::Floor => floor(Duration::from_secs(30)),
            _ => Ok(hold(kind, 8000, SECOND * 10, Duration::from_secs(120))?.sample()),
        }),
    }
}

fn over_the_floor() -> Ratio {
    Ratio {
        name: "CPU over the floor's",
        figure: CPU,
        base: Kind::Floor,
    }
}

/// What is missing for so many streams.
fn lacks(streams: usize) -> Option<String> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free: f64 = line.split_whitespace().next()?.parse().ok()?;
    let needed = streams as f64 * BOTH_ENDS;
    let gib = |kib: f64| kib / 1024.0 / 1024.0;
    (free < needed).then(|| {
        let (free, needed) = (gib(free), gib(needed));
        format!("{free:.1} GiB of memory are free, and both ends take {needed:.1} GiB")
    })
}

/// What a server showed while it held so many streams.
struct Held {
    streams: usize,
    opening: Duration,
    /// Of the opening, without its events.
    opened_by: f64,
    tally: Tally,
    seconds: f64,
    due: f64,
    spent: Spent,
    by_client: Spent,
    memory: f64,
    whole: f64,
    exit: Duration,
    cleanly: usize,
}

fn hold(
    kind: Kind,
    connections: usize,
    interval: Duration,
    window: Duration,
) -> Result<Held, String> {
    let mut server = Server::start(kind, interval)?;
    let pid = server.pid();
    let streams = connections * STREAMS;
    let mut crowd = Crowd::new(server.target.clone())?;
    crowd.open(1, 1, Duration::ZERO)?;
    crowd.watch(SECOND / 2)?;

    let before = process::resident(pid)?;
    let start = Cpu::of(pid)?;
    // So that their ticks are spread evenly, whole intervals.
    let spread = (connections as f64 / 400.0 / interval.as_secs_f64())
        .ceil()
        .max(1.0);
    let opening = crowd.open(connections, STREAMS, interval.mul_f64(spread))?;
    let opened = Cpu::of(pid)?.since(&start)?.total;
    let early = crowd.watch(interval + SECOND)?;

    let own = std::process::id();
    let (start, client, begin) = (Cpu::of(pid)?, Cpu::of(own)?, Instant::now());
    let mut tally = crowd.watch(window)?;
    tally.lost += early.lost;
    let spent = Cpu::of(pid)?.since(&start)?;
    let by_client = Cpu::of(own)?.since(&client)?;
    let seconds = begin.elapsed().as_secs_f64();
    let whole = process::resident(pid)?;
    if tally.events == 0 {
        return Err(format!("no event came; {}", crowd.reason()));
    }

    server.terminate()?;
    let begin = Instant::now();
    while !server.has_exited() {
        if begin.elapsed() > SECOND * 30 {
            return Err("it did not exit within 30 s of SIGTERM".into());
        }
        crowd.turn(Duration::from_millis(1))?;
    }
    let exit = begin.elapsed();
    crowd.watch(SECOND)?;
    // While they were opened, each was due half of the time.
    let events = streams as f64 * opening.as_secs_f64() / interval.as_secs_f64() / 2.0;
    let per_event = spent.total / tally.events as f64;
    Ok(Held {
        streams,
        opening,
        opened_by: opened - events * per_event,
        due: streams as f64 * seconds / interval.as_secs_f64(),
        tally,
        seconds,
        spent,
        by_client,
        memory: (whole - before) / streams as f64,
        whole,
        exit,
        cleanly: crowd.ended_cleanly(),
    })
}

impl Held {
    fn cpu(&self) -> f64 {
        self.spent.total / self.tally.events as f64
    }

    fn sample(&self) -> Sample {
        let events = self.tally.events as f64;
        Sample::default()
            .with(RATE, events / self.seconds, 0)
            .with("of those due, %", 100.0 * events / self.due, 1)
            .with(CPU, self.cpu(), 2)
            .with("the client's, µs", self.by_client.total / events, 2)
            .with("memory per stream, KiB", self.memory, 2)
            .with("in all, GiB", self.whole / 1024.0 / 1024.0, 2)
            .with("p50, ms", self.tally.deviation.percentile_ms(0.5), 2)
            .with("p99, ms", self.tally.deviation.percentile_ms(0.99), 2)
            .with("max, ms", self.tally.deviation.max_ms(), 1)
            .with("lost", self.tally.lost as f64, 0)
            .with("opened in, s", self.opening.as_secs_f64(), 1)
            .with(
                "CPU to open a stream, µs",
                self.opened_by / self.streams as f64,
                1,
            )
            .with("SIGTERM to exit, s", self.exit.as_secs_f64(), 2)
            .with(
                "ended cleanly, %",
                100.0 * self.cleanly as f64 / (self.streams + 1) as f64,
                1,
            )
    }
}

/// One thread, one `send()` an event, in the clear over HTTP/1.1.
fn floor(window: Duration) -> Result<Sample, String> {
    let (streams, interval) = FLOOR;
    let server = Server::start(Kind::Floor, interval)?;
    let mut load = Load::new(server.target.clone())?;
    load.open(streams, SECOND)?;
    load.watch(SECOND)?;
    let (start, begin) = (Cpu::of(server.pid())?, Instant::now());
    let tally = load.watch(window)?;
    let spent = Cpu::of(server.pid())?.since(&start)?;
    let events = tally.events as f64;
    Ok(Sample::default()
        .with(RATE, events / begin.elapsed().as_secs_f64(), 0)
        .with(CPU, spent.total / events, 2))
}
