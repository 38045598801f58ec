//! Who is listening: each stream is counted when it opens, and when it ends with the reason why.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;
use tokio_stream::Stream;

use crate::connection::Connection;
use crate::keys::{Key, Keys};
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

    /// Notes now the id that a client of `key` comes back with, and later when `blocks` is polled
    /// first, the events that it yields, and why it is dropped.
    pub fn listen<S>(
        self: &Arc<Self>,
        blocks: S,
        connection: Option<Connection>,
        key: Option<String>,
        last_event_id: Option<String>,
    ) -> Listened<S> {
        if let (Some(key), Some(id)) = (&key, last_event_id) {
            self.keys.note(key, &id);
        }
        let newcomer = Some((Arc::clone(self), connection, key));
        Listened {
            blocks,
            newcomer,
            seat: None,
        }
    }
}

pin_project! {
    /// A stream whose listener is counted.
    pub struct Listened<S> {
        #[pin]
        blocks: S,
        newcomer: Option<(Arc<Streams>, Option<Connection>, Option<String>)>,
        seat: Option<Seat>,
    }
}

impl<S: Stream<Item = Result<Block, E>>, E> Stream for Listened<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if let Some((streams, connection, key)) = this.newcomer.take() {
            *this.seat = Some(Seat::take(streams, connection, key.as_deref()));
        }
        let polled = this.blocks.poll_next(cx);
        let seat = this
            .seat
            .as_mut()
            .expect("it was taken with the first poll");
        match &polled {
            Poll::Ready(Some(Ok(Block::Event(_)))) => seat.count_event(),
            Poll::Ready(None | Some(Err(_))) => seat.finished = true,
            Poll::Ready(Some(Ok(Block::Aside(_)))) | Poll::Pending => {}
        }
        polled
    }
}

/// The place of a listener, from the first poll of its stream to the drop.
struct Seat {
    streams: Arc<Streams>,
    key: Option<Arc<Key>>,
    connection: Option<Connection>,
    since: Instant,
    events: u64,
    finished: bool,
}

impl Seat {
    fn take(streams: Arc<Streams>, connection: Option<Connection>, key: Option<&str>) -> Self {
        let key = key.and_then(|key| streams.keys.get_or_keep(key));
        let since = Instant::now();
        let seat = Self {
            streams,
            key,
            connection,
            since,
            events: 0,
            finished: false,
        };
        seat.count(|counts| &counts.opened);
        tracing::info!(peer = seat.peer().map(display), "stream opened");
        seat
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
}

/// Node: `req.on("close", () => clearInterval(interval))`; the timer is dropped along with this.
impl Drop for Seat {
    fn drop(&mut self) {
        let stopping = self.connection.as_ref().is_some_and(Connection::is_ending);
        let why = if self.finished {
            self.count(|counts| &counts.finished);
            "finished"
        } else if stopping {
            self.count(|counts| &counts.shutdown);
            "server stopping"
        } else {
            self.count(|counts| &counts.client);
            "client left"
        };
        let (lived, events) = (self.since.elapsed(), self.events);
        tracing::info!(
            peer = self.peer().map(display),
            ?lived,
            events,
            why,
            "stream ended"
        );
    }
}
