//! Coalesces data that is ready at once: many small frames look like an attack to some clients.

use std::mem::replace;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// The bytes and the pieces of a frame at which no more pieces are coalesced.
const ENOUGH: usize = 512;
const MAX_PIECES: usize = 16;

pin_project! {
    /// A body that coalesces small pieces that are ready at once, and omits empty pieces.
    ///
    /// A piece that was waited for is sent alone and is not copied.
    pub(super) struct Coalesced<B: Body> {
        #[pin]
        body: B,
        // What the body yielded after some pieces, when it is not to be coalesced with them.
        next: Option<Box<Option<Result<Frame<Bytes>, B::Error>>>>,
        // Whether the body was ready when last polled.
        flows: bool,
    }
}

impl<B: Body> Coalesced<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            next: None,
            flows: true,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Coalesced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let (mut pieces, mut length) = (Vec::new(), 0);
        for _ in 0..MAX_PIECES {
            let polled = match this.next.take() {
                Some(next) => Poll::Ready(*next),
                None => this.body.as_mut().poll_frame(cx),
            };
            let flowed = replace(this.flows, polled.is_ready());
            match polled {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                Poll::Ready(Some(Ok(frame))) if flowed && is_small(&frame) => {
                    let piece = frame.into_data().unwrap_or_default();
                    length += piece.len();
                    pieces.push(piece);
                }
                other if pieces.is_empty() => return other,
                Poll::Ready(other) => {
                    *this.next = Some(Box::new(other));
                    break;
                }
                Poll::Pending => break,
            }
            if length >= ENOUGH {
                break;
            }
        }
        if pieces.is_empty() {
            // All pieces were empty: let other streams be polled first.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let coalesced = match pieces.len() {
            1 => pieces.remove(0),
            _ => pieces.concat().into(),
        };
        Poll::Ready(Some(Ok(Frame::data(coalesced))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn is_small(frame: &Frame<Bytes>) -> bool {
    frame.data_ref().is_some_and(|data| data.len() < ENOUGH)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use hyper::HeaderMap;
    use hyper::body::{Body, Frame};

    use super::{Coalesced, ENOUGH, MAX_PIECES};

    /// Yields a piece for each character, from the end to the beginning: nothing for `0`, much for
    /// `M`, trailers for `T`, an error for `E`, the end for `|`, and `.` is pending.
    struct Script(String);

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(Some(match self.0.pop().unwrap_or('.') {
                '.' => return Poll::Pending,
                '|' => return Poll::Ready(None),
                'E' => Err("E"),
                'T' => Ok(Frame::trailers(HeaderMap::default())),
                '0' => Ok(Frame::data(Bytes::new())),
                'M' => Ok(Frame::data("M".repeat(ENOUGH - 1).into())),
                piece => Ok(Frame::data(piece.to_string().into())),
            }))
        }
    }

    /// Returns what a script becomes, with `.` for each poll that was pending.
    fn coalesced(script: &str) -> String {
        let mut body = Coalesced::new(Script(script.chars().rev().collect()));
        let mut polled = Vec::new();
        while !body.body.0.is_empty() || body.next.is_some() {
            let cx = &mut Context::from_waker(Waker::noop());
            polled.push(match Pin::new(&mut body).poll_frame(cx) {
                Poll::Pending => ".".into(),
                Poll::Ready(None) => "|".into(),
                Poll::Ready(Some(Err(error))) => error.into(),
                Poll::Ready(Some(Ok(frame))) => frame.into_data().map_or("T".into(), |data| {
                    String::from_utf8_lossy(&data).into_owned()
                }),
            });
        }
        polled.join(" ").replace(&"M".repeat(ENOUGH - 1), "M")
    }

    #[test]
    fn data_that_is_ready_at_once_is_coalesced_up_to_a_bound() {
        for (script, becomes) in [
            ("ab.c..def.0g.0", "ab c . . d ef g ."),
            ("abc|", "abc |"),
            ("abcE", "abc E"),
            ("abcT", "abc T"),
            ("MMa", "MM a"),
            ("M.M", "M M"),
        ] {
            assert_eq!(coalesced(script), becomes, "{script}");
        }
        let most = "a".repeat(MAX_PIECES);
        assert_eq!(coalesced(&format!("{most}a")), format!("{most} a"));
        assert_eq!(coalesced(&"0".repeat(2 * MAX_PIECES)), ". .");
    }
}
