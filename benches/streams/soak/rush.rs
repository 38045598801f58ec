//! What is done to a server before a look at its memory, so that two looks find the same.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};

use super::{
    channel::{Address, Connection, Lost},
    dice::Dice,
    stats::Stats,
    wish::Wish,
};
use crate::process::{polls, watched};

/// Connections that are open at a time, as many in each thread or more, for each has a heap of its
/// own: they take more memory than clients who do what they like ever do.
pub(super) const CONNECTIONS: usize = 2000;
/// Connections between two looks at how many each thread has.
const STEP: usize = 20;
/// How long it may take until each thread has accepted so many.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most keys that a server remembers.
const KEYS: usize = 1000;

/// As many are there at once as never else, and leave; returns how many streams that took.
pub(super) async fn rush(address: &Address, pid: u32) -> Result<u64, Lost> {
    let begin = Instant::now();
    let threads = std::thread::available_parallelism()?.get();
    let polls = polls(pid)?;
    let before = watched(pid, &polls)?;
    let wishes = (0..).map(|nth| Wish::draw(&mut Dice::of(0, nth)));
    let mut wishes = wishes.filter(Wish::is_simple);
    let mut open = Vec::new();
    loop {
        for wish in wishes.by_ref().take(STEP) {
            let connection = Connection::calm(address).await?;
            let stream = connection.channel.ask(wish.head(None), &wish.content);
            let stream = stream.await?;
            if stream.status != StatusCode::OK {
                return Err(format!("{} to {wish}", stream.status).into());
            }
            open.push((stream, connection));
        }
        let now = watched(pid, &polls)?;
        let more = now
            .iter()
            .zip(&before)
            .map(|(now, before)| now.saturating_sub(*before));
        let full = more.filter(|more| *more >= CONNECTIONS / threads).count();
        if full == threads {
            return Ok(open.len() as u64);
        }
        if begin.elapsed() > PATIENCE {
            let connections = open.len();
            return Err(format!(
                "{full} of {threads} threads have their share of {connections} connections"
            )
            .into());
        }
    }
}

/// Gives it as many keys as it can remember, with a stream each, for which it forgets all others;
/// returns how many streams that took.
pub(super) async fn forget(address: &Address, keys: &str) -> Result<u64, Lost> {
    let connection = Connection::calm(address).await?;
    // The first is forgotten for the last.
    for number in 0..=KEYS {
        let target = format!("/stream?key={keys}{number}&count=1");
        let answer = connection.channel.ask(Request::get(target), &[]).await?;
        answer.text().await?;
    }
    let stats = Stats::of_key(&connection, &format!("{keys}0")).await?;
    if stats.opened > 0 {
        return Err(format!("more than {KEYS} keys are kept").into());
    }
    Ok(KEYS as u64 + 1)
}
