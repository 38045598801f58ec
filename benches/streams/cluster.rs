//! More than one process: eleven servers with eleven load clients, and an estimate for a million
//! streams.

use std::{
    env,
    fmt::Write,
    io::{BufRead, BufReader, Read, stdin},
    net::SocketAddrV4,
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};

use crate::{
    client::{Client, Target},
    load::Load,
    points::{Point, RATE, even_spread},
    process::{self, Cpu, Kernel},
    report::{Sample, grouped},
    servers::{Kind, Server},
};

const PROCESSES: usize = 11;
const STREAMS: usize = 18_000;
const INTERVAL: Duration = Duration::from_secs(4);
const WINDOW: Duration = Duration::from_secs(20);
const MILLION: f64 = 1e6;
/// The slab caches of a socket. Other caches depend on the rest of the machine.
const OF_A_SOCKET: [&str; 7] = [
    "TCP",
    "sock_inode_cache",
    "dentry",
    "filp",
    "eventpoll",
    "ep_head",
    "skbuff",
];
const GIB: f64 = 1024.0 * 1024.0;

pub(crate) fn point() -> Point {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let root = std::fs::read("/proc/slabinfo")
        .err()
        .map(|e| format!("/proc/slabinfo cannot be read: {e}"));
    let files = (limit < 19_000).then(|| format!("a process may open only {limit} files"));
    Point {
        name: "cluster",
        title: "Eleven processes, 18,000 streams each, an event each every 4,000 ms",
        about: "eleven load clients hold the other ends on the same machine.",
        kinds: vec![Kind::Ours, Kind::Jemalloc],
        rounds: 1,
        ratios: Vec::new(),
        lacks: root.or(files),
        measure: Box::new(measure),
    }
}

fn measure(kind: Kind) -> Result<Sample, String> {
    let streams = (PROCESSES * STREAMS) as f64;
    let servers: Vec<Server> = (0..PROCESSES)
        .map(|_| Server::start(kind, INTERVAL))
        .collect::<Result<_, _>>()?;
    let resident = || {
        servers
            .iter()
            .map(|server| process::resident(server.pid()))
            .sum::<Result<f64, _>>()
    };
    let memory_before = resident()?;
    let kernel_before = Kernel::now()?;

    let mut workers = Vec::new();
    for server in &servers {
        let mut worker = Worker::start(&server.target)?;
        let said = worker.line()?;
        if said != "open" {
            return Err(format!("a load client failed: {said}"));
        }
        workers.push(worker);
    }
    sleep(INTERVAL);
    let memory = resident()? - memory_before;
    let base = memory_before / PROCESSES as f64;
    let kernel = Kernel::now()?;

    for worker in &mut workers {
        worker.begin()?;
    }
    let usage = || -> Result<[Vec<Cpu>; 2], String> {
        let servers = servers.iter().map(|server| Cpu::of(server.pid()));
        let workers = workers.iter().map(|worker| Cpu::of(worker.child.id()));
        Ok([
            servers.collect::<Result<_, _>>()?,
            workers.collect::<Result<_, _>>()?,
        ])
    };
    let before = usage()?;
    let begin = Instant::now();
    sleep(WINDOW);
    let after = usage()?;
    let seconds = begin.elapsed().as_secs_f64();
    let spent = |side: usize| -> Result<f64, String> {
        let pairs = after[side].iter().zip(&before[side]);
        pairs
            .map(|(after, before)| Ok(after.since(before)?.total))
            .sum()
    };
    let (spent, by_clients) = (spent(0)?, spent(1)?);

    let counts = workers
        .iter_mut()
        .map(Worker::counts)
        .collect::<Result<Vec<_>, _>>()?;
    let sum = |index: usize| counts.iter().map(|count| count[index]).sum::<f64>();
    let events = sum(0);
    if events == 0.0 {
        return Err("no event came".into());
    }
    // Both windows are 20 s long, plus the time to read the counters.
    let per_second = events / WINDOW.as_secs_f64();
    let per_event = spent / seconds / per_second;
    let due = streams * WINDOW.as_secs_f64() / INTERVAL.as_secs_f64();
    Ok(Sample {
        notes: vec![arithmetic(
            kind,
            memory / streams,
            base,
            per_event,
            &kernel_before,
            &kernel,
        )],
        ..Sample::default()
            .with("streams", streams, 0)
            .with("lost", sum(1), 0)
            .with(RATE, per_second, 0)
            .with("of those due, %", 100.0 * events / due, 1)
            .with("memory, GiB", memory / GIB, 2)
            .with("memory per stream, KiB", memory / streams, 2)
            .with("CPU per event, µs", per_event, 2)
            .with("processors busy", spent / seconds / 1e6, 2)
            .with("by the clients", by_clients / seconds / 1e6, 2)
            .with(
                "worst p99, ms",
                counts.iter().map(|count| count[2]).fold(0.0, f64::max),
                2,
            )
    })
}

/// Describes the memory and processors for a million streams.
fn arithmetic(
    kind: Kind,
    memory: f64,
    base: f64,
    per_event: f64,
    before: &Kernel,
    after: &Kernel,
) -> String {
    let ends = after.sockets - before.sockets;
    let grown = |name: &str| {
        let kib = |kernel: &Kernel| kernel.slabs.get(name).copied().unwrap_or(0.0);
        kib(after) - kib(before)
    };
    let mut slabs: Vec<(&str, f64)> = after
        .slabs
        .keys()
        .filter(|name| OF_A_SOCKET.iter().any(|part| name.starts_with(part)))
        .map(|name| {
            // Programs that read /proc meanwhile create directory entries that belong to no socket.
            let others = if name == "dentry" {
                after.dentry * (after.proc_inodes - before.proc_inodes)
            } else {
                0.0
            };
            (name.as_str(), (grown(name) - others) / ends)
        })
        .collect();
    slabs.sort_by(|a, b| b.1.total_cmp(&a.1));
    let kernel: f64 = slabs.iter().map(|(_, kib)| kib).sum();
    let buffers = (after.buffers - before.buffers) / ends;
    let largest: Vec<String> = slabs
        .iter()
        .take(6)
        .map(|(name, kib)| format!("{name} {kib:.2}"))
        .collect();

    let processes = (MILLION / STREAMS as f64).ceil();
    let user_gib = (memory * MILLION + base * processes) / GIB;
    let kernel_gib = (kernel + buffers) * MILLION / GIB;
    let mut text = format!(
        "A million streams of {}, by arithmetic: {memory:.2} KiB × 1,000,000 and {:.1} MiB × {processes} such processes = {user_gib:.2} GiB, \
         and {:.2} KiB of kernel memory to a socket × 1,000,000 = {kernel_gib:.2} GiB, together {:.2} GiB. ",
        kind.title(),
        base / 1024.0,
        kernel + buffers,
        user_gib + kernel_gib,
    );
    for seconds in [1.0, 10.0] {
        let rate = MILLION / seconds;
        let busy = per_event * rate / 1e6;
        let _ = write!(
            text,
            "An event each every {seconds} s: {per_event:.2} µs × {} = {busy:.1} processors. ",
            grouped(rate, 0)
        );
    }
    let _ = write!(
        text,
        "Kernel memory is the growth of /proc/slabinfo ({}; KiB to a socket) and of the buffers in /proc/net/sockstat ({buffers:.2}), \
         over the {} sockets of both ends. Caches that the kernel merges with others of another name are not included.",
        largest.join(", "),
        grouped(ends, 0),
    );
    text
}

/// A load client in its own process, because of the limit on open files.
struct Worker {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(target: &Target) -> Result<Self, String> {
        let own = env::current_exe().map_err(|e| format!("no path to this program: {e}"))?;
        let mut child = Command::new(own)
            .args(["load", &target.address.to_string(), &target.path])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start a load client: {e}"))?;
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        Ok(Self { child, output })
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|e| format!("a load client is gone: {e}"))?;
        Ok(line.trim().to_owned())
    }

    /// Closes the worker's stdin, which starts its measurement.
    fn begin(&mut self) -> Result<(), String> {
        self.child
            .stdin
            .take()
            .map(drop)
            .ok_or_else(|| "a load client has begun already".into())
    }

    /// Returns the events, the lost streams, and the p99 of the deviation.
    fn counts(&mut self) -> Result<[f64; 3], String> {
        let line = self.line()?;
        let numbers: Vec<f64> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        numbers
            .try_into()
            .map_err(|_| format!("a load client failed: {line}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a worker: opens the streams, reports that, and counts once stdin is closed.
pub(crate) fn work(arguments: &[String]) -> Result<(), String> {
    let [address, path] = arguments else {
        return Err("a load client takes an address and a path".into());
    };
    let target = Target {
        address: address.parse::<SocketAddrV4>().map_err(|e| e.to_string())?,
        path: path.clone(),
        interval: INTERVAL,
    };
    let mut load = Load::new(target)?;
    load.open(STREAMS, even_spread(STREAMS, INTERVAL))?;
    println!("open");
    let word = thread::spawn(|| stdin().read_to_end(&mut Vec::new()));
    let mut early = 0;
    while !word.is_finished() {
        early += load.watch(Duration::from_millis(20))?.lost;
    }
    let tally = load.watch(WINDOW)?;
    println!(
        "{} {} {}",
        tally.events,
        early + tally.lost,
        tally.deviation.percentile_ms(0.99)
    );
    // The other workers still count. Closing now would take processor time from them.
    load.watch(Duration::from_secs(3))?;
    Ok(())
}
