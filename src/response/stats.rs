//! The statistics as JSON.

use http_body_util::Either;
use hyper::{Method, Request, StatusCode};

use super::head::{headers, write_head};
use super::methods::allow;
use super::{HttpResult, SmallFrames};
use crate::options;

/// What the server `saw`, of all streams or of those of a key, for a page of any origin: JSON in
/// parts, which are made as the client reads.
///
/// # Errors
///
/// The response to a method other than GET, and to anything but one key.
pub fn stats<B, S, T>(request: &Request<B>, saw: impl FnOnce(Option<&str>) -> T) -> HttpResult<S>
where
    T: Iterator<Item = String> + Send + 'static,
{
    allow(request, &[Method::GET, Method::HEAD])?;
    let key = options::key(request)?;
    let head = headers([
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        // Tells a page of another origin the protocol.
        ("Timing-Allow-Origin", "*"),
    ]);
    let json = SmallFrames::made_of(saw(key.as_deref()));
    Ok(write_head(StatusCode::OK, &head, json).map(Either::Left))
}
