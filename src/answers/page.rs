//! The page, compiled in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use http_body_util::Either;
use hyper::header::{HeaderMap, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};

use super::head::{headers, write_head};
use super::methods::allow;
use super::{Answered, Whole};

const PAGE: &[u8] = include_bytes!("../../public/index.html");

/// What the page may do: run its own style and script, which the hashes name, and ask any server.
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-nje+98SytIyJVqj3ZQE0R4CbbxsKh8SPBcCRaCBgd2s='; \
    style-src 'sha256-iagIYqvJ4Mu5joZEfkviN1Lu/4Q3vBfrZkYRJe9yeu8='; \
    connect-src *; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, or 304 for a client that has it already (RFC 9110 section 13.1.2).
///
/// # Errors
///
/// The answer to a method other than GET.
pub fn page<B, S>(request: &Request<B>) -> Answered<S> {
    static TAG: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        PAGE.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    });
    allow(request, &[Method::GET, Method::HEAD])?;
    let head = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-cache"),
        ("ETag", TAG.as_str()),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    ];
    let answer = if has(request.headers(), &TAG) {
        let [_, kept @ ..] = head;
        write_head(StatusCode::NOT_MODIFIED, &headers(kept), Whole::default())
    } else {
        write_head(StatusCode::OK, &headers(head), PAGE.into())
    };
    Ok(answer.map(Either::Left))
}

fn has(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}
