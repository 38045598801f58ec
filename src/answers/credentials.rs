//! CORS for requests with credentials, Fetch section 3.3.5.

use hyper::Request;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};

use crate::options::asks_for_credentials;

/// Lets a page that sends credentials with `request` read the answer, if the URL asks for it.
pub(super) fn allow_credentials<B>(request: &Request<B>, answer: &mut HeaderMap) {
    if asks_for_credentials(request) {
        let any = HeaderValue::from_static("*");
        let origin = request.headers().get(ORIGIN).cloned().unwrap_or(any);
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        answer.insert(VARY, HeaderValue::from_static("Origin"));
    }
}
