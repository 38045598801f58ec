//! CORS for requests with credentials, Fetch section 3.3.5.

use hyper::Request;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};

use crate::options::asks_for_credentials;

/// The most bytes of an origin: a host has up to 253.
const MOST: usize = 512;

/// Who may read the answer to `request` with credentials, if its URL asks for that.
pub(super) fn credentials<B>(request: &Request<B>) -> Option<HeaderValue> {
    let any = HeaderValue::from_static("*");
    let origin = request.headers().get(ORIGIN);
    let origin = origin.filter(|origin| origin.len() <= MOST);
    let origin = origin.map_or(any, |origin| {
        HeaderValue::from_bytes(origin.as_bytes()).expect("it was one before")
    });
    asks_for_credentials(request).then_some(origin)
}

/// Lets a page of `origin` that sends credentials read the answer.
pub(super) fn allow_credentials(origin: Option<HeaderValue>, answer: &mut HeaderMap) {
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        answer.insert(VARY, HeaderValue::from_static("Origin"));
    }
}
