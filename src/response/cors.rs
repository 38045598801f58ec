//! The methods of a path, and CORS: preflights, and requests with credentials (Fetch sections 3.3.5
//! and 4.8).

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request, StatusCode};

use super::{Rejection, SmallFrames, headers, write_head};
use crate::options::asks_for_credentials;

/// The most bytes of an origin: a host has up to 253.
const MAX_ORIGIN: usize = 512;

/// The most bytes of the header names of a preflight.
const MAX_NAMES: usize = 1024;

/// Rejects all methods except `methods`: OPTIONS gets a preflight response, others get a 405.
pub(super) fn allow<B>(request: &Request<B>, methods: &[Method]) -> Result<(), Rejection> {
    if methods.contains(request.method()) {
        return Ok(());
    }
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let allow = format!("{}, OPTIONS", names.join(", "));
    if request.method() == Method::OPTIONS {
        let has_post = methods.contains(&Method::POST);
        return Err(preflight(request.headers(), &allow, has_post));
    }
    let mut rejection = Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    let allow = headers([("Allow", allow.as_str())]);
    rejection.0.headers_mut().extend(allow);
    Err(rejection)
}

/// Responds to a CORS preflight; another OPTIONS request gets `Allow` alone. A path with POST allows
/// the requested headers.
fn preflight(request: &HeaderMap, allow: &str, has_post: bool) -> Rejection {
    let usual = "Content-Type, Cache-Control, Last-Event-ID";
    let methods = if has_post { "GET, POST" } else { "GET" };
    let names = requested_names(request).filter(|_| has_post);
    let head = [
        ("Allow", allow),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", names.unwrap_or(usual)),
        ("Access-Control-Max-Age", "86400"),
    ];
    let is_preflight = request.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let head = headers(head.into_iter().take(if is_preflight { 5 } else { 1 }));
    let response = write_head(StatusCode::NO_CONTENT, &head, SmallFrames::default());
    Rejection(Box::new(response))
}

/// Returns the header names of a preflight, if they are tokens (RFC 9110 section 5.6.2) and few.
fn requested_names(request: &HeaderMap) -> Option<&str> {
    let mut values = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let (Some(names), None) = (values.next(), values.next()) else {
        return None;
    };
    let names = names.to_str().ok()?;
    let is_token = |name: &str| HeaderName::from_bytes(name.trim().as_bytes()).is_ok();
    let is_allowed = names.len() <= MAX_NAMES && names.split(',').all(is_token);
    is_allowed.then_some(names)
}

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
