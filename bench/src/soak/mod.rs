//! A soak test of half an hour: clients use every option and fault of the server, drawn at random.
//!
//! The clients connect, stay, leave, stall, read slowly, are cut off at any byte, and reconnect.
//!
//! - `make soak` runs for 30 minutes.
//! - `make soak MINUTES=2` runs for two minutes.
//! - `make soak SEED=7` repeats the choices of another run.
//!
//! The choices of the nth client in its mth visit depend on the seed, n and m only. Their timing
//! depends on the machine.
//!
//! Four servers run side by side and share the clients: over plain HTTP and over TLS, each with the
//! default allocator and with jemalloc. Each server is killed twice, and so has three lives:
//!
//! 1. Clients connect for a minute (in a short run, a quarter of the life). When all have left, the
//!    resources of the process are its base.
//! 2. Clients connect for the rest of the life. When all have left, the resources must be back at
//!    the base.
//! 3. Clients with gapless ids reconnect and stay idle. The statistics, the log and the clients
//!    must agree on the number of streams. Then the server is killed, and the clients reconnect.
//!
//! Each memory measurement follows the same preparation:
//!
//! - The same rush of connections, because an allocator keeps the peak of its memory.
//! - As many new keys as the server remembers. They replace all others, so that keys are no growth.
//!
//! Every broken promise is in the table and in the exit status.

mod channel;
mod client;
mod events;
mod life;
mod listener;
mod load;
mod log;
mod malformed;
mod minutes;
mod random;
mod request;
mod rush;
mod schedule;
mod shared;
mod socket;
mod stats;
mod table;
mod ticks;
mod witness;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Builder;

pub(crate) use table::{keep, put};

use crate::process;

const MINUTES: u64 = 30;

/// Runs the soak.
///
/// Returns the results as Markdown, whether the run was complete, and the number of broken
/// promises.
pub(crate) fn run(words: &[String], versions: &str) -> Result<(String, bool, usize), String> {
    let (mut minutes, mut seed) = (MINUTES, None);
    for word in words {
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| format!("{word} is no number"))
        };
        match word.strip_prefix("seed=") {
            Some(given) => seed = Some(number(given)?),
            None => minutes = number(word)?.max(1),
        }
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = seed.unwrap_or_else(|| since.map_or(0, |since| since.as_secs()));
    events::check();
    ticks::check();
    log::check();
    request::check();
    for kind in schedule::KINDS {
        eprintln!("preparing {}", kind.title());
        kind.prepare()?;
    }
    eprintln!("{minutes} minutes, seed={seed}");
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("no runtime: {e}"))?;
    let length = Duration::from_secs(60 * minutes);
    let outcome = runtime.block_on(schedule::run(seed, length))?;
    let about = format!("{versions}; {}", process::machine()?);
    let text = table::markdown(&outcome, minutes, &about);
    let is_whole = minutes == MINUTES && outcome.is_whole;
    Ok((text, is_whole, outcome.broken.len()))
}
