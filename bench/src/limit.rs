//! The rate of events that a server sends in time.

use std::time::Duration;

use crate::{
    client::Client,
    load::Load,
    point::{FAST, Point, RATE},
    point::{Ratio, Sample},
    servers::{Kind, Server},
    steady::even_spread,
    window::Window,
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn point() -> Point {
    Point {
        name: "limit",
        title: "Events a second before they come late",
        about: "an event each every 25 ms, and 500 more streams at every step, until the p99 of the deviation passes 12.5 ms twice, a tenth of the events is missing, or a stream is lost. Server and client share two processors: where the client is busy, the limit is that of both together.",
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
        // A second attempt, because one hiccup of a shared machine is no limit.
        for _ in 0..2 {
            let early = load.watch(SECOND / 2)?.lost;
            let window = Window::watch(server.pid(), &mut load, length)?;
            let tally = &window.tally;
            let busy = window.by_client.total / window.seconds / 1e6;
            let late = window.deviation(0.99);
            let rate = window.per_second();
            let due = load.len() as f64 / FAST.as_secs_f64();
            let lost = early + tally.lost;
            // A Node interval of 25 ms takes up to 26 ms, which is not starvation.
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
