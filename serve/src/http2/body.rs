//! The response of a stream, with bytes that are counted until they have left.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response};
use pin_project_lite::pin_project;

use super::coalesced::Coalesced;
use super::stream::Stream;
use crate::content::{Content, Unread, is_unread};
use crate::handler::Handler;
use crate::shutdown::Failed;
use crate::validate::{Dropped, dispatch};

/// Responds to the request of a stream.
pub(super) async fn respond<H: Handler>(
    request: Request<Incoming>,
    handler: H,
    stream: Arc<Stream>,
) -> Result<Response<Sent<impl Body<Data = Bytes, Error = Failed>>>, Dropped> {
    let is_head = request.method() == Method::HEAD;
    let mut request = request.map(Content::new);
    let unread = request.body().unread();
    name_host(&mut request);
    let response = dispatch(request, handler, Arc::clone(&stream)).await?;
    stream.add_frame();
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
        stream,
        unread,
        error: None,
        pause: None,
    };
    Ok(Response::from_parts(head, sent))
}

/// Repeats `:authority` as `Host`, the first of the headers, as in HTTP/1.1.
fn name_host(request: &mut Request<Content>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let Some(host) = host {
        let headers = request.headers_mut();
        let others = std::mem::replace(headers, HeaderMap::from_iter([(HOST, host)]));
        headers.extend(others);
    }
}

pin_project! {
    /// Delays the end of a body until h2 has sent all its frames, and a reset until the client has
    /// read them.
    pub(super) struct Sent<B: Body> {
        #[pin]
        body: Option<Coalesced<B>>,
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
            ready!(this.stream.poll_room());
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
                *this.pause = Some(Box::pin(Arc::clone(this.stream).read_by_client()));
            }
        }
        if let Some(pause) = this.pause {
            ready!(pause.as_mut().poll(cx));
            *this.pause = None;
            this.body.set(None);
        }
        ready!(this.stream.poll_none());
        this.stream.add_frame();
        Poll::Ready(this.error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        let is_over = self.body.as_ref().is_none_or(Body::is_end_stream) && self.stream.has_left();
        is_over && !is_unread(&self.unread) && self.error.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

/// Bytes given to hyper, which notify their stream when they leave.
pub(super) struct InFlight {
    bytes: Bytes,
    stream: Arc<Stream>,
}

impl InFlight {
    fn new(bytes: Bytes, stream: &Arc<Stream>) -> Self {
        stream.add(bytes.len());
        let stream = Arc::clone(stream);
        Self { bytes, stream }
    }
}

impl Buf for InFlight {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.stream.leave(count, self.bytes.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::pin::Pin;
    use std::sync::Arc;

    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper::body::Body;

    use super::{Coalesced, Sent};
    use crate::connection::Connection;
    use crate::http2::ready_queue::{FRAMES_AT_ONCE, ReadyQueue};
    use crate::http2::stream::Stream;
    use crate::shutdown::ShutdownGuard;

    #[tokio::test]
    async fn the_ends_of_responses_are_frames_that_wait_for_the_connection() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let connection = Connection::new(peer, ShutdownGuard::default().shutdown());
        let queue = Arc::new(ReadyQueue::new());
        queue.wait(0);
        let mut ended = 0;
        while queue.next().is_some() {
            let stream = Arc::new(Stream::new(connection.clone(), Arc::clone(&queue), 0));
            let body = Some(Coalesced::new(Empty::<Bytes>::new()));
            let mut sent = Sent {
                body,
                stream,
                unread: None,
                error: None,
                pause: None,
            };
            assert!(
                poll_fn(|cx| Pin::new(&mut sent).poll_frame(cx))
                    .await
                    .is_none()
            );
            queue.wait(0);
            ended += 1;
            assert!(ended <= FRAMES_AT_ONCE, "an end is no frame");
        }
    }
}
