//! HTTP/2: many responses at a time on a connection, all in the task of the connection.
//!
//! hyper closes no idle connection, resets no stuck stream and wakes no body at shutdown. These
//! modules do all three.

mod body;
mod coalesced;
mod stream;
mod streams;
mod ready_queue;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::handler::Handler;
use super::limits::Limits;
use super::permits::Permit;
use super::validate::{Dropped, log_rejected};
use body::respond;
use streams::{ConnectionExecutor, Streams};

/// The flow-control window of a connection and of each stream: clients send short content.
const WINDOW: u32 = 65_535;

/// How long a client may take to acknowledge the end of its connection.
const FAREWELL: Duration = Duration::from_millis(500);

/// Serves one connection until the connection closes or the shutdown drops it.
///
/// The first request has to arrive before `deadline`.
pub(super) async fn serve<I, H: Handler>(
    permit: Permit,
    io: I,
    limits: Limits,
    deadline: Instant,
    handler: H,
    connection: Connection,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let streams = Arc::<Streams>::default();
    let (requested, begun) = (connection.clone(), Arc::clone(&streams));
    let service = service_fn(move |request| {
        let (handler, connection) = (handler.clone(), requested.clone());
        let (stream, queue) = (begun.begin(), Arc::clone(&begun.queue));
        let mut response = Box::pin(respond(request, handler, connection, stream));
        // Polled at once, so that a request head is freed before the next one is accepted. The stream
        // is polled again, by a waker of its own.
        let mut cx = Context::from_waker(Waker::noop());
        let poll = || response.as_mut().poll(&mut cx);
        let polled = catch_unwind(AssertUnwindSafe(poll)).unwrap_or(Poll::Ready(Err(Dropped)));
        let response = match polled {
            Poll::Ready(response) => Ok(Box::new(response)),
            Poll::Pending => Err(response),
        };
        async move {
            let response = match response {
                Ok(response) => *response,
                Err(response) => response.await,
            };
            // hyper gives the head to h2 now.
            queue.add_frame();
            response
        }
    });
    let http = settings(&limits, ConnectionExecutor(Arc::downgrade(&streams)));
    let mut serving = Box::pin(http.serve_connection(TokioIo::new(io), service));
    let shutdown = connection.shutdown();
    let served = shutdown.unless_begun(async {
        tokio::select! {
            biased;
            served = poll_fn(|cx| streams.poll(&mut serving, cx)) => Some(served),
            () = streams.idle(deadline, limits.head_timeout) => None,
            never = streams.reset_stuck(limits.stuck_timeout) => match never {},
        }
    });
    let served = match served.await {
        Some(Some(served)) => Some(served),
        // hyper would wait for a first request.
        None if !streams.are_open() && !connection.is_blocked() => None,
        _ => {
            serving.as_mut().graceful_shutdown();
            let left = async {
                streams.none().await;
                sleep(FAREWELL).await;
                // A request may have crossed the GOAWAY frame. The shutdown waits for full sockets.
                let is_draining = || connection.is_shutting_down() && connection.is_blocked();
                while streams.are_open() || is_draining() {
                    sleep(FAREWELL).await;
                }
            };
            tokio::select! {
                biased;
                served = poll_fn(|cx| streams.poll(&mut serving, cx)) => Some(served),
                () = left => None,
                () = shutdown.over.wait() => None,
                never = streams.wake_all(shutdown) => match never {},
                never = streams.reset_stuck(limits.stuck_timeout) => match never {},
            }
        }
    };
    if let Some(Err(error)) = served {
        log_rejected(connection.peer(), &error);
    }
    // The permit is freed after all streams have ended.
    drop((serving, streams));
    drop(permit);
}

fn settings(limits: &Limits, executor: ConnectionExecutor) -> http2::Builder<ConnectionExecutor> {
    let mut http = http2::Builder::new(executor);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        // A client may open and reset all streams before hyper accepts them, as a browser with many
        // tabs does.
        .max_pending_accept_reset_streams(limits.max_streams as usize)
        .max_header_list_size(u32::try_from(limits.least_head()).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    http
}
