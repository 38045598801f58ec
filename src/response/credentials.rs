//! CORS for requests with credentials, Fetch section 3.3.5.

use hyper::Request;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};

use crate::options::asks_for_credentials;

/// The most bytes of an origin: a host has up to 253.
const MAX_ORIGIN: usize = 512;

/// Returns the origin that may read the response with credentials, if the URL asks for that.
pub(super) fn credentials<B>(request: &Request<B>) -> Option<HeaderValue> {
    let any = HeaderValue::from_static("*");
    let origin = request.headers().get(ORIGIN);
    let origin = origin.filter(|origin| origin.len() <= MAX_ORIGIN);
    let origin = origin.map_or(any, |origin| {
        HeaderValue::from_bytes(origin.as_bytes()).expect("it came as a header value")
    });
    asks_for_credentials(request).then_some(origin)
}

/// Lets a page of `origin` read the response to a request with credentials.
pub(super) fn allow_credentials(origin: Option<HeaderValue>, response: &mut HeaderMap) {
    if let Some(origin) = origin {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        response.insert(VARY, HeaderValue::from_static("Origin"));
    }
}
