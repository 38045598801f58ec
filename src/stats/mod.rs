//! How many streams there are, what is remembered of a key, and why each stream ended.

mod counts;
mod keys;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::field::display;

use crate::options::StreamRequest;
pub use counts::{Arrival, Closed, Stats};
use counts::{Count, Counts, json};
use keys::{Key, Keys};
use longhaul::Connection;

/// The streams of one server.
#[derive(Debug, Default)]
pub struct Streams {
    all: Counts,
    keys: Keys,
}

impl Streams {
    /// Returns the counts of all streams, or of those of `key`.
    #[must_use]
    pub fn stats(&self, key: Option<&str>) -> Stats {
        key.map_or_else(|| self.all.stats(), |key| self.keys.stats(key))
    }

    /// Returns the same as JSON, in parts. What a key remembers is read entry by entry; entries that
    /// it has forgotten by then are left out.
    pub fn json(&self, key: Option<&str>) -> impl Iterator<Item = String> + Send + use<> {
        let remembered = key.map(|key| self.keys.json(key));
        let all = remembered.is_none().then(|| json(&self.all.stats()));
        all.into_iter().chain(remembered.into_iter().flatten())
    }

    /// Returns the time since the newest request or end of `key`, if there was a request.
    #[must_use]
    pub fn quiet(&self, key: &str) -> Option<Duration> {
        self.keys.quiet(key)
    }

    /// Returns the guard that counts the stream of `request` from its first poll to its drop.
    #[must_use]
    pub fn guard(self: &Arc<Self>, request: &StreamRequest) -> StreamGuard {
        StreamGuard {
            streams: Arc::clone(self),
            key: self.key(request).filter(|_| !request.is_head),
            connection: request.extensions.get().cloned(),
            since: None,
            events: 0,
            finished: false,
        }
    }

    /// Returns the key of `request`, unless there are too many.
    pub(crate) fn key(&self, request: &StreamRequest) -> Option<Arc<Key>> {
        let name = request.options.key.as_deref()?;
        self.keys.get(name, !request.is_head)
    }
}

/// Counts one stream from its first poll to its drop, and logs why it ended.
#[derive(Debug)]
pub struct StreamGuard {
    streams: Arc<Streams>,
    key: Option<Arc<Key>>,
    connection: Option<Connection>,
    since: Option<Instant>,
    events: u64,
    finished: bool,
}

impl StreamGuard {
    /// Counts the stream as open, once.
    pub fn begin(&mut self) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.add(Count::Opened, 1);
            tracing::info!(peer = self.peer().map(display), "stream opened");
        }
    }

    /// Counts events that were sent.
    pub fn count(&mut self, events: u64) {
        if events > 0 {
            self.events += events;
            self.add(Count::Events, events);
        }
    }

    /// Notes that the stream has ended by itself.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    fn add(&self, count: Count, number: u64) {
        self.streams.all.add(count, number);
        if let Some(key) = &self.key {
            key.counts.add(count, number);
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.connection.as_ref().map(Connection::peer)
    }
}

/// Logs why the stream ended, and counts that.
impl Drop for StreamGuard {
    fn drop(&mut self) {
        let Some(since) = self.since else { return };
        let (why, count) = match &self.connection {
            _ if self.finished => ("finished", Count::Finished),
            Some(it) if it.is_shutting_down() => ("server stopping", Count::Shutdown),
            _ => ("client left", Count::Client),
        };
        // Before the count, because `after_ms` of the next request needs the time of the end.
        if let Some(key) = &self.key {
            key.end();
        }
        self.add(count, 1);
        let (peer, lived) = (self.peer().map(display), since.elapsed());
        tracing::info!(peer, ?lived, events = self.events, why, "stream ended");
    }
}
