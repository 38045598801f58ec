//! Figures of a process and of the kernel, read from `/proc`.

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry},
    hint::black_box,
    time::Instant,
};

/// The total processor time of a process.
pub(crate) struct Cpu {
    /// Nanoseconds on a processor, by thread.
    threads: BTreeMap<String, u64>,
    user_ticks: u64,
    system_ticks: u64,
}

/// Processor time in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) total: f64,
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        let stat = read(&format!("/proc/{pid}/stat"))?;
        // The command's name comes before the last parenthesis and may hold anything.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let ticks = |index: usize| -> Result<u64, String> {
            let field = fields.get(index).and_then(|field| field.parse().ok());
            field.ok_or_else(|| format!("/proc/{pid}/stat has no field {index}"))
        };

        let mut threads = BTreeMap::new();
        for task in entries(pid, "task")? {
            // A thread may end between the listing and the reading.
            let Ok(schedstat) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let run = schedstat.split(' ').next().and_then(|ns| ns.parse().ok());
            let run =
                run.ok_or("this kernel keeps no schedstat, so CPU time cannot be measured")?;
            threads.insert(task.file_name().to_string_lossy().into_owned(), run);
        }
        if threads.is_empty() {
            return Err(format!("/proc/{pid} shows no schedstat of any thread"));
        }
        Ok(Self {
            threads,
            user_ticks: ticks(11)?,
            system_ticks: ticks(12)?,
        })
    }

    /// Returns the processor time since `earlier`.
    ///
    /// The sum comes from the scheduler and is exact to the nanosecond. The split into user and
    /// system comes from the kernel's clock ticks.
    pub(crate) fn since(&self, earlier: &Self) -> Result<Spent, String> {
        let run: u64 = self
            .threads
            .iter()
            .map(|(thread, ns)| {
                ns.saturating_sub(earlier.threads.get(thread).copied().unwrap_or(0))
            })
            .sum();
        let total = run as f64 / 1000.0;
        let user = (self.user_ticks - earlier.user_ticks) as f64;
        let system = (self.system_ticks - earlier.system_ticks) as f64;

        let tick = 1e6 / rustix::param::clock_ticks_per_second() as f64;
        let ticked = (user + system) * tick;
        if (ticked - total).abs() > (4.0 * tick).max(total * 0.05) {
            return Err(format!(
                "a thread ended in the window: its threads ran {total:.0} µs, the process {ticked:.0} µs"
            ));
        }
        let share = if user + system > 0.0 {
            user / (user + system)
        } else {
            0.0
        };
        Ok(Spent {
            total,
            user: total * share,
            system: total * (1.0 - share),
        })
    }
}

/// Returns the resident memory in KiB.
pub(crate) fn resident(pid: u32) -> Result<f64, String> {
    // `statm` lags because it counts per processor. `smaps_rollup` walks the pages.
    let rollup = read(&format!("/proc/{pid}/smaps_rollup"))?;
    labelled(&rollup, "Rss:").ok_or_else(|| format!("/proc/{pid}/smaps_rollup has no Rss"))
}

/// Returns the kernel's memory for sockets and other open files in KiB, where it may be read.
///
/// The buffers of the sockets are not in it. The kernel counts like objects under one name.
pub(crate) fn socket_memory() -> Option<f64> {
    const CACHES: [&str; 5] = ["TCP", "sock_inode_cache", "filp", "dentry", "eventpoll_epi"];
    let table = fs::read_to_string("/proc/slabinfo").ok()?;
    let bytes = table.lines().filter_map(|line| {
        let mut columns = line.split_whitespace();
        CACHES.contains(&columns.next()?).then_some(())?;
        let [objects, _, size] = [columns.next()?, columns.next()?, columns.next()?];
        Some(objects.parse::<f64>().ok()? * size.parse::<f64>().ok()?)
    });
    Some(bytes.sum::<f64>() / 1024.0)
}

/// Returns the entries of a folder of the process: `fd` has its open files, `task` its threads.
pub(crate) fn entries(
    pid: u32,
    folder: &str,
) -> Result<impl Iterator<Item = DirEntry> + use<>, String> {
    let listing = fs::read_dir(format!("/proc/{pid}/{folder}"));
    let listing = listing.map_err(|error| format!("process {pid} is gone: {error}"))?;
    Ok(listing.flatten())
}

/// Returns one descriptor for each epoll instance of the process.
pub(crate) fn polls(pid: u32) -> Result<Vec<String>, String> {
    let mut instances = BTreeMap::new();
    for file in entries(pid, "fd")? {
        let kind = fs::read_link(file.path()).unwrap_or_default();
        if kind.as_os_str() == "anon_inode:[eventpoll]" {
            let name = file.file_name().to_string_lossy().into_owned();
            // Duplicates of one instance list the same watched files.
            instances.insert(watched_by(pid, &name)?, name);
        }
    }
    Ok(instances.into_values().collect())
}

/// Returns how many files each of these epoll instances watches.
pub(crate) fn watched(pid: u32, polls: &[String]) -> Result<Vec<usize>, String> {
    let count = |poll: &String| Ok(watched_by(pid, poll)?.len());
    polls.iter().map(count).collect()
}

fn watched_by(pid: u32, poll: &str) -> Result<Vec<String>, String> {
    let info = read(&format!("/proc/{pid}/fdinfo/{poll}"))?;
    let lines = info.lines().filter(|line| line.starts_with("tfd:"));
    Ok(lines.map(str::to_owned).collect())
}

/// Returns the nanoseconds of a read at a random place in 64 MiB, about the memory of 5,000 streams.
///
/// The time includes misses of the caches and of the TLB.
pub(crate) fn memory_latency() -> f64 {
    const WORDS: usize = 1 << 24;
    const READS: u32 = 1_000_000;
    // Each word holds the place of the next. An odd increment and a multiplier of 1 mod 4 reach all
    // of them (Hull and Dobell).
    let next = |at: usize| (at.wrapping_mul(0x9e37_79b1).wrapping_add(0x7f4a_7c15)) % WORDS;
    let words: Vec<u32> = (0..WORDS).map(|at| next(at) as u32).collect();
    let start = Instant::now();
    black_box((0..READS).fold(0, |at, _| words[at as usize]));
    start.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
}

/// Returns the kernel, the processors and the memory in one line.
pub(crate) fn machine() -> Result<String, String> {
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let info = read("/proc/cpuinfo")?;
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_err(|e| e.to_string())?;
    let memory =
        labelled(&read("/proc/meminfo")?, "MemTotal:").ok_or("/proc/meminfo has no MemTotal")?;
    let release = kernel.split('-').next().unwrap_or_default().trim();
    let gib = memory / 1024.0 / 1024.0;
    Ok(format!("Linux {release}, {cores} × {model}, {gib:.0} GiB"))
}

fn labelled(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}
