//! The response that a query string asks for in place of the stream's, and changes of its head.

use std::future::Future;

use bytes::Bytes;
use http_body_util::Either;
use hyper::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use tokio::time::sleep;

use super::cors::allow_credentials;
use super::{HttpResponse, SmallFrames, line_of};
use crate::options::{StreamRequest, WITHOUT_BODY};
use crate::scenario::Plan;
use longhaul::DropConnection;

/// Returns the response of `plan`, which is `stream` unless a fault was requested, after the delay.
///
/// A function and not an `async fn`, so that nothing but the response is kept during the delay.
pub fn with_faults<S>(
    plan: Plan,
    request: StreamRequest,
    stream: Response<S>,
) -> impl Future<Output = HttpResponse<S>> {
    let faults = request.options.head;
    let mut response = match plan {
        Plan::Stream => stream.map(Either::Right),
        Plan::Status(status, body) => with_status(status, body, stream).map(Either::Left),
        Plan::Redirect(status, location) => redirect(status, location).map(Either::Left),
        Plan::Drop => {
            let mut response = Response::new(Either::Left(SmallFrames::default()));
            response.extensions_mut().insert(DropConnection);
            response
        }
    };
    if !response.headers().contains_key(LOCATION) {
        for (name, value) in faults.headers {
            match value {
                Some(value) => response.headers_mut().insert(name, value),
                None => response.headers_mut().remove(name),
            };
        }
        guard_bytes(response.headers_mut());
    }
    allow_credentials(request.origin, response.headers_mut());
    async move {
        if !faults.delay.is_zero() {
            Box::pin(sleep(faults.delay)).await;
        }
        response
    }
}

/// Keeps bytes that someone else put into the URL from running as a page or a script of this origin, and from
/// loading anything. No browser runs an event stream.
fn guard_bytes(head: &mut HeaderMap) {
    let media_type = head.get(CONTENT_TYPE);
    if media_type.is_none_or(|it| it != "text/event-stream") {
        let policy = HeaderValue::from_static("sandbox; default-src 'none'");
        head.insert(CONTENT_SECURITY_POLICY, policy);
        head.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

/// Returns the head of `stream` with another status, and `body` or a line that names the status.
fn with_status<S>(
    status: StatusCode,
    body: Option<Bytes>,
    mut stream: Response<S>,
) -> Response<SmallFrames> {
    *stream.status_mut() = status;
    let head = stream.headers_mut();
    let body = match body {
        Some(body) => {
            head.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            // hyper leaves out a length of zero for HEAD and over HTTP/2.
            head.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            body.into()
        }
        None if WITHOUT_BODY.contains(&status) => SmallFrames::default(),
        None => format!("{status}\n").into(),
    };
    stream.map(|_| body)
}

fn redirect(status: StatusCode, location: HeaderValue) -> Response<SmallFrames> {
    let mut response = line_of(status, format!("{status}\n"));
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(LOCATION, location);
    response
}
