//! Preparation of a server before its memory is measured, so that measurements are comparable.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};

use super::{
    channel::{Address, Connection, Lost},
    random::Random,
    request::RandomRequest,
    stats::Stats,
};
use crate::process::{polls, watched};

/// The least number of concurrent connections.
///
/// Every thread gets the same share or more, because each has its own heap. The rush takes more
/// memory than the random clients.
pub(super) const CONNECTIONS: usize = 2000;
/// Connections between two checks of how many each thread has.
const STEP: usize = 20;
/// Time until each thread has accepted its share.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most keys that a server remembers.
const KEYS: usize = 1000;

/// Opens more connections than the load ever does, and closes all.
///
/// Returns the number of streams.
pub(super) async fn rush(address: &Address, pid: u32) -> Result<u64, Lost> {
    let begin = Instant::now();
    let threads = std::thread::available_parallelism()?.get();
    let polls = polls(pid)?;
    let before = watched(pid, &polls)?;
    let requests = (0..).map(|nth| RandomRequest::draw(&mut Random::of(0, nth)));
    let mut requests = requests.filter(RandomRequest::is_simple);
    let mut open = Vec::new();
    loop {
        for request in requests.by_ref().take(STEP) {
            let connection = Connection::without_faults(address).await?;
            let stream = connection
                .channel
                .send(request.head(None), &request.content);
            let stream = stream.await?;
            if stream.status != StatusCode::OK {
                return Err(format!("{} to {request}", stream.status).into());
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

/// Requests a stream with each of many new keys, so that the server forgets all others.
///
/// Returns the number of streams.
pub(super) async fn forget(address: &Address, keys: &str) -> Result<u64, Lost> {
    let connection = Connection::without_faults(address).await?;
    // The last key replaces the first.
    for number in 0..=KEYS {
        let target = format!("/stream?key={keys}{number}&count=1");
        let response = connection.channel.send(Request::get(target), &[]).await?;
        response.text().await?;
    }
    let stats = Stats::of_key(&connection, &format!("{keys}0")).await?;
    if stats.opened > 0 {
        return Err(format!("more than {KEYS} keys are kept").into());
    }
    Ok(KEYS as u64 + 1)
}
