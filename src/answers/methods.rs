//! Which methods a path takes, and what a CORS preflight is told of them.

use hyper::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};

use super::head::{headers, write_head};
use super::text::line_of;
use super::{Refusal, Whole};

/// The most bytes of the names of headers that a preflight asks for.
const MOST_NAMES: usize = 1024;

/// Refuses all methods but those: OPTIONS is told what there is, any other 405.
///
/// # Errors
///
/// The answer to such a method.
pub(super) fn allow<B>(request: &Request<B>, methods: &[Method]) -> Result<(), Refusal> {
    if methods.contains(request.method()) {
        return Ok(());
    }
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let allow = format!("{}, OPTIONS", names.join(", "));
    let refusal = match *request.method() {
        Method::OPTIONS if methods.contains(&Method::POST) => preflight(
            request.headers(),
            &allow,
            "GET, POST",
            asked(request.headers()),
        ),
        Method::OPTIONS => preflight(request.headers(), &allow, "GET", None),
        _ => method_not_allowed(&allow),
    };
    Err(refusal.into())
}

fn method_not_allowed(allow: &str) -> Response<Whole> {
    let mut refusal = line_of(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    refusal.headers_mut().extend(headers([("Allow", allow)]));
    refusal
}

/// To a CORS preflight (Fetch section 4.8) what a page may ask; to others nothing but `Allow`.
fn preflight(
    request: &HeaderMap,
    allow: &str,
    methods: &str,
    names: Option<&str>,
) -> Response<Whole> {
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
    write_head(StatusCode::NO_CONTENT, &head, Whole::default())
}

/// The headers that a page asks to send, if they are tokens (RFC 9110 section 5.6.2) and few.
fn asked(request: &HeaderMap) -> Option<&str> {
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
