//! HTTP/1.1: one answer at a time on a connection, which is a single task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::content::Content;
use super::gate::{log_refused, pass};
use super::handler::Handler;
use super::limits::Limits;
use super::line::Line;
use super::places::Place;

/// What hyper is told of `limits`.
pub(super) fn settings(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.least_head())
        .title_case_headers(true)
        // An event is one contiguous write, cheaper than three slices of it.
        .writev(false);
    http
}

/// Serves one connection to its end, or to the server's.
///
/// A block and not an `async fn`, which would keep its arguments twice in every task.
pub(super) fn attend<I, H: Handler>(
    place: Place,
    io: I,
    http: &http1::Builder,
    handler: H,
    line: Arc<Line>,
) -> impl Future<Output = ()> + use<I, H>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let whose = Arc::clone(&line);
    let service = service_fn(move |request: Request<Incoming>| {
        let request = request.map(Content::new);
        whose.begin(request.body().unread());
        Box::pin(pass(request, handler.clone(), Arc::clone(&whose)))
    });
    let mut serving = http.serve_connection(TokioIo::new(io), service);
    async move {
        let peer = line.connection.peer();
        let log = |served: Result<(), _>| served.unwrap_or_else(|error| log_refused(peer, &error));
        let shutdown = line.connection.shutdown();
        let begun = tokio::select! {
            biased;
            // First, so that hyper keeps no connection for another request once answers end.
            () = shutdown.begun.wait() => true,
            served = &mut serving => {
                log(served);
                false
            }
        };
        if begun && line.is_answering() {
            Pin::new(&mut serving).graceful_shutdown();
            tokio::select! {
                biased;
                served = &mut serving => log(served),
                () = shutdown.over.wait() => place.give_up(),
            }
        }
        // The place is free, and the server over, once the connection is closed.
        drop(serving);
        drop(place);
    }
}
