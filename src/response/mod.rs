//! Complete responses, and the head of every response.

mod extract;

mod credentials;

mod echo;

mod files;

mod head;

mod faults;

mod methods;

mod stats;

mod text;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Either;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};

pub use extract::extract;
pub use faults::with_faults;
pub use files::{cases, page};
pub use head::{headers, write_head};
pub use stats::stats;
pub use text::text;

/// A response: a complete body, or a stream.
pub type HttpResponse<S> = Response<Either<SmallFrames, S>>;

/// A response, or the rejection of its request.
pub type HttpResult<S> = Result<HttpResponse<S>, Rejection>;

/// The response to a request that is not allowed.
#[derive(Debug)]
pub struct Rejection(Box<Response<SmallFrames>>);

impl fmt::Debug for SmallFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmallFrames")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl From<Response<SmallFrames>> for Rejection {
    fn from(response: Response<SmallFrames>) -> Self {
        Self(Box::new(response))
    }
}

impl<S> From<Rejection> for HttpResponse<S> {
    fn from(rejection: Rejection) -> Self {
        rejection.0.map(Either::Left)
    }
}

/// A body in frames so small that no large buffer stays with a connection that goes on to stream.
///
/// Its length is known unless a part has not been made yet.
#[derive(Default)]
pub struct SmallFrames {
    content: Bytes,
    rest: Option<Box<dyn Iterator<Item = String> + Send>>,
}

/// The most bytes of a frame, and the least bytes that are made at a time.
const FRAME: usize = 4096;
const MADE: usize = 1024;

impl SmallFrames {
    /// Returns a body of `parts`, each made once those before it are read.
    fn made_of(parts: impl Iterator<Item = String> + Send + 'static) -> Self {
        let mut whole = Self {
            content: Bytes::new(),
            rest: Some(Box::new(parts)),
        };
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
        let content = content.into();
        Self {
            content,
            rest: None,
        }
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
