//! The body of a complete response.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

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
