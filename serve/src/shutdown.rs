//! The shutdown of a server. `Server::shutdown` begins the shutdown, and then, in this order:
//!
//! 1. The accept loops stop and close their listeners (`Server::serve`).
//! 2. The shutdown begins for the connections of each accept loop (`ShutdownGuard`). A connection
//!    without a request is dropped, and so are a handshake and a request without a response
//!    (`dispatch`). Any other connection goes on until its responses are written, and takes no
//!    further request, except those that cross the GOAWAY frame (`http1::serve`, `http2::serve`).
//! 3. A body of unbounded length ends, with its terminating chunk. Any other body goes on
//!    (`UntilShutdown`).
//! 4. After `Limits::drain` the shutdown of the connections is over, and the remaining connections
//!    are dropped (`Server::serve`).
//! 5. When all permits are free again, the shutdown of the server is over (`Permits::all_free`).
//!
//! Dropping the future of `Server::serve` goes straight to the fourth step (`ShutdownGuard`).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::SetOnce;
use tokio::time::{Instant, Sleep, sleep};

use super::connection::Connection;
use super::validate::Dropped;

/// How long a client gets to read the last bytes of a response that is cut off.
///
/// curl, nghttp2 and browsers drop bytes that they have not handed over when they see the cut.
/// 10 ms are enough for a client that has a processor to itself.
pub(crate) const BEFORE_CUT: Duration = Duration::from_millis(250);

/// The two steps of the shutdown that connections wait for.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    /// Responses under way may finish. Bodies without a known length end, and no further request is
    /// accepted.
    pub(crate) begun: SetOnce<()>,
    /// The remaining connections are dropped.
    pub(crate) over: SetOnce<()>,
}

impl Shutdown {
    /// Returns the output of `future`, or `None` once the shutdown has begun.
    ///
    /// The wait is polled once, to register the task. Later a look at the flag is cheaper.
    pub(crate) async fn unless_begun<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut begun = pin!(self.begun.wait());
        let mut is_waiting = false;
        poll_fn(|cx| {
            is_waiting = is_waiting || begun.as_mut().poll(cx).is_pending();
            if self.begun.initialized() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

/// Guards the connections of an accept loop: their shutdown is over when the guard is dropped.
#[derive(Debug, Default)]
pub(super) struct ShutdownGuard(pub(super) Arc<Shutdown>);

impl ShutdownGuard {
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

/// Records that a request and its response are under way, until dropped.
pub(super) struct Underway(Connection);

impl Underway {
    pub(super) fn new(connection: Connection) -> Self {
        connection.set_responding(true);
        Self(connection)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.set_responding(false);
    }
}

pin_project! {
    /// A body that ends when the shutdown begins, unless the length of the body is bounded.
    ///
    /// A body that fails is cut off once the client has had time to read all that the body has
    /// yielded.
    pub(super) struct UntilShutdown<B> {
        #[pin]
        body: B,
        // The wait between the error of the body and the cut.
        cut: Option<Pin<Box<Sleep>>>,
        underway: Underway,
    }
}

impl<B: Body> UntilShutdown<B> {
    pub(super) fn new(body: B, underway: Underway) -> Self {
        Self {
            body,
            cut: None,
            underway,
        }
    }
}

impl<B: Body> Body for UntilShutdown<B> {
    type Data = B::Data;
    type Error = Dropped;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Dropped>>> {
        let this = self.project();
        let connection = &this.underway.0;
        if this.cut.is_none() {
            // A body of bounded length is sent whole.
            if connection.is_shutting_down() && this.body.size_hint().upper().is_none() {
                return Poll::Ready(None);
            }
            match ready!(this.body.poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                // Over HTTP/2 `Sent` waits.
                Some(Err(_)) if connection.is_http2() => return Poll::Ready(Some(Err(Dropped))),
                Some(Err(_)) => {}
            }
        }
        // hyper writes its buffer when the body is pending, but not before an error.
        let cut = this.cut.get_or_insert_with(|| Box::pin(sleep(BEFORE_CUT)));
        if connection.is_blocked() {
            // The socket wakes the task when there is room, and hyper polls the body before it writes.
            cut.as_mut().reset(Instant::now() + BEFORE_CUT);
        }
        ready!(cut.as_mut().poll(cx));
        Poll::Ready(Some(Err(Dropped)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::timeout;
    use tokio_stream::once;

    use super::*;

    fn on(shutdown: Arc<Shutdown>) -> Connection {
        Connection::new(([127, 0, 0, 1], 1).into(), shutdown)
    }

    /// A response body that fails at once.
    fn failing(connection: &Connection) -> UntilShutdown<impl Body + use<>> {
        let body = StreamBody::new(once(Err::<Frame<Bytes>, _>(Dropped)));
        UntilShutdown::new(body, Underway::new(connection.clone()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_time_for_bytes_that_have_waited_for_room() {
        let connection = on(Arc::default());
        let mut body = pin!(failing(&connection));
        connection.set_blocked(true);
        for wait in [10 * BEFORE_CUT, BEFORE_CUT / 2, Duration::ZERO] {
            assert!(timeout(wait, body.frame()).await.is_err());
        }
        connection.set_blocked(false);
        let left = Instant::now();
        assert!(body.frame().await.is_some_and(|frame| frame.is_err()));
        assert!(left.elapsed() >= BEFORE_CUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_has_failed_before_the_shutdown_is_still_cut_off() {
        let guard = ShutdownGuard::default();
        let mut body = pin!(failing(&on(Arc::clone(&guard.0))));
        assert!(timeout(Duration::ZERO, body.frame()).await.is_err());
        guard.begin_shutdown();
        assert!(body.frame().await.is_some_and(|frame| frame.is_err()));
    }
}
