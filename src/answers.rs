//! Every answer that is no stream, and the CORS headers that all share.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Either;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, CONNECTION,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::query::BadParameter;
use crate::stats::Stats;

/// An answer that is whole, where others of the same handler may be streams.
pub type Answer<S> = Response<Either<Whole, S>>;

const PAGE: &[u8] = include_bytes!("../public/index.html");
/// What the page may do: run its own style and script, which the hashes name, and ask any server.
const PAGE_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-nje+98SytIyJVqj3ZQE0R4CbbxsKh8SPBcCRaCBgd2s='; \
    style-src 'sha256-iagIYqvJ4Mu5joZEfkviN1Lu/4Q3vBfrZkYRJe9yeu8='; \
    connect-src *; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const METHODS: &str = "GET, HEAD, OPTIONS";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Node: `res.writeHead(200, { "Content-Type": "text/event-stream", ... })`.
pub fn event_stream<S>(events: S) -> Answer<S> {
    static HEAD: LazyLock<HeaderMap> = LazyLock::new(|| {
        let mut head = HeaderMap::new();
        let headers = [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-cache"),
            (CONNECTION, "keep-alive"),
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
            // Beyond Node's: nginx passes each event on at once.
            (X_ACCEL_BUFFERING, "no"),
        ];
        add(&mut head, headers);
        head
    });
    let mut response = Response::new(Either::Right(events));
    // hyper keeps the map as long as the connection lives, and a clone has no room to spare.
    response.headers_mut().clone_from(&HEAD);
    response
}

/// The page, or 304 for a client that has it already (RFC 9110 section 13.1.2).
pub fn page<S>(request: &HeaderMap) -> Answer<S> {
    static TAG: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        PAGE.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    });
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (ETAG, TAG.as_str()),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    if has(request, &TAG) {
        let [_, kept @ ..] = headers;
        return answer(StatusCode::NOT_MODIFIED, kept, empty());
    }
    answer(StatusCode::OK, headers, whole(PAGE))
}

fn has(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// What may be asked here, and to a CORS preflight (Fetch section 4.8) what a page may ask.
pub fn options<S>(request: &HeaderMap) -> Answer<S> {
    let mut response = answer(StatusCode::NO_CONTENT, [(ALLOW, METHODS)], empty());
    if request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        let permissions = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Content-Type, Cache-Control, Last-Event-ID",
            ),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        add(response.headers_mut(), permissions);
    }
    response
}

/// 405 for a known path.
#[must_use]
pub fn method_not_allowed<S>() -> Answer<S> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    add(response.headers_mut(), [(ALLOW, METHODS)]);
    response
}

/// 400 for parameters that cannot be followed.
#[must_use]
pub fn bad_request<S>(bad: &BadParameter) -> Answer<S> {
    text(StatusCode::BAD_REQUEST, bad.to_string())
}

/// What the server saw, for a page of any origin.
#[must_use]
pub fn stats<S>(stats: &Stats) -> Answer<S> {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    let json = serde_json::to_string(stats).unwrap_or_default();
    answer(StatusCode::OK, headers, whole(json))
}

/// Node: `res.writeHead(404); res.end("Not Found")`.
#[must_use]
pub fn not_found<S>() -> Answer<S> {
    text(StatusCode::NOT_FOUND, "Not Found")
}

fn whole<S>(content: impl Into<Bytes>) -> Either<Whole, S> {
    Either::Left(Whole(content.into()))
}

fn empty<S>() -> Either<Whole, S> {
    whole("")
}

fn text<S>(status: StatusCode, line: impl Into<Bytes>) -> Answer<S> {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    answer(status, headers, whole(line))
}

fn answer<'a, B>(
    status: StatusCode,
    headers: impl IntoIterator<Item = (HeaderName, &'a str)>,
    body: B,
) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    add(response.headers_mut(), headers);
    response
}

fn add<'a>(map: &mut HeaderMap, headers: impl IntoIterator<Item = (HeaderName, &'a str)>) {
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("our header values are visible ASCII");
        map.insert(name, value);
    }
}

/// A body of known length, given in frames so small that no large buffer stays with a connection
/// that goes on to stream.
#[derive(Debug, Default)]
pub struct Whole(Bytes);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const FRAME: usize = 4096;
        let length = self.0.len().min(FRAME);
        let frame = self.0.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
