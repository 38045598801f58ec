//! What is done to a server before a look at its memory, so that two looks find the same.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use http::Request;

use super::{
    channel::{Address, Connection, Lost, Protocol},
    line::Manners,
};
use crate::process::{polls, watched};

/// Connections that are open at a time, the same number in each thread, for each has a heap of its
/// own: they take more memory than clients who do what they like ever do.
const CONNECTIONS: usize = 1000;
/// How long it may take until each thread has accepted so many.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most keys that a server remembers.
const KEYS: usize = 1000;

/// As many are there at once as never else, and leave.
pub(super) async fn rush(address: &Address, pid: u32) -> Result<(), Lost> {
    let begin = Instant::now();
    let threads = std::thread::available_parallelism()?.get();
    let polls = polls(pid)?;
    let (mut open, mut shares) = (Vec::new(), BTreeMap::<usize, usize>::new());
    let share = CONNECTIONS / threads;
    while shares.len() < threads || shares.values().any(|it| *it < share) {
        if begin.elapsed() > PATIENCE {
            return Err(format!("its threads have {shares:?} connections").into());
        }
        let before = watched(pid, &polls)?;
        let connection = connect(address).await?;
        let stream = connection.channel.ask(Request::get("/stream"), &[]).await?;
        let after = watched(pid, &polls)?;
        let mut more = before
            .iter()
            .zip(&after)
            .map(|(before, after)| after > before);
        if let Some(thread) = more.position(|more| more) {
            let has = shares.entry(thread).or_default();
            // Those of a thread that has enough leave at once.
            if *has < share {
                *has += 1;
                open.push((stream, connection));
            }
        }
    }
    Ok(())
}

/// Gives it as many keys as it can remember, with a stream each, for which it forgets all others.
pub(super) async fn forget(address: &Address, keys: &str) -> Result<(), Lost> {
    let connection = connect(address).await?;
    for number in 0..KEYS {
        let target = format!("/stream?key={keys}{number}&count=1");
        let answer = connection.channel.ask(Request::get(target), &[]).await?;
        answer.text().await?;
    }
    Ok(())
}

async fn connect(address: &Address) -> Result<Connection, Lost> {
    Connection::open(address, Protocol::Http1, Manners::default()).await
}
