//! The points to measure: what is done to a server at each, and what is written down.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    cluster, handshake,
    load::Load,
    million, process,
    report::{Ratio, Sample},
    servers::{Kind, Server, run},
    window::Window,
};

pub(crate) const CPU: &str = "CPU per event, µs";
const USER: &str = "user, µs";
const SYSTEM: &str = "system, µs";
pub(crate) const MEMORY: &str = "memory per stream, KiB";
pub(crate) const P99: &str = "p99, ms";
pub(crate) const RATE: &str = "events per second";
const SECOND: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(25);
/// Streams are opened at this rate where the rate is not the question, so that their ticks are spread evenly.
const CALLS_PER_SECOND: f64 = 5000.0;

type Measure = Box<dyn Fn(Kind) -> Result<Sample, String>>;

/// One point, for the servers that it makes sense for.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    pub(crate) ratios: Vec<Ratio>,
    /// Why it cannot be measured here.
    pub(crate) lacks: Option<String>,
    pub(crate) measure: Measure,
}

/// Every point, in the order in which `all` takes them.
pub(crate) fn all() -> Vec<Point> {
    vec![
        steady(),
        rate(3, Duration::from_secs(8)),
        growth(),
        limit(),
        storm(),
        churn(),
        thp(),
        instructions(),
        cluster::point(),
        handshake::point(),
        million::smaller(),
        million::point(),
    ]
}

/// The point that tells most in under a minute.
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
        about: "a window of 8 s; 200,000 events a second are due, and what does not arrive was beyond the server.",
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
        about: "CPU per event and memory per stream as the number of streams grows; Express is left out, whose events are Node's.",
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

fn limit() -> Point {
    Point {
        name: "limit",
        title: "Events a second before they come late",
        about: "an event each every 25 ms, and 500 more streams at every step, until the p99 of the deviation passes 12.5 ms twice, a tenth of the events is missing, or a stream is lost. Server and client share two processors: where the client is busy, the limit is theirs together.",
        kinds: Kind::PLAIN.into(),
        rounds: 3,
        ratios: vec![Ratio {
            name: "over Node's",
            figure: RATE,
            base: Kind::Node,
        }],
        lacks: None,
        measure: Box::new(climb),
    }
}

fn storm() -> Point {
    Point {
        name: "storm",
        title: "10,000 streams opened at once, then SIGTERM",
        about: "a stream is open when its head has arrived (Node holds it back until the first event), which for those with a backlog of less than 10,000 may wait for a second try of TCP's, and cleanly ended with its terminating chunk.",
        kinds: Kind::PLAIN.into(),
        rounds: 3,
        ratios: Vec::new(),
        lacks: None,
        measure: Box::new(rush),
    }
}

fn churn() -> Point {
    Point {
        name: "churn",
        title: "100,000 connects and disconnects",
        about: "resident memory of the whole process when all have left. \
                Express is not among them: its example never cancels a timer, and after some ten thousand clients it answers no more.",
        kinds: Kind::PLAIN
            .into_iter()
            .filter(|kind| *kind != Kind::Express)
            .collect(),
        rounds: 3,
        ratios: Vec::new(),
        lacks: None,
        measure: Box::new(come_and_go),
    }
}

fn thp() -> Point {
    let measure = |kind| {
        let memory = |setting| {
            let _set = HugePages::set(setting)?;
            Ok::<_, String>(hold(kind, 5000, SECOND, SECOND)?.memory)
        };
        let (never, always) = (memory("never")?, memory("always")?);
        Ok(Sample::default()
            .with("never, KiB", never, 2)
            .with("always, KiB", always, 2)
            .with("always over never", always / never, 2))
    };
    Point {
        name: "thp",
        title: "Memory per stream where transparent huge pages are `always`",
        about: "with 5,000 streams, seconds after they were opened; the machine's setting is put back afterwards.",
        kinds: vec![Kind::Ours, Kind::Jemalloc],
        rounds: 3,
        ratios: Vec::new(),
        lacks: HugePages::lacks(),
        measure: Box::new(measure),
    }
}

fn instructions() -> Point {
    Point {
        name: "instructions",
        title: "User-space instructions per event",
        about: "counted by callgrind: 500 streams, an event each every 100 ms; a long run less a short one, so that start, heads and end fall out.",
        kinds: vec![Kind::Floor, Kind::Ours, Kind::Axum],
        rounds: 1,
        ratios: Vec::new(),
        lacks: run(Command::new("valgrind").arg("--version")).err(),
        measure: Box::new(count_instructions),
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

/// What a server showed while it held a number of streams.
struct Held {
    window: Window,
    of_those_due: f64,
    memory: f64,
    /// Connections that were lost before their head, and made anew.
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

fn hold(kind: Kind, streams: usize, interval: Duration, length: Duration) -> Result<Held, String> {
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

/// The first stream makes a server set up what all share, such as its time zone.
fn warm_up(load: &mut Load) -> Result<(), String> {
    load.open(1, Duration::ZERO)?;
    load.close();
    load.watch(Duration::from_millis(100))?;
    Ok(())
}

/// The time in which to open so many streams: a whole number of intervals.
pub(crate) fn even_spread(streams: usize, interval: Duration) -> Duration {
    let intervals = streams as f64 / CALLS_PER_SECOND / interval.as_secs_f64();
    interval.mul_f64(intervals.ceil().max(1.0))
}

fn climb(kind: Kind) -> Result<Sample, String> {
    const STEP: usize = 500;
    const MOST: usize = 19_000;
    let length = Duration::from_secs(2);
    let server = Server::start(kind, FAST)?;
    let mut load = Load::new(server.target.clone())?;
    let mut best = None;
    'steps: while load.len() + STEP <= MOST {
        match load.open(STEP, even_spread(STEP, FAST)) {
            Err(reason) if best.is_none() => return Err(reason),
            Err(_) => break,
            Ok(_) => {}
        }
        // A second try, because the machine is shared and one hiccup is no limit.
        for _ in 0..2 {
            let early = load.watch(SECOND / 2)?.lost;
            let window = Window::watch(server.pid(), &mut load, length)?;
            let tally = &window.tally;
            let busy = window.by_client.total / window.seconds / 1e6;
            let late = window.deviation(0.99);
            let rate = window.per_second();
            let due = load.len() as f64 / FAST.as_secs_f64();
            let lost = early + tally.lost;
            // Node's interval of 25 ms takes up to 26, which is no stream that starves.
            if lost == 0 && rate >= 0.9 * due && late <= FAST.as_secs_f64() * 500.0 {
                best = Some((rate, load.len(), late, busy));
                continue 'steps;
            }
        }
        break;
    }
    let (rate, streams, late, busy) = best.ok_or("late at the first step")?;
    Ok(Sample::default()
        .with(RATE, rate, 0)
        .with("streams", streams as f64, 0)
        .with("p99 then, ms", late, 2)
        .with("client busy, %", 100.0 * busy, 0))
}

fn rush(kind: Kind) -> Result<Sample, String> {
    const STREAMS: usize = 10_000;
    let mut server = Server::start(kind, SECOND)?;
    let mut load = Load::new(server.target.clone())?;
    let opened = load.open(STREAMS, Duration::ZERO)?;
    let lost = load.watch(SECOND + SECOND / 2)?.lost;

    let exit = load.watch_the_end_of(&mut server)?;
    let end = Instant::now() + SECOND;
    while !load.all_ended() && Instant::now() < end {
        load.turn(Duration::from_millis(10))?;
    }
    Ok(Sample::default()
        .with("time to open, s", opened.as_secs_f64(), 2)
        .with("SIGTERM to exit, s", exit.as_secs_f64(), 3)
        .with(
            "ended cleanly, %",
            100.0 * load.ended_cleanly() as f64 / STREAMS as f64,
            1,
        )
        .with("lost before", lost as f64, 0)
        .with("refused at first", load.refused() as f64, 0))
}

fn come_and_go(kind: Kind) -> Result<Sample, String> {
    const FIRST: usize = 10_000;
    const ALL: usize = 100_000;
    const AT_ONCE: usize = 500;
    let server = Server::start(kind, SECOND / 10)?;
    let pid = server.pid();
    let mut load = Load::new(server.target.clone())?;
    warm_up(&mut load)?;
    let sockets = process::descriptors(pid)?;
    let fresh = process::resident(pid)?;

    load.come_and_go(FIRST, AT_ONCE)?;
    wait_until_left(pid, sockets)?;
    let first = process::resident(pid)?;

    load.come_and_go(ALL - FIRST, AT_ONCE)?;
    wait_until_left(pid, sockets)?;
    let all = process::resident(pid)?;

    Ok(Sample::default()
        .with("fresh, MiB", fresh / 1024.0, 1)
        .with("after 10,000, MiB", first / 1024.0, 1)
        .with("after 100,000, MiB", all / 1024.0, 1)
        .with("growth, MiB", (all - first) / 1024.0, 1))
}

fn wait_until_left(pid: u32, sockets: usize) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let held = process::descriptors(pid)?.saturating_sub(sockets);
        if held == 0 {
            sleep(SECOND / 2);
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!(
                "it still holds {held} sockets of clients that left"
            ));
        }
        sleep(Duration::from_millis(20));
    }
}

fn count_instructions(kind: Kind) -> Result<Sample, String> {
    let (short_events, short) = run_under_callgrind(kind, Duration::from_secs(2))?;
    let (long_events, long) = run_under_callgrind(kind, Duration::from_secs(12))?;
    let events = (long_events - short_events) as f64;
    if events < 10_000.0 {
        return Err(format!("only {events} events to count over"));
    }
    Ok(Sample::default()
        .with("instructions per event", (long - short) / events, 0)
        .with("events counted over", events, 0))
}

fn run_under_callgrind(kind: Kind, window: Duration) -> Result<(i64, f64), String> {
    const STREAMS: usize = 500;
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    let wrapper = [
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let server = Server::start_under(&wrapper, kind, SECOND / 10)?;
    let mut load = Load::new(server.target.clone())?;
    load.open(STREAMS, SECOND * 3)?;
    let events = load.watch(window)?.events;
    server.stop(Duration::from_secs(60))?;

    let profile = fs::read_to_string(&out).map_err(|e| format!("callgrind wrote nothing: {e}"))?;
    let _ = fs::remove_file(&out);
    let total = profile
        .lines()
        .find_map(|line| {
            line.strip_prefix("totals: ")
                .or_else(|| line.strip_prefix("summary: "))
        })
        .and_then(|total| total.trim().parse().ok());
    Ok((
        events.cast_signed(),
        total.ok_or("callgrind wrote no total")?,
    ))
}

/// The machine's setting for transparent huge pages, put back when this is dropped.
///
/// A shell of its own puts it back when its input ends, and so after ctrl-C and a kill as well.
struct HugePages(Child);

impl HugePages {
    const SETTING: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

    fn lacks() -> Option<String> {
        let write = fs::OpenOptions::new().write(true).open(Self::SETTING);
        write
            .err()
            .map(|error| format!("{} cannot be written: {error}", Self::SETTING))
    }

    fn set(setting: &str) -> Result<Self, String> {
        let say = |error| format!("{}: {error}", Self::SETTING);
        let options = fs::read_to_string(Self::SETTING).map_err(say)?;
        let usual = options
            .split(['[', ']'])
            .nth(1)
            .ok_or("the huge page setting is unreadable")?;
        let script = r#"trap "" INT TERM HUP; read -r end; echo "$0" > "$1""#;
        let keeper = Command::new("sh")
            .args(["-c", script, usual, Self::SETTING])
            .stdin(Stdio::piped())
            .spawn();
        let keeper = Self(keeper.map_err(say)?);
        fs::write(Self::SETTING, setting).map_err(say)?;
        Ok(keeper)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        // Waiting ends its input first.
        if !self.0.wait().is_ok_and(|status| status.success()) {
            eprintln!("could not put {} back", Self::SETTING);
        }
    }
}
