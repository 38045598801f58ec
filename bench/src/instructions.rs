//! The exact number of user-space instructions per event, counted by callgrind.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{
    client::Client,
    crowd::Crowd,
    load::Load,
    point::{Point, Sample},
    servers::{Kind, SCRATCH, Server, run},
};

pub(crate) const INSTRUCTIONS: &str = "instructions per event";
const SECOND: Duration = Duration::from_secs(1);

/// Returns the point.
pub fn point() -> Point {
    Point {
        name: "instructions",
        title: "User-space instructions per event",
        about: "counted by callgrind: 500 streams, over HTTP/2 on four connections, an event each every 100 ms; a long run minus a short one, so that the start, the request and response heads and the shutdown do not count. Cache lines are those of data that were not in the simulated L1 cache.",
        kinds: vec![
            Kind::Floor,
            Kind::Ours,
            Kind::Axum,
            Kind::Http2,
            Kind::AxumHttp2,
        ],
        rounds: 1,
        ratios: Vec::new(),
        lacks: run(Command::new("valgrind").arg("--version")).err(),
        measure: Box::new(count_instructions),
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
        .with(
            INSTRUCTIONS,
            (long.instructions - short.instructions) / events,
            0,
        )
        .with("cache lines", (long.lines - short.lines) / events, 1)
        .with("events counted over", events, 0))
}

struct Counts {
    instructions: f64,
    /// The cache lines of data that the L1 cache had to fetch.
    lines: f64,
}

fn run_under_callgrind(kind: Kind, window: Duration) -> Result<(i64, Counts), String> {
    const STREAMS: usize = 500;
    const CONNECTIONS: usize = 4;
    let out = Path::new(SCRATCH).join("callgrind.out");
    let wrapper = [
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        "--cache-sim=yes".into(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let mut server = Server::start_under(&wrapper, kind, SECOND / 10)?;
    let target = server.target.clone();
    let events = if Kind::SECURE.contains(&kind) {
        let mut crowd = Crowd::new(target)?;
        crowd.open(CONNECTIONS, STREAMS / CONNECTIONS, SECOND * 3)?;
        crowd.watch(window)?.events
    } else {
        let mut load = Load::new(target)?;
        load.open(STREAMS, SECOND * 3)?;
        load.watch(window)?.events
    };
    server.stop(Duration::from_secs(60))?;

    let profile = fs::read_to_string(&out).map_err(|e| format!("callgrind wrote nothing: {e}"))?;
    let _ = fs::remove_file(&out);
    // Instructions; reads and writes; misses of L1 by instructions, reads and writes; and more.
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let totals = totals.unwrap_or_default().split(' ').map(str::parse);
    let totals: Result<Vec<f64>, _> = totals.collect();
    let Ok([instructions, _, _, _, reads, writes, ..]) = totals.as_deref() else {
        return Err("callgrind wrote no totals".into());
    };
    let (instructions, lines) = (*instructions, reads + writes);
    Ok((
        events.cast_signed(),
        Counts {
            instructions,
            lines,
        },
    ))
}
