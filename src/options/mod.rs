//! The options: what a query string asks for, as plain data, and their parser.

mod parser;
mod table;

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::Extensions;

pub use parser::{BadParameter, asks_for_credentials, check_key, key, location, number};
pub use table::{GROUPS, Parameter, parameters};

/// What a client asks for; without a query string the Node example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether any parameter was given.
    pub any: bool,
    /// The milliseconds between two events.
    pub interval: Option<u64>,
    /// The id of the event that the client has seen last, from the query string.
    pub last_event_id: Option<String>,
    /// The name of the stream in the statistics.
    pub key: Option<String>,
    /// What the requests of the key get, one after the other; the last is for all later ones.
    pub responses: Vec<Planned>,
    /// The status for a client that reconnects with an id.
    pub then: Option<StatusCode>,
    /// What is changed in the response head.
    pub head: HeadFaults,
    /// What is changed in the stream.
    pub script: Script,
}

/// What the stream says, and how, where that is not as in the example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The number of events after which the stream ends.
    pub count: Option<u64>,
    /// The type of the events.
    pub event: Option<String>,
    /// The reconnection time in milliseconds.
    pub retry: Option<u64>,
    /// Whether events have ids.
    pub ids: bool,
    /// The data in place of the time or the greeting.
    pub data: Option<String>,
    /// The bytes of each event's data, in place of any text.
    pub size: Option<u64>,
    /// The body in place of events.
    pub wire: Option<Bytes>,
    /// Whether the first event describes the request.
    pub echo: bool,
    /// The silence after which a comment is sent; zero for no comments.
    pub comment: Option<Duration>,
    /// How the bytes are cut and which line ends they have.
    pub framing: Framing,
    /// What happens after the last event.
    pub end: Option<End>,
}

/// The response to one request of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// This status; 200 is the stream.
    Status(StatusCode),
    /// The connection is closed before any byte of a response.
    Drop,
}

/// What is changed in the response head; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadFaults {
    /// The wait before the response is sent.
    pub delay: Duration,
    /// The status in place of the stream; 200 is the stream.
    pub status: Option<StatusCode>,
    /// The status of a redirect to the same URL without this parameter.
    pub redirect: Option<StatusCode>,
    /// The headers that are set, or removed where there is no value.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// The statuses of responses without a body, RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
pub const WITHOUT_BODY: [StatusCode; 3] = [
    StatusCode::NO_CONTENT,
    StatusCode::RESET_CONTENT,
    StatusCode::NOT_MODIFIED,
];

/// How the bytes of a stream are cut and which line ends they have; the standard allows every way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// Whether a byte order mark comes first.
    pub bom: bool,
    /// The line end; LF by default.
    pub eol: Option<Eol>,
    /// The most bytes in a frame; each frame is a chunk and a write of its own.
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
    /// Ten minutes of silence.
    Stall,
}

/// A request for a stream, read to its end.
#[derive(Debug, Default)]
pub struct StreamRequest {
    /// What the query string asks for.
    pub options: Options,
    /// Whether the method is HEAD, which changes nothing.
    pub is_head: bool,
    /// The headers `Last-Event-ID`.
    pub header_ids: Vec<String>,
    /// The event data that shows the request, if that was requested.
    pub echo: Option<String>,
    /// The origin of the pages that may read the response with credentials.
    pub origin: Option<HeaderValue>,
    /// Where a redirect leads.
    pub location: Option<HeaderValue>,
    /// The extensions of the request.
    pub extensions: Extensions,
}

impl StreamRequest {
    /// Takes over `Last-Event-ID` from `headers`.
    pub fn read_ids(&mut self, headers: &HeaderMap) {
        let ids = headers.get_all("last-event-id").iter();
        let ids = ids.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        self.header_ids = ids.collect();
    }

    /// The ids of the header that are not empty.
    fn ids(&self) -> impl Iterator<Item = &str> {
        let ids = self.header_ids.iter().map(String::as_str);
        ids.filter(|id| !id.is_empty())
    }

    /// Returns the id of the event that the client has seen last: that of the header, or else of the
    /// query string. Two headers contradict each other, so there is none.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        let mut ids = self.ids();
        match (ids.next(), ids.next()) {
            (None, _) => self.options.last_event_id.as_deref(),
            (id, None) => id,
            _ => None,
        }
    }

    /// Whether the client reconnects: with an id in the header.
    #[must_use]
    pub fn is_reconnect(&self) -> bool {
        self.ids().next().is_some()
    }
}
