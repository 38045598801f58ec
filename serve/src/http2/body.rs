//! The response of a stream, at the pace at which its frames are written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response};
use pin_project_lite::pin_project;

use super::coalesced::Coalesced;
use super::stream::{InFlight, Stream};
use crate::connection::Connection;
use crate::content::{Content, Unread, is_unread};
use crate::handler::Handler;
use crate::validate::{Dropped, dispatch, name_host};

/// The frames of a stream that may be in flight: h2 keeps half a KiB for each.
const MAX_IN_FLIGHT: usize = 2;

/// Responds to the request of a stream.
pub(super) async fn respond<H: Handler>(
    request: Request<Incoming>,
    handler: H,
    connection: Connection,
    stream: Arc<Stream>,
) -> Result<Response<Sent<impl Body<Data = Bytes, Error = Dropped>>>, Dropped> {
    let is_head = request.method() == Method::HEAD;
    let mut request = request.map(Content::new);
    let unread = request.body().unread();
    name_host(&mut request);
    let response = dispatch(request, handler, connection.clone()).await?;
    let (mut head, body) = response.into_parts();
    if is_head
        && !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    // hyper would send the body for HEAD too.
    let body = (!is_head).then(|| Coalesced::new(body));
    let sent = Sent {
        body,
        connection,
        stream,
        unread,
        error: None,
        pause: None,
    };
    Ok(Response::from_parts(head, sent))
}

pin_project! {
    /// Delays the end of a body until h2 has sent all its frames, and a reset until the client has
    /// read them.
    pub(super) struct Sent<B: Body> {
        #[pin]
        body: Option<Coalesced<B>>,
        connection: Connection,
        stream: Arc<Stream>,
        // Unread content is rejected by a reset after the end of the response.
        unread: Unread,
        // The error of the body, until the error is passed on.
        error: Option<B::Error>,
        // The wait between the end of the body and a reset.
        pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    }
}

impl<B: Body<Data = Bytes>> Body for Sent<B> {
    type Data = InFlight;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<InFlight>, B::Error>>> {
        let mut this = self.project();
        if this.pause.is_none()
            && let Some(body) = this.body.as_mut().as_pin_mut()
        {
            ready!(this.stream.poll_in_flight(MAX_IN_FLIGHT - 1));
            match ready!(body.poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let sending = |bytes| InFlight::new(bytes, this.stream);
                    return Poll::Ready(Some(Ok(frame.map_data(sending))));
                }
                Some(Err(error)) => *this.error = Some(error),
                None if is_unread(this.unread) => {}
                None => this.body.set(None),
            }
            if this.body.is_some() {
                *this.pause = Some(Box::pin(
                    Arc::clone(this.stream).read_by_client(this.connection.clone()),
                ));
            }
        }
        if let Some(pause) = this.pause {
            ready!(pause.as_mut().poll(cx));
            *this.pause = None;
            this.body.set(None);
        }
        ready!(this.stream.poll_in_flight(0));
        this.stream.queue.add_frame();
        Poll::Ready(this.error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        let is_over = self.body.as_ref().is_none_or(Body::is_end_stream);
        is_over && self.stream.in_flight() == 0 && !is_unread(&self.unread) && self.error.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper::body::Body;

    use super::{Coalesced, Connection, Sent, Stream};
    use crate::http2::ready_queue::{MAX_FRAMES, ReadyQueue};

    #[test]
    fn the_ends_of_responses_are_frames_that_wait_for_the_connection() {
        let queue = Arc::new(ReadyQueue::default());
        let ends = (0..).take_while(|_| {
            queue.push(0);
            let mut sent = Sent {
                body: Some(Coalesced::new(Empty::<Bytes>::new())),
                connection: Connection::new(([127, 0, 0, 1], 1).into(), Arc::default()),
                stream: Arc::new(Stream::new(Arc::clone(&queue), 0)),
                unread: None,
                error: None,
                pause: None,
            };
            let cx = &mut Context::from_waker(Waker::noop());
            queue.pop().is_some() && Pin::new(&mut sent).poll_frame(cx).is_ready()
        });
        assert_eq!(ends.count(), MAX_FRAMES);
    }
}
