//! What a client may cost.

use std::time::Duration;

/// What a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; at the cap the server stops accepting until a place is free, for
    /// a refusal would end an `EventSource` for good. At least 1.
    pub max_connections: usize,
    /// The time for a whole request head, and for the next one of a kept connection; over TLS, the
    /// handshake is in the first of them.
    pub head_timeout: Duration,
    /// The bytes of a request head, above which the answer is 431; at least 8,192, hyper's least.
    pub max_head: usize,
    /// How long streams that cannot be written to may hold up the end; at least half a second,
    /// which the others need to end as well.
    pub drain: Duration,
    /// Streams of one HTTP/2 connection at a time; a client keeps further requests to itself.
    #[cfg(feature = "tls")]
    pub max_streams: u32,
    /// How long bytes of an HTTP/2 stream may wait, where the client lets none of them go; its
    /// socket may go on all the while.
    #[cfg(feature = "tls")]
    pub stuck_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            head_timeout: Duration::from_secs(10),
            max_head: 8192,
            drain: Duration::from_secs(5),
            #[cfg(feature = "tls")]
            max_streams: 128,
            #[cfg(feature = "tls")]
            stuck_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The bytes of a head that hyper is told of.
    pub(super) fn least_head(&self) -> usize {
        self.max_head.max(8192)
    }

    /// The time from the beginning of the shutdown to its end.
    pub(super) fn time_to_drain(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(500);
        self.drain.max(LEAST)
    }
}
