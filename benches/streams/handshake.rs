//! The cost of a connection without requests: the TLS handshake and the HTTP/2 settings.

use std::time::Duration;

use crate::{
    client::Client,
    crowd::Crowd,
    points::Point,
    process::{self, Cpu},
    report::{Ratio, Sample},
    servers::{Kind, Server},
};

const CONNECTIONS: usize = 1000;
const HANDSHAKE: &str = "CPU per handshake, µs";
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn point() -> Point {
    Point {
        name: "handshake",
        title: "1,000 connections over TLS and HTTP/2 without a request",
        about: "opened evenly in two seconds, without tickets of earlier sessions. The memory is measured a second later, when none has been closed for being idle.",
        kinds: Kind::SECURE.into(),
        rounds: 3,
        ratios: vec![Ratio {
            name: "over Node's",
            figure: HANDSHAKE,
            base: Kind::NodeHttp2,
        }],
        lacks: None,
        measure: Box::new(measure),
    }
}

fn measure(kind: Kind) -> Result<Sample, String> {
    let server = Server::start(kind, SECOND)?;
    let pid = server.pid();
    let mut crowd = Crowd::new(server.target.clone())?;
    crowd.open(10, 0, Duration::ZERO)?;
    crowd.watch(SECOND / 2)?;

    let before = process::resident(pid)?;
    let start = Cpu::of(pid)?;
    let opening = crowd.open(CONNECTIONS, 0, 2 * SECOND)?;
    crowd.watch(SECOND)?;
    let spent = Cpu::of(pid)?.since(&start)?;
    let memory = process::resident(pid)? - before;
    let each = CONNECTIONS as f64;
    Ok(Sample::default()
        .with(HANDSHAKE, spent.total / each, 0)
        .with("user, µs", spent.user / each, 0)
        .with("system, µs", spent.system / each, 0)
        .with("memory per idle connection, KiB", memory / each, 1)
        .with("opened in, s", opening.as_secs_f64(), 2))
}
