//! HTTP/1.1: one response at a time on a connection, which is a single task.

use std::future::Future;
use std::pin::Pin;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::content::Content;
use super::handler::Handler;
use super::limits::Limits;
use super::permits::Permit;
use super::validate::{dispatch, log_rejected};

/// Returns hyper's settings for `limits`.
pub(super) fn settings(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.least_head())
        .title_case_headers(true)
        // One contiguous write of an event is cheaper than a write of three slices.
        .writev(false);
    http
}

/// Serves one connection until the connection closes or the shutdown drops it.
///
/// The function returns a block because an `async fn` would keep its arguments twice in every task.
pub(super) fn serve<I: AsyncRead + AsyncWrite + Unpin, H: Handler>(
    permit: Permit,
    io: I,
    http: &http1::Builder,
    handler: H,
    connection: Connection,
) -> impl Future<Output = ()> + use<I, H> {
    let requested = connection.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let request = request.map(Content::new);
        requested.set_content(request.body().unread());
        Box::pin(dispatch(request, handler.clone(), requested.clone()))
    });
    let mut serving = http.serve_connection(TokioIo::new(io), service);
    async move {
        let shutdown = connection.shutdown();
        // The shutdown is looked at first: hyper would keep a connection alive after its response.
        let mut served = shutdown.unless_begun(&mut serving).await;
        if served.is_none() && (connection.is_responding() || connection.is_blocked()) {
            Pin::new(&mut serving).graceful_shutdown();
            served = tokio::select! {
                biased;
                served = &mut serving => Some(served),
                () = shutdown.over.wait() => None,
            };
        }
        if let Some(Err(error)) = served {
            log_rejected(connection.peer(), &error);
        }
        // Close the connection before the permit is free, because the shutdown waits for permits.
        drop(serving);
        drop(permit);
    }
}
