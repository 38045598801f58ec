//! Who is listening: one log line when a stream opens, one that says why when it ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio_stream::Stream;

use crate::connection::Connection;

pin_project! {
    /// The events of one stream, noted as they go out.
    pub struct Listened<S> {
        #[pin]
        events: S,
        connection: Option<Connection>,
        seat: Option<Seat>,
    }
}

/// Notes when `events` is polled first, what it yields, and why it is dropped.
pub fn listen<S>(events: S, connection: Option<Connection>) -> Listened<S> {
    Listened {
        events,
        connection,
        seat: None,
    }
}

impl<S: Stream<Item = Bytes>> Stream for Listened<S> {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.project();
        let seat = this
            .seat
            .get_or_insert_with(|| Seat::open(this.connection.take()));
        let polled = this.events.poll_next(cx);
        match &polled {
            Poll::Ready(Some(_)) => seat.events += 1,
            Poll::Ready(None) => seat.finished = true,
            Poll::Pending => {}
        }
        polled
    }
}

/// The place of one listener, from the first poll of its stream to the drop.
struct Seat {
    connection: Option<Connection>,
    opened: Instant,
    events: u64,
    finished: bool,
}

impl Seat {
    fn open(connection: Option<Connection>) -> Self {
        let seat = Self {
            connection,
            opened: Instant::now(),
            events: 0,
            finished: false,
        };
        tracing::info!(peer = seat.peer(), "stream opened");
        seat
    }

    fn peer(&self) -> Option<tracing::field::DisplayValue<std::net::SocketAddr>> {
        self.connection
            .as_ref()
            .map(|connection| tracing::field::display(connection.peer()))
    }

    fn why(&self) -> &'static str {
        let stopping = self.connection.as_ref().is_some_and(Connection::is_ending);
        match (self.finished, stopping) {
            (true, _) => "finished",
            (_, true) => "server stopping",
            _ => "client left",
        }
    }
}

/// Node: `req.on("close", () => clearInterval(interval))`; here the timer is dropped beside it.
impl Drop for Seat {
    fn drop(&mut self) {
        tracing::info!(
            peer = self.peer(),
            lived = ?self.opened.elapsed(),
            events = self.events,
            why = self.why(),
            "stream ended"
        );
    }
}
