//! The signals that stop the server, and the body wrapper that ends a stream when they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::connection::Connection;

/// The signals of the process: SIGINT, SIGTERM and SIGHUP ask it to stop.
///
/// SIGUSR1 and SIGUSR2, which would kill it without a word, are noted in the log and ignored.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    user: [tokio::signal::unix::Signal; 2],
}

#[cfg(unix)]
impl Signals {
    /// Takes the signals over from the operating system's defaults.
    ///
    /// # Errors
    ///
    /// When the operating system does not let the process listen for them.
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits for the next signal that asks the process to stop, and names it.
    pub async fn stop(&mut self) -> &'static str {
        let [user1, user2] = &mut self.user;
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.hangup.recv() => return "SIGHUP",
                _ = user1.recv() => tracing::info!("SIGUSR1 means nothing here"),
                _ = user2.recv() => tracing::info!("SIGUSR2 means nothing here"),
            }
        }
    }
}

/// The signals of the process: ctrl-C asks it to stop.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Takes the signals over from the operating system's defaults.
    ///
    /// # Errors
    ///
    /// None on this platform.
    pub fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next signal that asks the process to stop, and names it.
    pub async fn stop(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}

pin_project! {
    /// A body that ends, when it has no end of its own, as soon as the server stops.
    ///
    /// One that fails is cut once all that it yielded has left.
    pub(crate) struct Ending<B: Body> {
        #[pin]
        body: B,
        endless: bool,
        failed: Option<B::Error>,
        answer: Answer,
    }
}

impl<B: Body> Ending<B> {
    pub(crate) fn new(body: B, connection: Connection) -> Self {
        connection.set_answering(true);
        Self {
            // A body of a known length was promised in the head: it goes out whole.
            endless: body.size_hint().exact().is_none(),
            body,
            failed: None,
            answer: Answer(connection),
        }
    }
}

impl<B: Body> Body for Ending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if *this.endless && this.answer.0.is_ending() {
            return Poll::Ready(None);
        }
        if this.failed.is_none() {
            match ready!(this.body.poll_frame(cx)) {
                Some(Err(error)) => *this.failed = Some(error),
                other => return Poll::Ready(other),
            }
            // hyper writes what it has when it has to wait, and not before an error.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.answer.0.is_stuck() {
            return Poll::Pending;
        }
        Poll::Ready(this.failed.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells the connection that its answer is under way, for as long as it lives.
struct Answer(Connection);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.set_answering(false);
    }
}
