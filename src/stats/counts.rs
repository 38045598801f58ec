//! The counts of streams and events, and the JSON of `/stats`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// What is counted. The ends come first: they are read before the beginnings, so that no stream
/// counts as ended and not as opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Client,
    Finished,
    Shutdown,
    Opened,
    Events,
}

/// How many streams and events there were.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; 5]);

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

impl Counts {
    pub(crate) fn add(&self, count: Count, number: u64) {
        self.0[count as usize].fetch_add(number, Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
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

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
