//! Every answer that is no stream, and the head of every answer.

mod asked;

mod credentials;

mod echo;

mod files;

mod head;

mod methods;

mod stats;

mod text;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Either;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};

pub use asked::asked;
pub use files::{cases, page};
pub use head::{as_asked, headers, write_head};
pub use stats::stats;
pub use text::text;

/// An answer that is whole, where others of the same handler may be streams.
pub type Answer<S> = Response<Either<Whole, S>>;

/// An answer, or a refusal on the way to it.
pub type Answered<S> = Result<Answer<S>, Refusal>;

/// What a request is answered instead of what it asks for.
#[derive(Debug)]
pub struct Refusal(Box<Response<Whole>>);

impl From<Response<Whole>> for Refusal {
    fn from(response: Response<Whole>) -> Self {
        Self(Box::new(response))
    }
}

impl<S> From<Refusal> for Answer<S> {
    fn from(refusal: Refusal) -> Self {
        refusal.0.map(Either::Left)
    }
}

/// A body of known length, given in frames so small that no large buffer stays with a connection
/// that goes on to stream.
#[derive(Debug, Default)]
pub struct Whole(Bytes);

impl<T: Into<Bytes>> From<T> for Whole {
    fn from(content: T) -> Self {
        Self(content.into())
    }
}

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
