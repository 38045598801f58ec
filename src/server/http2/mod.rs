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
use super::places::Place;
use crate::connection::Connection;
use body::answer;
use calm::Calm;
use streams::{Spawn, Streams};

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
    connection: Connection,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let streams = Streams::of(connection);
    let service = service_fn(move |request| {
        let handler = handler.clone();
        // Boxed when its task comes to it: no stream keeps the room, and hundreds share it.
        async move { Box::pin(answer(request, handler)).await }
    });
    let http = settings(&limits, Spawn(Arc::clone(&streams)));
    let turn = Arc::clone(&streams.turn);
    let io = TokioIo::new(Calm { io, turn });
    let mut serving = Box::pin(http.serve_connection(io, service));
    let shutdown = streams.shutdown();
    let ends = async {
        tokio::select! {
            () = shutdown.begun.wait() => streams.none().await,
            () = streams.idle(deadline, limits.head_timeout) => {}
        }
    };
    let goes_on = tokio::select! {
        biased;
        _ = poll_fn(|cx| streams.turn.poll(&mut serving, cx)) => false,
        () = shutdown.over.wait() => {
            place.give_up();
            false
        }
        () = ends => true,
        never = streams.attend(limits.stuck_timeout) => match never {},
    };
    if goes_on {
        // Who answers the ping of this has read all that was sent before.
        serving.as_mut().graceful_shutdown();
        let left = async {
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
    // Its streams end with the connection, and then its place is free.
    drop(serving);
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
