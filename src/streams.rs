//! Who is listening: each stream is counted when it opens, and when it ends with the reason why.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;
use tokio_stream::Stream;
use tracing::field::display;

use crate::connection::Connection;
use crate::keys::{Key, Keys};
use crate::options::Options;
use crate::sse::Block;
use crate::stats::{Counts, Stats};

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

    /// The seat of a client that asked for a stream; the id that it comes back with is noted now.
    pub fn seat(
        self: &Arc<Self>,
        connection: Option<Connection>,
        Options {
            key, last_event_id, ..
        }: &Options,
    ) -> Seat {
        let key = key.as_deref().and_then(|name| self.keys.get_or_keep(name));
        if let (Some(key), Some(id)) = (&key, last_event_id) {
            key.note(id);
        }
        Seat {
            streams: Arc::clone(self),
            key,
            connection,
            since: None,
            events: 0,
            finished: false,
        }
    }
}

pin_project! {
    /// A stream whose listener is counted.
    pub struct Listened<S> {
        #[pin]
        blocks: S,
        seat: Seat,
    }
}

impl<S: Stream<Item = Result<Block, E>>, E> Stream for Listened<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if this.seat.since.is_none() {
            this.seat.open();
        }
        let polled = this.blocks.poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(Block::Event(_)))) => this.seat.count_event(),
            Poll::Ready(None | Some(Err(_))) => this.seat.finished = true,
            Poll::Ready(Some(Ok(Block::Aside(_)))) | Poll::Pending => {}
        }
        polled
    }
}

/// The seat of a listener: taken from the first poll of its stream to the drop.
#[derive(Debug)]
pub struct Seat {
    streams: Arc<Streams>,
    key: Option<Arc<Key>>,
    connection: Option<Connection>,
    since: Option<Instant>,
    events: u64,
    finished: bool,
}

impl Seat {
    /// Counts what `blocks` yields, and why it is dropped.
    pub fn listen<S>(self, blocks: S) -> Listened<S> {
        Listened { blocks, seat: self }
    }

    fn open(&mut self) {
        self.since = Some(Instant::now());
        self.count(|counts| &counts.opened);
        tracing::info!(peer = self.peer().map(display), "stream opened");
    }

    fn count_event(&mut self) {
        self.events += 1;
        self.count(|counts| &counts.events);
    }

    fn count(&self, which: impl Fn(&Counts) -> &AtomicU64) {
        which(&self.streams.all).fetch_add(1, Relaxed);
        if let Some(key) = &self.key {
            which(&key.counts).fetch_add(1, Relaxed);
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.connection.as_ref().map(Connection::peer)
    }

    /// Why the stream ends, and the count that this adds to.
    fn why(&self) -> (&'static str, fn(&Counts) -> &AtomicU64) {
        let stopping = || self.connection.as_ref().is_some_and(Connection::is_ending);
        if self.finished {
            ("finished", |counts| &counts.finished)
        } else if stopping() {
            ("server stopping", |counts| &counts.shutdown)
        } else {
            ("client left", |counts| &counts.client)
        }
    }
}

/// Node: `req.on("close", () => clearInterval(interval))`; the timer is dropped along with this.
impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            let (why, count) = self.why();
            self.count(count);
            let (peer, lived) = (self.peer().map(display), since.elapsed());
            tracing::info!(peer, ?lived, events = self.events, why, "stream ended");
        }
    }
}
