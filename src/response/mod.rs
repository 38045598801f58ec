//! Complete responses, and the head of every response.

mod extract;
mod cors;
mod echo;
mod resources;
mod faults;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Either;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::options::BadParameter;
pub use extract::extract;
pub use faults::with_faults;
pub use resources::resource;

/// A response: a complete body, or a stream.
pub type HttpResponse<S> = Response<Either<SmallFrames, S>>;

/// A response, or the rejection of its request.
pub type HttpResult<S> = Result<HttpResponse<S>, Rejection>;

/// The response to a request that is not allowed.
pub struct Rejection(Box<Response<SmallFrames>>);

impl Rejection {
    fn new(status: StatusCode, line: impl Into<Bytes>) -> Self {
        Self(Box::new(line_of(status, line)))
    }
}

/// 400 for a query string that is not allowed.
impl From<BadParameter> for Rejection {
    fn from(bad: BadParameter) -> Self {
        Self::new(StatusCode::BAD_REQUEST, bad.to_string())
    }
}

impl<S> From<Rejection> for HttpResponse<S> {
    fn from(rejection: Rejection) -> Self {
        rejection.0.map(Either::Left)
    }
}

/// Returns a line of text. Node: `res.writeHead(404); res.end("Not Found")`.
#[must_use]
pub fn text<S>(status: StatusCode, line: impl Into<Bytes>) -> HttpResponse<S> {
    line_of(status, line).map(Either::Left)
}

fn line_of(status: StatusCode, line: impl Into<Bytes>) -> Response<SmallFrames> {
    let head = headers([
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Access-Control-Allow-Origin", "*"),
    ]);
    write_head(status, &head, line.into().into())
}

/// Returns the headers of a list.
///
/// # Panics
///
/// If one of them is malformed: they are constants of the program.
pub fn headers<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let header = |(name, value): (&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("our names are tokens");
        let value = HeaderValue::from_str(value).expect("our values are visible ASCII");
        (name, value)
    };
    list.into_iter().map(header).collect()
}

/// Returns a response; Node: `res.writeHead(status, head)`.
#[must_use]
pub fn write_head<B>(status: StatusCode, head: &HeaderMap, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // hyper keeps the map as long as the connection lives, and a clone has no spare capacity.
    response.headers_mut().clone_from(head);
    response
}

/// The most bytes of a frame, and the least bytes that are made at a time.
const FRAME: usize = 4096;
const MADE: usize = 1024;

/// A body in frames so small that no large buffer stays with a connection that goes on to stream.
///
/// Its length is known unless a part has not been made yet.
#[derive(Default)]
pub struct SmallFrames {
    content: Bytes,
    rest: Option<Box<dyn Iterator<Item = String> + Send>>,
}

impl SmallFrames {
    /// Returns a body of `parts`, each made once those before it are read.
    pub(super) fn made_of(parts: impl Iterator<Item = String> + Send + 'static) -> Self {
        let (content, rest) = (Bytes::new(), Some(Box::new(parts) as _));
        let mut whole = Self { content, rest };
        whole.make();
        whole
    }

    /// Makes the next part of the content.
    fn make(&mut self) {
        let mut made = String::new();
        while let Some(rest) = &mut self.rest
            && made.len() < MADE
        {
            match rest.next() {
                Some(part) => made.push_str(&part),
                None => self.rest = None,
            }
        }
        self.content = made.into();
    }
}

impl<T: Into<Bytes>> From<T> for SmallFrames {
    fn from(content: T) -> Self {
        let (content, rest) = (content.into(), None);
        Self { content, rest }
    }
}

impl Body for SmallFrames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.content.is_empty() {
            self.make();
        }
        let length = self.content.len().min(FRAME);
        let frame = self.content.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::with_exact(self.content.len() as u64);
        if self.rest.is_some() {
            // A body with a bound is sent whole when the server shuts down.
            hint.set_upper(u64::MAX);
        }
        hint
    }
}
