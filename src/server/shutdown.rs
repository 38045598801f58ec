//! The end of a server's life. It begins with `Server::shutdown`, and then, in this order:
//!
//! 1. The accept loops stop and close their listeners (`Server::serve`).
//! 2. The shutdown begins for the connections of each loop: one without an answer under way is
//!    dropped, any other takes no further request (`attend`).
//! 3. A body of unbounded length ends, with its terminating chunk; any other goes on
//!    (`UntilShutdown`).
//! 4. When the drain's time has passed it is over, and what is left is dropped (`attend`).
//! 5. When all places are free again, the server is over (`Places::all_free`).
//!
//! Whoever drops the future of `Server::serve` comes to the fourth step at once (`Alive`).

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::connection::{Connection, Shutdown};

/// The connections of an accept loop: their shutdown is over when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Alive(Arc<Shutdown>);

impl Alive {
    pub(super) fn shutdown(&self) -> &Arc<Shutdown> {
        &self.0
    }

    pub(super) fn begin_shutdown(&self) {
        // Nobody else sets it, and once is enough.
        let _ = self.0.begun.set(());
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.begin_shutdown();
        let _ = self.0.over.set(());
    }
}

/// A request and its answer, as far as it is under way.
pub(super) trait Exchange {
    fn connection(&self) -> &Connection;

    /// Notes that the head of the answer was given to hyper, or that its body is at its end.
    fn set_answering(&self, answering: bool);

    /// Waits until what the body has yielded has left this process.
    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()>;
}

pin_project! {
    /// A body that ends, when it has no end of its own, as soon as the shutdown begins.
    ///
    /// One that fails is cut once all that it yielded has left.
    pub(super) struct UntilShutdown<B, E: Exchange> {
        #[pin]
        body: B,
        endless: bool,
        failed: bool,
        underway: Underway<E>,
    }
}

/// The error of a body that has failed, whatever its own was: a stream keeps no room for that.
#[derive(Debug)]
pub(super) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body has failed")
    }
}

impl Error for Failed {}

impl<B: Body, E: Exchange> UntilShutdown<B, E> {
    pub(super) fn new(body: B, exchange: E) -> Self {
        exchange.set_answering(true);
        Self {
            // A body of bounded length goes out whole.
            endless: body.size_hint().upper().is_none(),
            body,
            failed: false,
            underway: Underway(exchange),
        }
    }
}

impl<B: Body, E: Exchange> Body for UntilShutdown<B, E> {
    type Data = B::Data;
    type Error = Failed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Failed>>> {
        let this = self.project();
        if *this.endless && this.underway.0.connection().is_shutting_down() {
            return Poll::Ready(None);
        }
        if !*this.failed {
            match ready!(this.body.poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(_)) => *this.failed = true,
            }
            // hyper writes what it has when it has to wait, and not before an error.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(this.underway.0.poll_left(cx));
        Poll::Ready(Some(Err(Failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Notes that an answer is under way, for as long as it lives.
struct Underway<E: Exchange>(E);

impl<E: Exchange> Drop for Underway<E> {
    fn drop(&mut self) {
        self.0.set_answering(false);
    }
}
