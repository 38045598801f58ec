//! HTTP/1.1: one response at a time on a connection, which is a single task.

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
use super::handler::Handler;
use super::limits::Limits;
use super::permits::Permit;
use super::state::ConnectionState;
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
pub(super) fn serve<I, H: Handler>(
    permit: Permit,
    io: I,
    http: &http1::Builder,
    handler: H,
    state: Arc<ConnectionState>,
) -> impl Future<Output = ()> + use<I, H>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = Arc::clone(&state);
    let service = service_fn(move |request: Request<Incoming>| {
        let request = request.map(Content::new);
        exchange.begin(request.body().unread());
        Box::pin(dispatch(request, handler.clone(), Arc::clone(&exchange)))
    });
    let mut serving = http.serve_connection(TokioIo::new(io), service);
    async move {
        let peer = state.connection.peer();
        let log = |served: Result<(), _>| served.unwrap_or_else(|error| log_rejected(peer, &error));
        let shutdown = state.connection.shutdown();
        let begun = tokio::select! {
            biased;
            // Polled first, because otherwise hyper would keep a connection alive after its
            // response.
            () = shutdown.begun.wait() => true,
            served = &mut serving => {
                log(served);
                false
            }
        };
        if begun && state.is_responding() {
            Pin::new(&mut serving).graceful_shutdown();
            tokio::select! {
                biased;
                served = &mut serving => log(served),
                () = shutdown.over.wait() => permit.give_up(),
            }
        }
        // Close the connection before the permit is free, because the shutdown waits for permits.
        drop(serving);
        drop(permit);
    }
}
