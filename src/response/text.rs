//! Responses of one line.

use bytes::Bytes;
use http_body_util::Either;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Response, StatusCode};

use super::head::{headers, write_head};
use super::{HttpResponse, Rejection, SmallFrames};
use crate::options::BadParameter;

/// Returns a line of text. Node: `res.writeHead(404); res.end("Not Found")`.
#[must_use]
pub fn text<S>(status: StatusCode, line: impl Into<Bytes>) -> HttpResponse<S> {
    line_of(status, line).map(Either::Left)
}

/// 400 for a query string that is not allowed.
impl From<BadParameter> for Rejection {
    fn from(bad: BadParameter) -> Self {
        line_of(StatusCode::BAD_REQUEST, bad.to_string()).into()
    }
}

/// Returns a rejection of content that is left unread, which closes the connection.
pub(super) fn reject_and_close(status: StatusCode, line: impl Into<Bytes>) -> Rejection {
    let mut response = line_of(status, line);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response.into()
}

pub(super) fn line_of(status: StatusCode, line: impl Into<Bytes>) -> Response<SmallFrames> {
    let head = headers([
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Access-Control-Allow-Origin", "*"),
    ]);
    write_head(status, &head, line.into().into())
}
