//! Coalesces data that is ready at once into one frame, because many small frames look like an
//! attack to some clients.

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
            let said = match this.next.take() {
                Some(next) => Poll::Ready(*next),
                None => this.body.as_mut().poll_frame(cx),
            };
            let flowed = replace(this.flows, said.is_ready());
            match said {
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
        match self.next {
            None => self.body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

fn is_small(frame: &Frame<Bytes>) -> bool {
    frame.data_ref().is_some_and(|data| data.len() < ENOUGH)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use hyper::HeaderMap;
    use hyper::body::{Body, Frame};

    use super::{Coalesced, ENOUGH, MAX_PIECES};

    type Said = Poll<Option<Result<Frame<Bytes>, &'static str>>>;

    /// Yields the results in order, and is then pending.
    struct Script(VecDeque<Said>);

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Said {
            self.0.pop_front().unwrap_or(Poll::Pending)
        }
    }

    fn data(text: &str) -> Said {
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(
            text.as_bytes(),
        )))))
    }

    /// Returns the results of a script, with `…` for each poll that was pending.
    fn coalesced(script: impl IntoIterator<Item = Said>) -> Vec<String> {
        let script: VecDeque<_> = script.into_iter().collect();
        let mut body = Coalesced::new(Script(script));
        let mut said = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while !body.body.0.is_empty() || body.next.is_some() {
            said.push(match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => "…".into(),
                Poll::Ready(None) => "end".into(),
                Poll::Ready(Some(Err(error))) => error.into(),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => String::from_utf8_lossy(&data).into_owned(),
                    Err(_) => "trailers".into(),
                },
            });
        }
        said
    }

    #[test]
    fn data_that_is_ready_at_once_is_coalesced() {
        let script = [
            "a", "b", "…", "c", "…", "…", "d", "e", "f", "…", "", "g", "…", "",
        ];
        let script = script.map(|text| match text {
            "…" => Poll::Pending,
            text => data(text),
        });
        let said = ["ab", "c", "…", "…", "d", "ef", "g", "…"];
        assert_eq!(coalesced(script), said);
    }

    #[test]
    fn an_end_an_error_trailers_and_a_large_piece_come_after_what_was_before_them() {
        let large = "x".repeat(ENOUGH);
        for (other, says) in [
            (Poll::Ready(None), "end"),
            (Poll::Ready(Some(Err("cut"))), "cut"),
            (
                Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::default())))),
                "trailers",
            ),
            (data(&large), &large),
        ] {
            let script = [data("a"), data("b"), data("c"), other];
            assert_eq!(coalesced(script), ["abc", says]);
        }
    }

    #[test]
    fn a_frame_is_bounded_in_bytes_and_in_pieces() {
        let most = "x".repeat(ENOUGH - 1);
        let script = [most.as_str(), &most, "a"].map(data);
        assert_eq!(coalesced(script), [&most.repeat(2), "a"]);
        let script = (0..=MAX_PIECES).map(|_| data("a"));
        assert_eq!(coalesced(script), [&"a".repeat(MAX_PIECES), "a"]);
        let script = (0..2 * MAX_PIECES).map(|_| data(""));
        assert_eq!(coalesced(script), ["…", "…"]);
    }
}
