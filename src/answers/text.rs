//! Answers of one line.

use bytes::Bytes;
use http_body_util::Either;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Response, StatusCode};

use super::head::{headers, write_head};
use super::{Answer, Refusal, Whole};
use crate::options::BadParameter;

/// A line of text. Node: `res.writeHead(404); res.end("Not Found")`.
#[must_use]
pub fn text<S>(status: StatusCode, line: impl Into<Bytes>) -> Answer<S> {
    line_of(status, line).map(Either::Left)
}

/// 400 for parameters that cannot be followed.
impl From<BadParameter> for Refusal {
    fn from(bad: BadParameter) -> Self {
        line_of(StatusCode::BAD_REQUEST, bad.to_string()).into()
    }
}

/// A refusal of content that is left unread, and the end of its connection.
pub(super) fn refuse_and_close(status: StatusCode, line: impl Into<Bytes>) -> Refusal {
    let mut response = line_of(status, line);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response.into()
}

pub(super) fn line_of(status: StatusCode, line: impl Into<Bytes>) -> Response<Whole> {
    let head = headers([
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Access-Control-Allow-Origin", "*"),
    ]);
    write_head(status, &head, line.into().into())
}
