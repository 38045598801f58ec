//! Complete responses, and the head of every response.

mod extract;
mod cors;
mod echo;
mod resources;
mod faults;
mod body;

use bytes::Bytes;
use http_body_util::Either;
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::options::BadParameter;
pub use body::SmallFrames;
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
        line_of(status, line).into()
    }

    /// Returns the rejection of content that is left unread, which closes the connection.
    fn and_close(mut self) -> Self {
        let close = HeaderValue::from_static("close");
        self.0.headers_mut().insert(CONNECTION, close);
        self
    }
}

impl From<Response<SmallFrames>> for Rejection {
    fn from(response: Response<SmallFrames>) -> Self {
        Self(Box::new(response))
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
