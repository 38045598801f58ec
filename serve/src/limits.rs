//! Limits on the resources that clients may use.

use std::time::Duration;

/// Limits the resources that clients may use.
///
/// Take the defaults and set the fields that differ. What a client sees at each limit is in the
/// [documentation of the crate](crate#limits).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let mut limits = longhaul::Limits::default();
/// limits.max_connections = 10_000;
/// limits.drain = Duration::from_secs(20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most connections at a time; at least 1.
    ///
    /// At this limit the server stops accepting connections until a permit is free. A rejection
    /// would end an `EventSource` for good.
    pub max_connections: usize,
    /// How long a whole request head may take.
    ///
    /// On a kept connection this is also the time for the next request head. Over TLS the first
    /// request head shares this time with the handshake.
    pub head_timeout: Duration,
    /// The most bytes of a request head; at least 8,192, the minimum of hyper.
    ///
    /// A larger request head gets a 431.
    pub max_head: usize,
    /// How long stuck streams may delay the shutdown; at least half a second.
    ///
    /// The server cannot write to a stuck stream. The other streams need half a second to end as
    /// well.
    pub drain: Duration,
    /// The most streams of one HTTP/2 connection at a time.
    ///
    /// A client holds back further requests.
    pub max_streams: u32,
    /// How long bytes of an HTTP/2 stream may wait while the client accepts none of them.
    ///
    /// Then the stream is reset, up to a quarter of this time later. The socket of the client may
    /// make progress during that time.
    pub stuck_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            head_timeout: Duration::from_secs(10),
            max_head: 8192,
            drain: Duration::from_secs(5),
            max_streams: 128,
            stuck_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Returns the limit for a request head that hyper is given.
    pub(super) fn least_head(&self) -> usize {
        self.max_head.max(8192)
    }
}
