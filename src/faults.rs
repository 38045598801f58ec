//! What a stream does wrong on purpose.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;

use crate::sse::Block;

/// How long a stalled stream is held open.
const STALL: Duration = Duration::from_secs(600);

/// What is wrong with a stream, from its head to its end; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The head.
    pub head: Head,
    /// The bytes.
    pub shape: Shape,
    /// The end.
    pub end: End,
}

/// What is wrong with the head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The wait before it is sent.
    pub delay: Duration,
    /// The status of an answer that is no stream.
    pub status: Option<StatusCode>,
    /// The `Content-Type` in place of `text/event-stream`.
    pub media_type: Option<HeaderValue>,
}

/// What is wrong with the bytes of a stream, though the standard allows all of it.
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

/// What happens after the last event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The body ends as HTTP has it.
    #[default]
    Clean,
    /// The connection is cut without the end of the body.
    Abort,
    /// Half of another event comes, and then the end of the body.
    Truncate,
    /// Nothing more comes, for ten minutes.
    Stall,
}

/// The error of a body that is cut on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream was to be cut here")
    }
}

impl std::error::Error for Cut {}

impl Head {
    /// Leaves word for [`answer`], if anything is wrong.
    #[must_use]
    pub fn leave_on<B>(self, mut response: Response<B>) -> Response<B> {
        if self != Self::default() {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// Does to the head of `response` what the handler left word of.
pub async fn answer<B>(mut response: Response<B>) -> Response<Either<Full<Bytes>, B>> {
    let Some(head) = response.extensions_mut().remove::<Head>() else {
        return response.map(Either::Right);
    };
    if !head.delay.is_zero() {
        Box::pin(sleep(head.delay)).await;
    }
    if let Some(media_type) = head.media_type {
        // What a stranger has put into `data` must not run as a page of this origin.
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, media_type);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    }
    let Some(status) = head.status else {
        return response.map(Either::Right);
    };
    *response.status_mut() = status;
    let line = match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
            String::new()
        }
        _ => format!("{status}\n"),
    };
    response.map(|_| Either::Left(Full::from(line)))
}

pin_project! {
    /// A stream of blocks that ends, well or not, after so many events.
    pub struct Counted<S> {
        #[pin]
        blocks: S,
        left: Option<u64>,
        end: End,
        flushed: bool,
        stall: Option<Pin<Box<Sleep>>>,
    }
}

impl End {
    /// Ends `blocks` after `count` events; never, without a count.
    pub fn after<S>(self, count: Option<u64>, blocks: S) -> Counted<S> {
        Counted {
            blocks,
            left: count,
            end: self,
            flushed: false,
            stall: None,
        }
    }
}

impl<S: Stream<Item = Block>> Stream for Counted<S> {
    type Item = Result<Block, Cut>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Block, Cut>>> {
        let this = self.project();
        if *this.left != Some(0) {
            let block = ready!(this.blocks.poll_next(cx));
            if let (Some(left), Some(Block::Event(_))) = (this.left, &block) {
                *left -= 1;
            }
            return Poll::Ready(block.map(Ok));
        }
        match this.end {
            End::Clean => Poll::Ready(None),
            End::Abort if *this.flushed => Poll::Ready(Some(Err(Cut))),
            // hyper writes what it has when it has to wait, and not before an error.
            End::Abort => {
                *this.flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Truncate => {
                Poll::Ready(ready!(this.blocks.poll_next(cx)).map(|block| match block {
                    Block::Event(bytes) => {
                        *this.end = End::Clean;
                        Ok(Block::Aside(bytes.slice(..bytes.len() / 2)))
                    }
                    aside @ Block::Aside(_) => Ok(aside),
                }))
            }
            End::Stall => {
                let stall = this.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
                stall.as_mut().poll(cx).map(|()| None)
            }
        }
    }
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
