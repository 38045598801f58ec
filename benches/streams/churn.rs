//! Memory that remains after clients connect and leave.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    load::Load,
    points::{Point, warm_up},
    process,
    report::Sample,
    servers::{Kind, Server},
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn point() -> Point {
    Point {
        name: "churn",
        title: "100,000 connects and disconnects",
        about: "resident memory of the whole process when all clients have left. \
                Express is left out: its example never cancels a timer, and after some ten thousand clients it stops responding.",
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
