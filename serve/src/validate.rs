//! Validation before every route: rejects requests that no handler should see, and corrects
//! responses that do not fit the connection.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::iter::successors;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Body;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::connection::{Connection, DropConnection};
use super::content::Content;
use super::handler::Handler;
use super::shutdown::{Underway, UntilShutdown};

/// Validates `request` and passes it to the handler, or returns a rejection.
///
/// Fails when the handler or the shutdown wants no response to be sent.
pub(super) async fn dispatch<H: Handler>(
    mut request: Request<Content>,
    handler: H,
    connection: Connection,
) -> Result<Response<UntilShutdown<Either<Full<Bytes>, H::Body>>>, Dropped> {
    let underway = Underway::new(connection.clone());
    let version = request.version();
    let body = |body| UntilShutdown::new(body, underway);
    if let Some(rejection) = validate_head(&request) {
        return Ok(rejection.map(Either::Left).map(body));
    }
    let has_content = !request.body().is_end_stream();
    let is_connect = request.method() == Method::CONNECT;
    let stays = version == Version::HTTP_11 && !wants_close(request.headers());
    request.extensions_mut().insert(connection.clone());
    let mut response = tokio::select! {
        biased;
        response = handler(request) => response,
        () = connection.shutdown().begun.wait() => {
            if version != Version::HTTP_2 {
                // The end of the response before; `ServerIo` wakes the task.
                poll_fn(|_| connection.poll_unblocked()).await;
            }
            return Err(Dropped);
        }
    };
    if response.extensions().get::<DropConnection>().is_some() {
        return Err(Dropped);
    }
    let status = response.status();
    if is_connect && status.is_success() {
        // A success would begin a tunnel (RFC 9110 section 9.3.6), and the server has no tunnels.
        let rejection = rejection(StatusCode::NOT_IMPLEMENTED, "no tunnel begins here\n");
        return Ok(rejection.map(Either::Left).map(body));
    }
    if has_content && (status.is_client_error() || status.is_server_error()) {
        // The rest of the content must not be read as a request.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if !stays {
        // hyper sends `close` itself, and would send `close` next to the handler's `keep-alive`.
        response.headers_mut().remove(CONNECTION);
        // hyper would also offer an HTTP/1.0 client `keep-alive`, before a stream that the close
        // ends.
        *response.version_mut() = version;
    }
    Ok(response.map(Either::Right).map(body))
}

/// No response, or no more of a response, is to be sent.
#[derive(Debug)]
pub(super) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is dropped")
    }
}

impl Error for Dropped {}

/// Logs why hyper has closed a connection by itself, before any handler saw the request.
pub(super) fn log_rejected(peer: SocketAddr, error: &hyper::Error) {
    let mut reasons = error.to_string();
    for reason in successors(error.source(), |&reason| reason.source()) {
        if reason.is::<io::Error>() {
            // The client is gone.
            return;
        }
        reasons = format!("{reasons}: {reason}");
    }
    if !(error.is_user() || error.is_incomplete_message() || error.is_canceled()) {
        tracing::debug!(%peer, "no valid request: {reasons}");
    }
}

fn wants_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// Returns whether the content has a transfer coding except chunked (RFC 9112 section 6.1).
fn has_other_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(|coding| !is_chunked(coding)) || codings.next().is_some()
}

/// Returns whether the request names exactly one host (RFC 9112 section 3.2).
///
/// Over HTTP/2, `:authority` has to name the same host (RFC 9113 section 8.3.1).
fn has_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let authority = request.uri().authority();
    let authority = authority.filter(|_| request.version() == Version::HTTP_2);
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    authority.is_none_or(|it| host.to_str().is_ok_and(|host| it == host))
}

#[cfg(feature = "tls")]
/// Repeats `:authority` as `Host`, the first of the headers, as in HTTP/1.1.
pub(super) fn name_host<B>(request: &mut Request<B>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let Some(host) = host {
        let headers = request.headers_mut();
        let others = std::mem::replace(headers, HeaderMap::from_iter([(HOST, host)]));
        headers.extend(others);
    }
}

/// Returns a rejection for a malformed request (RFC 9112 section 3.2) or for unexpected content.
fn validate_head<B: Body>(request: &Request<B>) -> Option<Response<Full<Bytes>>> {
    if request.version() != Version::HTTP_10 && !has_one_host(request) {
        let reason = "a request needs exactly one Host\n";
        Some(rejection(StatusCode::BAD_REQUEST, reason))
    } else if !request.body().is_end_stream() && request.method() != Method::POST {
        let reason = "only POST may have content\n";
        Some(rejection(StatusCode::PAYLOAD_TOO_LARGE, reason))
    } else if has_other_coding(request.headers()) {
        let reason = "content may be coded in chunks only\n";
        Some(rejection(StatusCode::NOT_IMPLEMENTED, reason))
    } else {
        None
    }
}

/// Returns a text response, after which the server closes the connection.
pub(super) fn rejection(
    status: StatusCode,
    reason: impl Into<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(reason.into())
        .expect("the headers are valid")
}
