//! What may be asked of a stream, as plain data, and how it is read from a query string.

mod pairs;

mod parameter;

mod query;

mod table;

mod value;

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

pub use parameter::{Group, Parameter};
pub(crate) use query::LAST_EVENT_ID;
pub use query::{BadParameter, asks_for_credentials, key};
pub use table::{GROUPS, parameters};

/// What a client asked of its stream; what it did not ask for is as in the Node example.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a parameter of its own, there or not"
)]
pub struct Options {
    /// The milliseconds between two events.
    pub interval: Option<u64>,
    /// The number of events after which the stream ends.
    pub count: Option<u64>,
    /// The type of the events.
    pub event: Option<String>,
    /// The reconnection time in milliseconds.
    pub retry: Option<u64>,
    /// Whether events have ids.
    pub ids: bool,
    /// The id of the event that the client has seen last.
    pub last_event_id: Option<String>,
    /// The data in place of the time or the greeting.
    pub data: Option<String>,
    /// The bytes of each event's data, in place of any text.
    pub size: Option<u64>,
    /// The body in place of events.
    pub wire: Option<Bytes>,
    /// Whether the first event tells the request.
    pub echo: bool,
    /// The event that tells it, once it is known.
    pub request: Option<String>,
    /// The silence after which a comment is sent; none ever at zero.
    pub comment: Option<Duration>,
    /// The name of the stream in the statistics.
    pub key: Option<String>,
    /// How many requests of the key fail first.
    pub fail: u64,
    /// Whether one request of the key gets the stream, and no other.
    pub once: bool,
    /// What is wrong with the head.
    pub head: Head,
    /// What is odd about the bytes.
    pub shape: Shape,
    /// What happens after the last event.
    pub end: Option<End>,
    /// The status for a client that comes back.
    pub then: Option<StatusCode>,
    /// Whether anything was asked for.
    pub asked: bool,
}

impl Options {
    /// Whether the stream is the example's but for its interval, and so for a comment ahead of it.
    #[must_use]
    pub fn is_of_its_interval_alone(&self) -> bool {
        let Self {
            count,
            event,
            retry,
            ids,
            data,
            size,
            wire,
            request,
            comment,
            shape,
            end,
            ..
        } = self;
        let texts = [event, data, request].iter().all(|text| text.is_none());
        let numbers = [count, retry, size].iter().all(|number| number.is_none());
        let rest = wire.is_none() && comment.is_none() && end.is_none();
        texts && numbers && rest && !ids && *shape == Shape::default()
    }
}

/// What is other than usual with the head of an answer; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The wait before it is sent.
    pub delay: Duration,
    /// The status of an answer that is no stream, and the body in place of the line that names it.
    pub status: Option<(StatusCode, Option<Bytes>)>,
    /// The `Content-Type` in place of `text/event-stream`.
    pub media_type: Option<HeaderValue>,
    /// Who may read the answer with credentials.
    pub credentials: Option<HeaderValue>,
    /// A redirect in place of the stream: its status, and where it leads.
    pub redirect: Option<(StatusCode, HeaderValue)>,
}

/// Whether a response with this status never has a body, RFC 9110 sections 15.3.5, 15.3.6 and
/// 15.4.5.
#[must_use]
pub fn is_without_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

/// What is odd about the bytes of a stream; the standard allows all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// A byte order mark comes first.
    pub bom: bool,
    /// What ends a line, LF without it.
    pub eol: Option<Eol>,
    /// The most bytes in a frame, each of them its own chunk and write.
    pub split: Option<usize>,
    /// The time between two frames.
    pub pace: Option<Duration>,
}

/// A line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eol {
    /// Line feed.
    Lf,
    /// Carriage return.
    Cr,
    /// Both.
    CrLf,
}

/// What happens after the last event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The body ends as HTTP has it.
    #[default]
    Clean,
    /// The connection is cut without the end of the body.
    Abort,
    /// Half of another event comes, and then the end of the body.
    Truncate,
    /// Nothing more comes, for ten minutes.
    Stall,
}
