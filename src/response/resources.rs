//! The resources that are no stream: the page, the cases of the suite, and the statistics.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

use http_body_util::Either;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::cors::allow;
use super::extract::{MAX_CONTENT, TIME, read};
use super::{HttpResponse, HttpResult, Rejection, SmallFrames, headers, write_head};
use crate::options;
use crate::stats::Streams;
use crate::suite::{self, Post};

/// What the page may do: run its own style and script, which the hashes name, and ask any server.
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-gC+mrZ0fERvcKAKn+3V6pppniqdX/oYFy/RSzuqev/I='; \
    style-src 'sha256-f4pWk8l4yUoS99fwaqOyHMcv+shvloBCb3rSiqX0RAM='; \
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
    File::new(suite::CASES.as_bytes(), "application/json", &head)
});

/// How many posts are read and judged at a time: each may hold 2 MiB, because its buffer doubles.
static JUDGES: Semaphore = Semaphore::const_new(16);

/// How long the content of a post may take, even after a long wait.
const LEAST_TIME: Duration = Duration::from_millis(500);

/// Returns the page, the statistics, or the cases and what is right about a client that played one,
/// as JSON for a page of any origin.
///
/// # Errors
///
/// The response to another method, and to a query string or content that is not allowed.
pub async fn resource<B: Body, S>(request: Request<B>, streams: &Streams) -> HttpResult<S> {
    let path = request.uri().path();
    let methods = [Method::GET, Method::HEAD, Method::POST];
    allow(&request, &methods[..if path == "/cases" { 3 } else { 2 }])?;
    match path {
        "/" => Ok(PAGE.respond(&request)),
        "/stats" => {
            let key = options::key(&request)?;
            let parts = streams.json(key.as_deref());
            Ok(json(SmallFrames::made_of(parts)))
        }
        _ if request.method() == Method::POST => judge(request, streams).await,
        _ => Ok(CASES.respond(&request)),
    }
}

async fn judge<B: Body, S>(request: Request<B>, streams: &Streams) -> HttpResult<S> {
    // Frees the request head, which would stay in memory while the post waits.
    let content = request.into_body();
    // The time includes the wait, so that posts which never end do not add up their times.
    let end = Instant::now() + TIME;
    let judging = JUDGES.acquire().await;
    let end = end.max(Instant::now() + LEAST_TIME);
    let content = read(content, MAX_CONTENT, end).await?;
    let bad = |line| Rejection::new(StatusCode::BAD_REQUEST, line);
    let post = Post::parse(&content).map_err(bad)?;
    options::check_key(&post.key)?;
    let case = post.case().map_err(bad)?;
    let (stats, quiet) = (streams.stats(Some(&post.key)), streams.quiet(&post.key));
    let verdict = case.judge(&post, &stats, quiet);
    drop(judging);
    Ok(json(
        serde_json::to_string(&verdict).unwrap_or_default().into(),
    ))
}

fn json<S>(body: SmallFrames) -> HttpResponse<S> {
    let head = headers([
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        // Shows the protocol to a page of another origin.
        ("Timing-Allow-Origin", "*"),
    ]);
    write_head(StatusCode::OK, &head, body).map(Either::Left)
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
    fn respond<B, S>(&self, request: &Request<B>) -> HttpResponse<S> {
        if !has(request.headers(), &self.head[ETAG]) {
            let whole = Either::Left(self.content.into());
            return write_head(StatusCode::OK, &self.head, whole);
        }
        let known = self.head.iter().filter(|(name, _)| *name != CONTENT_TYPE);
        let known = known.map(|(name, value)| (name.clone(), value.clone()));
        let nothing = Either::Left(SmallFrames::default());
        write_head(StatusCode::NOT_MODIFIED, &known.collect(), nothing)
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
