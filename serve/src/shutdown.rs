//! The shutdown of a server. `Server::shutdown` begins the shutdown, and then, in this order:
//!
//! 1. The accept loops stop and close their listeners (`Server::serve`).
//! 2. The shutdown begins for the connections of each accept loop. A connection without a response
//!    under way is dropped. Any other connection takes no further request (`serve`).
//! 3. A body of unbounded length ends, with its terminating chunk. Any other body goes on
//!    (`UntilShutdown`).
//! 4. After `Limits::drain` the shutdown of the connections is over, and the remaining connections
//!    are dropped (`serve`).
//! 5. When all permits are free again, the shutdown of the server is over (`Permits::all_free`).
//!
//! Dropping the future of `Server::serve` goes straight to the fourth step (`ShutdownGuard`).

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::connection::{Connection, Shutdown};

/// Guards the connections of an accept loop: their shutdown is over when the guard is dropped.
#[derive(Debug, Default)]
pub(super) struct ShutdownGuard(Arc<Shutdown>);

impl ShutdownGuard {
    pub(super) fn shutdown(&self) -> &Arc<Shutdown> {
        &self.0
    }

    pub(super) fn begin_shutdown(&self) {
        // Only the guard sets this value, and a second call changes nothing.
        let _ = self.0.begun.set(());
    }
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        self.begin_shutdown();
        let _ = self.0.over.set(());
    }
}

/// A request and its response, while they are under way.
pub(super) trait Exchange {
    fn connection(&self) -> &Connection;

    /// Records that hyper was given the response head, or that the body is at its end.
    fn set_responding(&self, responding: bool);

    /// Waits until all that the body has yielded has left this process.
    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()>;
}

pin_project! {
    /// A body that ends when the shutdown begins, unless the length of the body is bounded.
    ///
    /// A body that fails is cut off once all that the body has yielded has left.
    pub(super) struct UntilShutdown<B, E: Exchange> {
        #[pin]
        body: B,
        endless: bool,
        failed: bool,
        underway: Underway<E>,
    }
}

/// Replaces the error of a failed body, because a stream keeps no memory for that error.
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
        exchange.set_responding(true);
        Self {
            // A body of bounded length is sent whole.
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
            // hyper writes its buffer when the body is pending, but not before an error.
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

/// Records that a response is under way, until dropped.
struct Underway<E: Exchange>(E);

impl<E: Exchange> Drop for Underway<E> {
    fn drop(&mut self) {
        self.0.set_responding(false);
    }
}
