//! HTTP/2: many answers at a time on a connection, all in its task.
//!
//! hyper ends neither a connection that nobody uses nor a stream that nobody reads, and at the
//! server's end it wakes no body: these rooms do.

mod body;
mod calm;
mod joined;
mod stream;
mod streams;
mod turn;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::gate::log_refused;
use super::handler::Handler;
use super::limits::Limits;
use super::line::Line;
use super::places::Place;
use body::answer;
use calm::Calm;
use streams::{Connected, Keep, Streams};

/// The window of a connection and of each of its streams, the least that is sure to work: what
/// clients send here is short.
const WINDOW: u32 = 65_535;

/// How long a client may take to say that it has seen the end of its connection.
const FAREWELL: Duration = Duration::from_millis(500);

/// Serves one connection to its end, or to the server's; its first request has to come before
/// `deadline`.
pub(super) async fn attend<I, H: Handler>(
    place: Place,
    io: I,
    limits: Limits,
    deadline: Instant,
    handler: H,
    line: Arc<Line>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    line.set_shared();
    let streams = Streams::of(line.connection.clone());
    let connected = Connected(Arc::clone(&streams));
    let begun = Arc::clone(&streams);
    let service = service_fn(move |request| {
        // Boxed: else each stream would keep the room of its request and of its answer. The answer
        // is boxed when its turn comes, so that hundreds share that room.
        let (request, handler, stream) = (Box::new(request), handler.clone(), begun.begin());
        async move { Box::pin(answer(*request, handler, stream)).await }
    });
    let http = settings(&limits, Keep(Arc::clone(&streams)));
    let turn = Arc::clone(&streams.turn);
    let io = TokioIo::new(Calm { io, turn });
    let mut serving = Box::pin(http.serve_connection(io, service));
    let shutdown = streams.shutdown();
    let peer = line.connection.peer();
    let log = |served: Result<(), _>| served.unwrap_or_else(|error| log_refused(peer, &error));
    let says_farewell = tokio::select! {
        biased;
        served = poll_fn(|cx| streams.poll(&mut serving, cx)) => {
            log(served);
            false
        }
        () = shutdown.begun.wait() => streams.are_open(),
        () = streams.idle(deadline, limits.head_timeout) => true,
        never = streams.attend(limits.stuck_timeout) => match never {},
    };
    if says_farewell {
        serving.as_mut().graceful_shutdown();
        let left = async {
            streams.none().await;
            sleep(FAREWELL).await;
            // A request may have crossed it.
            streams.none().await;
        };
        tokio::select! {
            biased;
            served = poll_fn(|cx| streams.poll(&mut serving, cx)) => log(served),
            () = left => {}
            () = shutdown.over.wait() => {
                if streams.are_open() {
                    place.give_up();
                }
            }
            never = streams.attend(limits.stuck_timeout) => match never {},
        }
    }
    drop(serving);
    // Its place is free when all streams have ended.
    drop(connected);
    drop(place);
}

fn settings(limits: &Limits, keep: Keep) -> http2::Builder<Keep> {
    let mut http = http2::Builder::new(keep);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        // A client may open and close all of them before they are looked at, as many tabs do.
        .max_pending_accept_reset_streams(limits.max_streams as usize)
        .max_header_list_size(u32::try_from(limits.least_head()).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    http
}
