//! How many streams there are, what is remembered of a key, and why each stream ended.

mod keys;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::field::display;

use crate::options::StreamRequest;
pub(crate) use keys::REMEMBERED;
use keys::{Key, Keys};
use longhaul::Connection;

/// The counts of all streams, or of those of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Stats {
    /// Streams that are open.
    pub open: u64,
    /// Streams that were opened.
    pub opened: u64,
    /// Events that were sent; comments, gaps and halves of events do not count.
    pub events: u64,
    /// Streams that have ended.
    pub closed: Closed,
    /// For a key: what clients sent back as `Last-Event-ID`, the newest 100, oldest first. An id of
    /// more than 64 bytes is cut to at most 64, the `…` at its end included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event_ids: Option<Vec<String>>,
    /// For a key: its requests, the newest 100, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<Arrival>>,
    /// For a key: the redirects that its requests got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirects: Option<u64>,
    /// For a key: requests that were dropped: the connection was closed without a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// A request of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Arrival {
    /// The header `Last-Event-ID`, cut as in [`Stats::last_event_ids`].
    pub last_event_id: Option<String>,
    /// The milliseconds since the newest end of a stream of the key; `None` if none has ended or one
    /// is open.
    pub after_ms: Option<u64>,
}

/// The streams that have ended, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Closed {
    /// The client left, or could not be reached any more.
    pub client: u64,
    /// The stream ended by itself.
    pub finished: u64,
    /// The server stopped.
    pub shutdown: u64,
}

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

/// What is counted. The ends come first: they are read before the beginnings, so that no stream
/// counts as ended and not as opened.
#[derive(Clone, Copy, Debug)]
enum Count {
    Client,
    Finished,
    Shutdown,
    Opened,
    Events,
}

/// How many streams and events there were.
#[derive(Debug, Default)]
struct Counts([AtomicU64; 5]);

impl Counts {
    fn add(&self, count: Count, number: u64) {
        self.0[count as usize].fetch_add(number, Relaxed);
    }

    fn stats(&self) -> Stats {
        let counts = self.0.each_ref().map(|count| count.load(Relaxed));
        let [client, finished, shutdown, opened, events] = counts;
        Stats {
            open: opened.saturating_sub(client + finished + shutdown),
            opened,
            events,
            closed: Closed {
                client,
                finished,
                shutdown,
            },
            ..Stats::default()
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
