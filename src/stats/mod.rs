//! Who is listening, and why each stream ended.

mod counts;

mod keys;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use hyper::{Method, Request};
use tracing::field::display;

use crate::connection::Connection;
use crate::options::Options;
pub use counts::{Arrival, Closed, Stats};
use counts::{Counts, json};
use keys::{Key, Keys};

/// The streams of one server.
#[derive(Debug, Default)]
pub struct Streams {
    all: Counts,
    keys: Keys,
}

impl Streams {
    /// What the server saw of all its streams, or of those of `key`.
    #[must_use]
    pub fn stats(&self, key: Option<&str>) -> Stats {
        key.map_or_else(|| self.all.stats(), |key| self.keys.stats(key))
    }

    /// The same as JSON, in parts: what a key remembers is read entry by entry, and what it has
    /// forgotten by then is left out.
    pub fn json(&self, key: Option<&str>) -> impl Iterator<Item = String> + Send + use<> {
        let remembered = key.map(|key| self.keys.json(key));
        let all = remembered.is_none().then(|| json(&self.all.stats()));
        all.into_iter().chain(remembered.into_iter().flatten())
    }

    /// The record of the stream that `request` asks for, or of what it gets instead: `options` are
    /// told where it is the turn of a failure, or of no further stream.
    ///
    /// What the client comes back with is noted now, and a HEAD leaves no trace.
    pub fn record<B>(self: &Arc<Self>, request: &Request<B>, options: &mut Options) -> Record {
        let name = options.key.as_deref();
        let name = name.filter(|_| options.head.redirect.is_none());
        let looks = request.method() == Method::HEAD;
        let key = name.and_then(|name| self.keys.get(name, !looks));
        let status = key.as_ref().and_then(|key| key.turn(options, !looks));
        // Beside `fail` it is the failure's alone.
        let other = options.head.status.take().filter(|_| options.fail == 0);
        options.head.status = status.map(|status| (status, None)).or(other);
        let key = key.filter(|_| !looks);
        if let Some(key) = &key {
            key.note(request.headers(), options.last_event_id.as_deref());
        }
        Record {
            streams: Arc::clone(self),
            key,
            connection: request.extensions().get().cloned(),
            since: None,
            events: 0,
            finished: false,
        }
    }
}

/// The record of one stream, from its opening to the drop, which writes down why it ended.
#[derive(Debug)]
pub struct Record {
    streams: Arc<Streams>,
    key: Option<Arc<Key>>,
    connection: Option<Connection>,
    since: Option<Instant>,
    events: u64,
    finished: bool,
}

impl Record {
    /// Writes down that the stream is open, unless it was before.
    pub fn open(&mut self) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.add(|counts| &counts.opened, 1);
            tracing::info!(peer = self.peer().map(display), "stream opened");
        }
    }

    /// Writes down that so many events went out.
    pub fn count(&mut self, events: u64) {
        if events > 0 {
            self.events += events;
            self.add(|counts| &counts.events, events);
        }
    }

    /// Writes down that the stream has ended by itself.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    fn add(&self, which: impl Fn(&Counts) -> &AtomicU64, number: u64) {
        which(&self.streams.all).fetch_add(number, Relaxed);
        if let Some(key) = &self.key {
            which(&key.counts).fetch_add(number, Relaxed);
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.connection.as_ref().map(Connection::peer)
    }

    /// Why the stream ends, and the count that this adds to.
    fn why(&self) -> (&'static str, fn(&Counts) -> &AtomicU64) {
        let connection = self.connection.as_ref();
        if self.finished {
            ("finished", |counts| &counts.finished)
        } else if connection.is_some_and(Connection::is_shutting_down) {
            ("server stopping", |counts| &counts.shutdown)
        } else {
            ("client left", |counts| &counts.client)
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            let (why, count) = self.why();
            // Before the count says that it is closed, lest a request in between see no end.
            if let Some(key) = &self.key {
                key.end();
            }
            self.add(count, 1);
            let (peer, lived) = (self.peer().map(display), since.elapsed());
            tracing::info!(peer, ?lived, events = self.events, why, "stream ended");
        }
    }
}
