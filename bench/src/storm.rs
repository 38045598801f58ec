//! All clients connect at once, then the server shuts down.

use std::time::{Duration, Instant};

use crate::{
    client::Client,
    load::Load,
    point::Point,
    point::Sample,
    servers::{Kind, Server},
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn point() -> Point {
    Point {
        name: "storm",
        title: "10,000 streams opened at once, then SIGTERM",
        about: "a stream is open when its response head has arrived; Node holds the response head back until the first event. With a backlog of less than 10,000 a connection may wait for TCP's second try. A stream has ended cleanly if its terminating chunk has arrived.",
        kinds: Kind::PLAIN.into(),
        rounds: 3,
        ratios: Vec::new(),
        lacks: None,
        measure: Box::new(rush),
    }
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
