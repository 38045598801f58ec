//! The exact number of user-space instructions per event, counted by callgrind.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{
    client::{Client, Tally},
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
        about: "counted by callgrind: 500 streams, over HTTP/2 on four connections, an event each every 100 ms; a long run minus a short one, so that the start, the request and response heads and the shutdown do not count. Cache lines are those of data that were not in the simulated L1 cache. They are counted in runs of their own with an event every 250 ms, because the simulation is slow and a late server writes events together. The deviation is that of the slower run.",
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
    let (instructions, events, late) =
        per_event(kind, SECOND / 10, "no", |totals| totals.first().copied())?;
    // After the instructions: reads and writes, then the misses of the L1 cache by instructions,
    // by reads and by writes.
    let of_data = |totals: &[f64]| Some(totals.get(4)? + totals.get(5)?);
    let (lines, _, later) = per_event(kind, SECOND / 4, "yes", of_data)?;
    Ok(Sample::default()
        .with(INSTRUCTIONS, instructions, 0)
        .with("cache lines", lines, 1)
        .with("events counted over", events, 0)
        .with("deviation p99, ms", late.max(later), 0))
}

/// Returns the count that `pick` takes from callgrind's totals per event, the number of events, and
/// the 99th percentile of their deviation in milliseconds.
fn per_event(
    kind: Kind,
    interval: Duration,
    cache: &str,
    pick: fn(&[f64]) -> Option<f64>,
) -> Result<(f64, f64, f64), String> {
    let count = |window| {
        let (tally, totals) = run_under_callgrind(kind, interval, window, cache)?;
        let count = pick(&totals).ok_or("callgrind wrote no totals")?;
        let late = tally.deviation.percentile_ms(0.99);
        Ok::<_, String>((tally.events as f64, count, late))
    };
    let (short_events, short, _) = count(SECOND * 2)?;
    let (long_events, long, late) = count(SECOND * 12)?;
    let events = long_events - short_events;
    if events < 10_000.0 {
        return Err(format!("only {events} events to count over"));
    }
    Ok(((long - short) / events, events, late))
}

/// Returns the events and callgrind's totals.
fn run_under_callgrind(
    kind: Kind,
    interval: Duration,
    window: Duration,
    cache: &str,
) -> Result<(Tally, Vec<f64>), String> {
    const STREAMS: usize = 500;
    const CONNECTIONS: usize = 4;
    let out = Path::new(SCRATCH).join("callgrind.out");
    let wrapper = [
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        format!("--cache-sim={cache}"),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let mut server = Server::start_under(&wrapper, kind, interval)?;
    let target = server.target.clone();
    let tally = if Kind::SECURE.contains(&kind) {
        let mut crowd = Crowd::new(target)?;
        crowd.open(CONNECTIONS, STREAMS / CONNECTIONS, SECOND * 3)?;
        crowd.watch(window)?
    } else {
        let mut load = Load::new(target)?;
        load.open(STREAMS, SECOND * 3)?;
        load.watch(window)?
    };
    server.stop(Duration::from_secs(60))?;

    let profile = fs::read_to_string(&out).map_err(|e| format!("callgrind wrote nothing: {e}"))?;
    let _ = fs::remove_file(&out);
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let totals = totals.unwrap_or_default().split(' ').map(str::parse);
    let totals = totals.collect::<Result<_, _>>();
    Ok((tally, totals.map_err(|_| "callgrind wrote no totals")?))
}
