//! HTTP/2: many responses at a time on a connection, all in the task of the connection.
//!
//! hyper closes no idle connection, resets no stream that the client does not read, and wakes no
//! body at shutdown. These modules do all three.

mod body;
mod corked;
mod coalesced;
mod stream;
mod streams;
mod ready_queue;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::handler::Handler;
use super::limits::Limits;
use super::permits::Permit;
use super::state::ConnectionState;
use super::validate::log_rejected;
use body::respond;
use corked::Corked;
use streams::{ConnectionExecutor, Streams, StreamsGuard};

/// The flow-control window of a connection and of each stream.
///
/// This is the smallest window that is sure to work. The content that clients send is short.
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
    state: Arc<ConnectionState>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    state.set_shared();
    let streams = Streams::of(state.connection.clone());
    let connected = StreamsGuard(Arc::clone(&streams));
    let begun = Arc::clone(&streams);
    let service = service_fn(move |request| {
        // Boxed, because otherwise each stream would keep memory for its request and response. The
        // response is boxed at the first poll, so that hundreds of streams share that memory.
        let (request, handler, stream) = (Box::new(request), handler.clone(), begun.begin());
        async move { Box::pin(respond(*request, handler, stream)).await }
    });
    let http = settings(&limits, ConnectionExecutor(Arc::clone(&streams)));
    let queue = Arc::clone(&streams.queue);
    let io = TokioIo::new(Corked { io, queue });
    let mut serving = Box::pin(http.serve_connection(io, service));
    let shutdown = streams.shutdown();
    let peer = state.connection.peer();
    let log = |served: Result<(), _>| served.unwrap_or_else(|error| log_rejected(peer, &error));
    let says_farewell = tokio::select! {
        biased;
        served = poll_fn(|cx| streams.poll(&mut serving, cx)) => {
            log(served);
            false
        }
        () = shutdown.begun.wait() => streams.are_open(),
        () = streams.idle(deadline, limits.head_timeout) => true,
        never = streams.reset_stuck(limits.stuck_timeout) => match never {},
    };
    if says_farewell {
        serving.as_mut().graceful_shutdown();
        let left = async {
            streams.none().await;
            sleep(FAREWELL).await;
            // A request may have crossed the GOAWAY frame.
            streams.none().await;
        };
        tokio::select! {
            biased;
            served = poll_fn(|cx| streams.poll(&mut serving, cx)) => log(served),
            () = left => {}
            () = shutdown.over.wait() => {
                if streams.are_open() {
                    permit.give_up();
                }
            }
            never = streams.reset_stuck(limits.stuck_timeout) => match never {},
        }
    }
    drop(serving);
    // The permit is freed after all streams have ended.
    drop(connected);
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
