//! The methods of a path, and CORS preflights.

use hyper::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};

use super::head::{headers, write_head};
use super::text::line_of;
use super::{Rejection, SmallFrames};

/// The most bytes of the header names of a preflight.
const MOST_NAMES: usize = 1024;

/// Rejects all methods except `methods`: OPTIONS gets a preflight response, others get a 405.
///
/// # Errors
///
/// The response to such a method.
pub(super) fn allow<B>(request: &Request<B>, methods: &[Method]) -> Result<(), Rejection> {
    if methods.contains(request.method()) {
        return Ok(());
    }
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let allow = format!("{}, OPTIONS", names.join(", "));
    let rejection = match *request.method() {
        Method::OPTIONS if methods.contains(&Method::POST) => preflight(
            request.headers(),
            &allow,
            "GET, POST",
            requested_names(request.headers()),
        ),
        Method::OPTIONS => preflight(request.headers(), &allow, "GET", None),
        _ => method_not_allowed(&allow),
    };
    Err(rejection.into())
}

fn method_not_allowed(allow: &str) -> Response<SmallFrames> {
    let mut rejection = line_of(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    rejection.headers_mut().extend(headers([("Allow", allow)]));
    rejection
}

/// Responds to a CORS preflight (Fetch section 4.8); another OPTIONS request gets `Allow` alone.
fn preflight(
    request: &HeaderMap,
    allow: &str,
    methods: &str,
    names: Option<&str>,
) -> Response<SmallFrames> {
    let usual = "Content-Type, Cache-Control, Last-Event-ID";
    let head = [
        ("Allow", allow),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", names.unwrap_or(usual)),
        ("Access-Control-Max-Age", "86400"),
    ];
    let asks = request.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let head = headers(head.into_iter().take(if asks { head.len() } else { 1 }));
    write_head(StatusCode::NO_CONTENT, &head, SmallFrames::default())
}

/// Returns the header names of a preflight, if they are tokens (RFC 9110 section 5.6.2) and few.
fn requested_names(request: &HeaderMap) -> Option<&str> {
    let mut values = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let (Some(names), None) = (values.next(), values.next()) else {
        return None;
    };
    let names = names
        .to_str()
        .ok()
        .filter(|names| names.len() <= MOST_NAMES)?;
    let is_token = |name: &str| {
        let mut letters = name.trim_matches([' ', '\t']).bytes().peekable();
        let other = b"!#$%&'*+-.^_`|~";
        letters.peek().is_some()
            && letters.all(|byte| byte.is_ascii_alphanumeric() || other.contains(&byte))
    };
    names.split(',').all(is_token).then_some(names)
}
