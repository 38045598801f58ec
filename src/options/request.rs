//! A request for a stream.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use hyper::http::Extensions;

use super::Options;
use super::parser::LAST_EVENT_ID;

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
        let ids = headers.get_all(LAST_EVENT_ID).iter();
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
