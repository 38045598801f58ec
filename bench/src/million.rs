//! HTTP/2: thousands of connections with 125 streams each, up to a million streams in one process.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    crowd::Crowd,
    point::{CPU, CPU_OVER_FLOOR, LOST, MEMORY, P99, Point, RATE, Ratio, Sample},
    process::{self, Cpu},
    servers::{Kind, Server},
    steady,
    window::Window,
};

pub(crate) const FEW_CPU: &str = "CPU at 10,000, µs";
pub(crate) const FEW_MEMORY: &str = "memory at 10,000, KiB";
pub(crate) const FEW_P99: &str = "p99 at 10,000, ms";
pub(crate) const SOME_CPU: &str = "CPU at 100,000 over the million's";
pub(crate) const SOME_P99: &str = "p99 at 100,000, ms";
pub(crate) const CPU_GROWTH: &str = "CPU over that at 10,000";
pub(crate) const MEMORY_GROWTH: &str = "memory over that at 10,000";
pub(crate) const IN_ALL: &str = "in all, GiB";
pub(crate) const CPU_TO_OPEN: &str = "CPU to open a stream, µs";
pub(crate) const EXIT: &str = "SIGTERM to exit, s";
pub(crate) const CUT: &str = "cut off at the exit, %";
/// Streams per connection.
const STREAMS: usize = 125;
const SECOND: Duration = Duration::from_secs(1);
const EXIT_DEADLINE: Duration = Duration::from_secs(30);
/// Streams and interval of the minimal server: the rate of a million streams with an interval of 10
/// s.
const FLOOR: (usize, Duration) = (5000, Duration::from_millis(50));
/// KiB per stream for client and server together, with reserve.
const BOTH_ENDS: f64 = 5.0;

/// Returns the point with 100,000 streams.
pub fn smaller() -> Point {
    Point {
        name: "h2",
        title: "100,000 streams over HTTP/2, an event each every 1,000 ms",
        about: "800 connections of 125 streams, TLS 1.3, opened evenly over two seconds where the server keeps up. The CPU time to open a stream does not include its events. Before that, 80 connections with 10,000 streams; windows of 15 s after a warm-up.",
        kinds: [&[Kind::Floor], &Kind::SECURE[..]].concat(),
        rounds: 3,
        ratios: vec![
            over_the_floor(),
            Ratio::new("at 10,000 over Node's", FEW_CPU, Kind::NodeHttp2),
        ],
        lacks: None,
        measure: Box::new(|kind| {
            let window = Duration::from_secs(15);
            if kind == Kind::Floor {
                return floor(window);
            }
            let few = hold(kind, 80, SECOND, window)?;
            let many = hold(kind, 800, SECOND, window)?;
            Ok(many
                .sample()
                .with(FEW_CPU, few.window.cpu(), 2)
                .with(FEW_MEMORY, few.memory, 2)
                .with(FEW_P99, few.window.deviation(0.99), 2))
        }),
    }
}

/// Returns the point with a million streams.
pub fn point() -> Point {
    Point {
        name: "million",
        title: "1,000,000 streams over HTTP/2 in one process, an event each every 10,000 ms",
        about: "8,000 connections of 125 streams, TLS 1.3, opened evenly over twenty seconds where the server keeps up; a window of two minutes, then SIGTERM. \
                The CPU time to open a stream does not include its events. Streams that ended or fell silent in the window count as lost. \
                Before that, 10,000 streams with an event each every 100 ms, and 100,000 every 1,000 ms: as many events a second, so that nothing differs but the number of streams.",
        kinds: vec![Kind::Floor, Kind::Http2, Kind::Http2Jemalloc],
        rounds: 1,
        ratios: vec![over_the_floor()],
        lacks: lacks(8000 * STREAMS),
        measure: Box::new(|kind| match kind {
            Kind::Floor => floor(SECOND * 30),
            _ => grow(kind),
        }),
    }
}

fn grow(kind: Kind) -> Result<Sample, String> {
    let few = hold(kind, 80, SECOND / 10, SECOND * 30)?;
    let some = hold(kind, 800, SECOND, SECOND * 30)?;
    let most = hold(kind, 8000, SECOND * 10, SECOND * 120)?;
    let [few_cpu, some_cpu, most_cpu] = [&few, &some, &most].map(|held| held.window.cpu());
    Ok(most
        .sample()
        .with(FEW_CPU, few_cpu, 2)
        .with("at 100,000, µs", some_cpu, 2)
        .with(CPU_GROWTH, most_cpu / few_cpu, 2)
        .with(SOME_CPU, some_cpu / most_cpu, 2)
        .with(FEW_MEMORY, few.memory, 2)
        .with("at 100,000, KiB", some.memory, 2)
        .with(MEMORY_GROWTH, most.memory / few.memory, 2)
        .with(FEW_P99, few.window.deviation(0.99), 2)
        .with(SOME_P99, some.window.deviation(0.99), 2))
}

fn over_the_floor() -> Ratio {
    Ratio::new(CPU_OVER_FLOOR, CPU, Kind::Floor)
}

/// Returns which resource is missing for this number of streams.
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
        format!(
            "{free:.1} GiB of memory are free, and both ends take {needed:.1}; `h2` takes a tenth"
        )
    })
}

/// Measurements of a server with a number of open streams.
struct Held {
    streams: usize,
    window: Window,
    of_those_due: f64,
    opening: Duration,
    /// The processor time of opening, without the events of that time.
    opened_by: f64,
    memory: f64,
    whole: f64,
    exit: Duration,
    cleanly: usize,
}

fn hold(
    kind: Kind,
    connections: usize,
    interval: Duration,
    length: Duration,
) -> Result<Held, String> {
    let mut server = Server::start(kind, interval)?;
    let pid = server.pid();
    let streams = connections * STREAMS;
    let mut crowd = Crowd::new(server.target.clone())?;
    crowd.open(1, 1, Duration::ZERO)?;
    crowd.watch(SECOND / 2)?;

    let before = process::resident(pid)?;
    let start = Cpu::of(pid)?;
    // A whole number of intervals, so that ticks are spread evenly.
    let spread = (connections as f64 / 400.0 / interval.as_secs_f64())
        .ceil()
        .max(1.0);
    let opening = crowd.open(connections, STREAMS, interval.mul_f64(spread))?;
    let opened = Cpu::of(pid)?.since(&start)?.total;
    let meanwhile = crowd.tally().events as f64;
    let early = crowd.watch(interval + SECOND)?.lost;

    let mut window = Window::watch(pid, &mut crowd, length)?;
    window.tally.lost += early + crowd.ended_cleanly() + crowd.silent_for(2 * interval);
    let whole = process::resident(pid)?;

    let begin = Instant::now();
    server.stop_while(EXIT_DEADLINE, || crowd.poll(Duration::from_millis(1)))?;
    let exit = begin.elapsed();
    crowd.watch(SECOND)?;
    Ok(Held {
        streams,
        of_those_due: window.of_those_due(streams, interval),
        opening,
        opened_by: opened - meanwhile * window.cpu(),
        window,
        memory: (whole - before) / streams as f64,
        whole,
        exit,
        cleanly: crowd.ended_cleanly(),
    })
}

impl Held {
    fn sample(&self) -> Sample {
        let window = &self.window;
        let by_client = window.by_client.total / window.events();
        let streams = self.streams as f64;
        // Plus the warm-up stream.
        let cleanly = self.cleanly as f64 / (streams + 1.0);
        Sample::default()
            .with("streams", streams, 0)
            .with(RATE, window.per_second(), 0)
            .with("of those due, %", self.of_those_due, 1)
            .with(CPU, window.cpu(), 2)
            .with("the client's, µs", by_client, 2)
            .with(MEMORY, self.memory, 2)
            .with(IN_ALL, self.whole / 1024.0 / 1024.0, 2)
            .with("p50, ms", window.deviation(0.5), 2)
            .with(P99, window.deviation(0.99), 2)
            .with("max, ms", window.tally.deviation.max_ms(), 1)
            .with(LOST, window.tally.lost as f64, 0)
            .with("opened in, s", self.opening.as_secs_f64(), 1)
            .with(CPU_TO_OPEN, self.opened_by / streams, 1)
            .with(EXIT, self.exit.as_secs_f64(), 2)
            .with(CUT, 100.0 * (1.0 - cleanly), 1)
    }
}

/// Measures the minimal server: one thread, one `send()` per event, plain HTTP/1.1.
fn floor(length: Duration) -> Result<Sample, String> {
    let (streams, interval) = FLOOR;
    let sample = steady::hold(Kind::Floor, streams, interval, length)?;
    Ok(sample.with("streams", streams as f64, 0))
}
