//! The bytes of a stream as a body: whole blocks, or what the standard allows and few expect.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio_stream::Stream;

use crate::end::Cut;
use crate::sse::Block;

/// What is odd about the bytes of a stream; the standard allows all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// A byte order mark comes first.
    pub bom: bool,
    /// What ends a line.
    pub eol: Eol,
    /// The most bytes in a frame, each of them its own chunk and write.
    pub split: Option<usize>,
}

/// A line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eol {
    /// Line feed.
    #[default]
    Lf,
    /// Carriage return.
    Cr,
    /// Both.
    CrLf,
}

pin_project! {
    /// The body of a stream of blocks.
    pub struct Shaped<S> {
        #[pin]
        blocks: S,
        shaper: Option<Box<Shaper>>,
    }
}

struct Shaper {
    shape: Shape,
    rest: Bytes,
    written: bool,
}

impl Shape {
    /// The body that `blocks` make.
    pub fn body<S>(self, blocks: S) -> Shaped<S> {
        let custom = self != Self::default();
        let shaper = custom.then(|| {
            Box::new(Shaper {
                shape: self,
                rest: Bytes::new(),
                written: true,
            })
        });
        Shaped { blocks, shaper }
    }

    fn apply(&mut self, block: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(2 * block.len());
        if std::mem::take(&mut self.bom) {
            bytes.extend_from_slice("\u{feff}".as_bytes());
        }
        for byte in block {
            match (byte, self.eol) {
                (b'\n', Eol::Cr) => bytes.extend_from_slice(b"\r"),
                (b'\n', Eol::CrLf) => bytes.extend_from_slice(b"\r\n"),
                _ => bytes.extend_from_slice(&[*byte]),
            }
        }
        bytes.freeze()
    }
}

impl Shaper {
    /// The next frame of a block that was handed over.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(most) = self.shape.split else {
            return Poll::Ready(self.rest.split_off(0));
        };
        if !self.written {
            // hyper writes the frames it has, as one, when it has to wait.
            self.written = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.written = false;
        Poll::Ready(self.rest.split_to(most.min(self.rest.len())))
    }
}

impl<S: Stream<Item = Result<Block, Cut>>> Body for Shaped<S> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.project();
        let Some(shaper) = this.shaper else {
            let block = ready!(this.blocks.poll_next(cx));
            return Poll::Ready(block.map(|block| block.map(Bytes::from).map(Frame::data)));
        };
        if shaper.rest.is_empty() {
            match ready!(this.blocks.poll_next(cx)) {
                Some(Ok(block)) => shaper.rest = shaper.shape.apply(&Bytes::from(block)),
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => return Poll::Ready(None),
            }
        }
        shaper
            .poll_frame(cx)
            .map(|frame| Some(Ok(Frame::data(frame))))
    }
}
