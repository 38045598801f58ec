//! The scenario: what each request for a stream gets. For a key it depends on the requests before.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::options::{Options, Planned, StreamRequest};
use crate::stats::Streams;

/// What a request for a stream gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The stream.
    Stream,
    /// A status, and a body in place of the line that names the status.
    Status(StatusCode, Option<Bytes>),
    /// A redirect.
    Redirect(StatusCode, HeaderValue),
    /// No response: the connection is closed.
    Drop,
}

/// Returns what `request` gets, and notes the request for its key. A HEAD request leaves no trace,
/// and a key that cannot be kept gets the stream.
#[must_use]
pub fn next(request: &StreamRequest, streams: &Streams) -> Plan {
    let key = streams.key(request);
    let plan = plan(request, |items| match &key {
        Some(key) => key.next(items, !request.is_head),
        None => Planned::Status(StatusCode::OK),
    });
    if let Some(key) = key.filter(|_| !request.is_head) {
        match &plan {
            Plan::Redirect(..) => key.count_redirect(),
            plan => key.note(request, *plan == Plan::Drop),
        }
    }
    plan
}

/// Returns what `request` gets, by priority: `then`, `redirect`, `status`, and the item of `responses`
/// that `next` returns.
pub fn plan(request: &StreamRequest, next: impl FnOnce(&[Planned]) -> Planned) -> Plan {
    let Options { head, script, .. } = &request.options;
    let then = request.options.then.filter(|_| request.is_reconnect());
    let responses = &request.options.responses;
    let (status, body) = if let Some(status) = then {
        (status, None)
    } else if let (Some(status), Some(location)) = (head.redirect, &request.location) {
        return Plan::Redirect(status, location.clone());
    } else if let Some(status) = head.status {
        (status, script.wire.clone())
    } else if responses.is_empty() {
        return Plan::Stream;
    } else {
        match next(responses) {
            Planned::Status(status) => (status, None),
            Planned::Drop => return Plan::Drop,
        }
    };
    match status {
        StatusCode::OK => Plan::Stream,
        status => Plan::Status(status, body),
    }
}
