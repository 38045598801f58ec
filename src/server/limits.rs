//! What a client may cost.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;

/// What a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; at the cap the server stops accepting until a place is free, for
    /// a refusal would end an `EventSource` for good. At least 1.
    pub max_connections: usize,
    /// The time for a whole request head, and for the next one of a kept connection.
    pub head_timeout: Duration,
    /// The bytes of a request head, above which the answer is 431; at least 8,192, hyper's least.
    pub max_head: usize,
    /// How long streams that cannot be written to may hold up the end; at least half a second,
    /// which the others need to end as well.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            head_timeout: Duration::from_secs(10),
            max_head: 8192,
            drain: Duration::from_secs(5),
        }
    }
}

impl Limits {
    pub(super) fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(self.max_head.max(8192))
            .title_case_headers(true)
            // An event is one contiguous write, cheaper than three slices of it.
            .writev(false);
        http
    }

    /// The time from the beginning of the shutdown to its end.
    pub(super) fn time_to_drain(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(500);
        self.drain.max(LEAST)
    }
}
