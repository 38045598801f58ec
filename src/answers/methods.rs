//! Which methods a path takes, and what a CORS preflight is told of them.

use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};

use super::head::{headers, write_head};
use super::{Refusal, Whole};

const ALLOW: (&str, &str) = ("Allow", "GET, HEAD, OPTIONS");

/// Refuses all methods but GET and HEAD: OPTIONS is told what there is, any other 405.
///
/// # Errors
///
/// The answer to such a method.
pub fn allow_get<B>(request: &Request<B>) -> Result<(), Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        Method::OPTIONS => Err(preflight(request.headers()).into()),
        _ => Err(method_not_allowed().into()),
    }
}

fn method_not_allowed() -> Response<Whole> {
    let head = headers([
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Access-Control-Allow-Origin", "*"),
        ALLOW,
    ]);
    let line = "Method Not Allowed\n";
    write_head(StatusCode::METHOD_NOT_ALLOWED, &head, line.into())
}

/// To a CORS preflight (Fetch section 4.8) what a page may ask; to others nothing but `Allow`.
fn preflight(request: &HeaderMap) -> Response<Whole> {
    let head = [
        ALLOW,
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "GET"),
        (
            "Access-Control-Allow-Headers",
            "Content-Type, Cache-Control, Last-Event-ID",
        ),
        ("Access-Control-Max-Age", "86400"),
    ];
    let asks = request.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let head = headers(head.into_iter().take(if asks { head.len() } else { 1 }));
    write_head(StatusCode::NO_CONTENT, &head, Whole::default())
}
