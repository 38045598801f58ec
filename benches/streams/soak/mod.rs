//! Half an hour of everything at once: clients that come, stay, leave, stall, read slowly, are cut
//! at any byte and come back, with every option and fault drawn at random.
//!
//! `cargo bench --bench streams -- soak`, `soak 2` for two minutes, `soak seed=7` for the choices of
//! another run: those of the nth client's mth visit depend on the seed, n and m alone, when it comes
//! and how long it gets to stay do not.
//!
//! Four servers live through it side by side and share its clients: in the clear and over TLS, each
//! with the default allocator and with jemalloc. Each is killed twice, so that it has three lives:
//!
//! 1. the clients come for a minute (in a short run, a quarter of the life), all leave, and what
//!    the process then holds is its base;
//! 2. they come for the rest of the life, all leave, and it must be back at its base;
//! 3. those whose ids may not have a gap come back and sit still: what the server counts, what its
//!    log says and what clients hold must be the same; then it is killed, and they go on.
//!
//! Before each look at its memory a server has the same rushes, for an allocator keeps what the
//! greatest hour took, and is given as many new keys as it can remember: it forgets all others, and
//! what it remembers on purpose is no growth. Every broken promise is in the table and in the
//! exit status.

mod channel;

mod client;

mod dice;

mod events;

mod life;

mod line;

mod listener;

mod load;

mod log;

mod minutes;

mod rude;

mod rush;

mod schedule;

mod stats;

mod table;

mod ticks;

mod town;

mod wish;

mod witness;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Builder;

pub(crate) use table::put;

use crate::{process, servers::Kind};

/// In the clear and over TLS, by either allocator.
const KINDS: [Kind; 4] = [Kind::Ours, Kind::Jemalloc, Kind::Http2, Kind::Http2Jemalloc];
const MINUTES: u64 = 30;

/// Runs it, and returns what was seen as Markdown, whether it was a whole run, and how many
/// promises were broken.
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
    wish::check();
    for kind in KINDS {
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
