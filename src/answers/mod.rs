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
use std::fmt;
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

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

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

/// A body in frames so small that no large buffer stays with a connection that goes on to stream.
///
/// Its length is known, unless a part of it has yet to be made.
#[derive(Default)]
pub struct Whole {
    content: Bytes,
    rest: Option<Box<dyn Iterator<Item = String> + Send>>,
}

/// The most bytes of a frame, and the least of what is made at a time.
const FRAME: usize = 4096;
const MADE: usize = 1024;

impl Whole {
    /// The `parts`, each made when those before it are read.
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

impl<T: Into<Bytes>> From<T> for Whole {
    fn from(content: T) -> Self {
        let content = content.into();
        Self {
            content,
            rest: None,
        }
    }
}

impl Body for Whole {
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
            // It ends, and so a server that shuts down lets it go out whole.
            hint.set_upper(u64::MAX);
        }
        hint
    }
}
