//! Answers of one line, and the counts as JSON.

use bytes::Bytes;
use http_body_util::Either;
use hyper::{Request, Response, StatusCode};
use serde::Serialize;

use super::head::{headers, write_head};
use super::methods::allow_get;
use super::{Answer, Answered, Refusal, Whole};
use crate::options::{self, BadParameter};

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

fn line_of(status: StatusCode, line: impl Into<Bytes>) -> Response<Whole> {
    let head = headers([
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Access-Control-Allow-Origin", "*"),
    ]);
    write_head(status, &head, line.into().into())
}

/// What the server `saw`, of all streams or of those of a key, as JSON for a page of any origin.
///
/// # Errors
///
/// The answer to a method other than GET, and to anything but one key.
pub fn stats<B, S, T: Serialize>(
    request: &Request<B>,
    saw: impl FnOnce(Option<&str>) -> T,
) -> Answered<S> {
    allow_get(request)?;
    let key = options::key(request)?;
    let head = headers([
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
    ]);
    let json = serde_json::to_string(&saw(key.as_deref())).unwrap_or_default();
    Ok(write_head(StatusCode::OK, &head, json.into()).map(Either::Left))
}
