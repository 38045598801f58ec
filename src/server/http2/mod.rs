//! HTTP/2: many answers at a time on a connection, each in a task of its own.
//!
//! hyper ends neither a connection that nobody uses nor a stream that nobody reads, and at the
//! server's end it wakes no body: these rooms do.

mod body;

mod calm;

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

use super::handler::Handler;
use super::limits::Limits;
use super::line::Line;
use super::places::Place;
use body::answer;
use calm::Calm;
use streams::{Connected, Spawn, Streams};

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
    let service = service_fn(move |request| {
        // Boxed, for a stream keeps the room of either all its life; and its answer only when its
        // task comes to it, so that hundreds share that room.
        let (request, handler) = (Box::new(request), handler.clone());
        async move { Box::pin(answer(*request, handler)).await }
    });
    let http = settings(&limits, Spawn(Arc::clone(&streams)));
    let turn = Arc::clone(&streams.turn);
    let io = TokioIo::new(Calm { io, turn });
    let mut serving = Box::pin(http.serve_connection(io, service));
    let shutdown = streams.shutdown();
    let says_farewell = tokio::select! {
        biased;
        _ = poll_fn(|cx| streams.turn.poll(&mut serving, cx)) => false,
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
            _ = poll_fn(|cx| streams.turn.poll(&mut serving, cx)) => {}
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
    drop(connected);
    // Its place is free when all streams have ended.
    streams.none().await;
    drop(place);
}

fn settings(limits: &Limits, spawn: Spawn) -> http2::Builder<Spawn> {
    let mut http = http2::Builder::new(spawn);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.least_head()).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    http
}
