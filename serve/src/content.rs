//! The content of a request, with a flag for content that is still to be read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;

/// Whether content is still to be read; `None` for a request without content.
pub(super) type Unread = Option<Arc<AtomicBool>>;

/// Returns whether content is still to be read.
pub(super) fn is_unread(unread: &Unread) -> bool {
    unread.as_ref().is_some_and(|unread| unread.load(Relaxed))
}

pin_project! {
    /// The content of a request, as passed to a handler.
    #[derive(Debug)]
    pub struct Content {
        #[pin]
        incoming: Incoming,
        unread: Unread,
    }
}

impl Content {
    pub(super) fn new(incoming: Incoming) -> Self {
        let has_content = !incoming.is_end_stream();
        let unread = has_content.then(|| Arc::new(AtomicBool::new(true)));
        Self { incoming, unread }
    }

    pub(super) fn unread(&self) -> Unread {
        self.unread.clone()
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.incoming.as_mut().poll_frame(cx));
        if (frame.is_none() || this.incoming.is_end_stream())
            && let Some(unread) = this.unread
        {
            unread.store(false, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
