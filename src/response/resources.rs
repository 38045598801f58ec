//! The resources that are no stream: the page, the cases of the suite, and the statistics.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use http_body_util::Either;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};

use super::cors::allow;
use super::{HttpResult, SmallFrames, headers, write_head};
use crate::options;

/// What the page may do: run its own style and script, which the hashes name, and ask any server.
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-93mU+7zp6PxbnIfOR+UavhlikNe6hEOeZPC0iZz53q4='; \
    style-src 'sha256-AE99kkWoG8/0kQzIwj3XEP0f6tC9OS+m3DV4n513jCI='; \
    connect-src *; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static PAGE: LazyLock<File> = LazyLock::new(|| {
    let head = [
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    ];
    let content = include_bytes!("../../public/index.html");
    File::new(content, "text/html; charset=utf-8", &head)
});

static CASES: LazyLock<File> = LazyLock::new(|| {
    let head = [("Access-Control-Allow-Origin", "*")];
    let content = include_bytes!("../../public/cases.json");
    File::new(content, "application/json", &head)
});

/// The page.
///
/// # Errors
///
/// The response to a method other than GET.
pub fn page<B, S>(request: &Request<B>) -> HttpResult<S> {
    PAGE.respond(request)
}

/// The suite, as JSON for a page of any origin.
///
/// # Errors
///
/// As [`page`].
pub fn cases<B, S>(request: &Request<B>) -> HttpResult<S> {
    CASES.respond(request)
}

/// The statistics of all streams or of a key, as JSON for a page of any origin. `parts` returns the
/// JSON in parts, which are made as the client reads.
///
/// # Errors
///
/// As [`page`]; also if the query string is anything but one key.
pub fn stats<B, S, T>(request: &Request<B>, parts: impl FnOnce(Option<&str>) -> T) -> HttpResult<S>
where
    T: Iterator<Item = String> + Send + 'static,
{
    allow(request, &[Method::GET, Method::HEAD])?;
    let key = options::key(request)?;
    let head = headers([
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        // Shows the protocol to a page of another origin.
        ("Timing-Allow-Origin", "*"),
    ]);
    let json = SmallFrames::made_of(parts(key.as_deref()));
    Ok(write_head(StatusCode::OK, &head, json).map(Either::Left))
}

/// A file with its response head.
struct File {
    content: &'static [u8],
    head: HeaderMap,
}

impl File {
    fn new(content: &'static [u8], media_type: &str, more: &[(&str, &str)]) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let head = [
            ("Content-Type", media_type),
            ("Cache-Control", "no-cache"),
            ("ETag", &tag),
        ];
        let head = headers(head.into_iter().chain(more.iter().copied()));
        Self { content, head }
    }

    /// Returns the file, or 304 for a client that has it already (RFC 9110 section 13.1.2).
    fn respond<B, S>(&self, request: &Request<B>) -> HttpResult<S> {
        allow(request, &[Method::GET, Method::HEAD])?;
        if !has(request.headers(), &self.head[ETAG]) {
            let whole = Either::Left(self.content.into());
            return Ok(write_head(StatusCode::OK, &self.head, whole));
        }
        let known = self.head.iter().filter(|(name, _)| *name != CONTENT_TYPE);
        let known = known.map(|(name, value)| (name.clone(), value.clone()));
        let nothing = Either::Left(SmallFrames::default());
        Ok(write_head(
            StatusCode::NOT_MODIFIED,
            &known.collect(),
            nothing,
        ))
    }
}

fn has(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || tag == known.trim_start_matches("W/"))
}
