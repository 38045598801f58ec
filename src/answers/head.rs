//! The head of an answer: right, or wrong on purpose.

use std::future::Future;

use bytes::Bytes;
use http_body_util::Either;
use hyper::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use tokio::time::sleep;

use super::credentials::allow_credentials;
use super::{Answer, Whole};
use crate::options::{Head, is_without_body};

/// The headers of a list.
///
/// # Panics
///
/// When one of them is malformed, for they are the program's own.
pub fn headers<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let header = |(name, value): (&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("our names are tokens");
        let value = HeaderValue::from_str(value).expect("our values are visible ASCII");
        (name, value)
    };
    list.into_iter().map(header).collect()
}

/// Node: `res.writeHead(status, head)`, and the body with it.
#[must_use]
pub fn write_head<B>(status: StatusCode, head: &HeaderMap, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // hyper keeps the map as long as the connection lives, and a clone has no room to spare.
    response.headers_mut().clone_from(head);
    response
}

/// `response` with the `head` that was asked for, when its delay is over.
///
/// A function and not an `async fn`, so that nothing but the response is kept during the delay.
pub fn as_asked<S>(head: Head, response: Response<S>) -> impl Future<Output = Answer<S>> {
    let mut media_type = head.media_type;
    let mut answer = match (head.redirect, head.status) {
        (Some((status, location)), _) => redirect(status, location).map(Either::Left),
        (None, None | Some((StatusCode::OK, _))) => response.map(Either::Right),
        (None, Some((status, None))) => with_status(status, response).map(Either::Left),
        (None, Some((status, Some(body)))) => {
            media_type.get_or_insert(HeaderValue::from_static("text/plain"));
            with_body(status, body, response).map(Either::Left)
        }
    };
    if let Some(media_type) = media_type {
        let headers = answer.headers_mut();
        if media_type != "text/event-stream" {
            // What a stranger has put into `data` must not run as a page of this origin, nor have
            // a browser ask the other ports of its machine.
            let policy = HeaderValue::from_static("sandbox; default-src 'none'");
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(CONTENT_TYPE, media_type);
    }
    allow_credentials(head.credentials, answer.headers_mut());
    let delay = head.delay;
    async move {
        if !delay.is_zero() {
            Box::pin(sleep(delay)).await;
        }
        answer
    }
}

/// The head of `response` with another status, and the body that says so.
fn with_status<S>(status: StatusCode, mut response: Response<S>) -> Response<Whole> {
    *response.status_mut() = status;
    let line = if is_without_body(status) {
        String::new()
    } else {
        format!("{status}\n")
    };
    response.map(|_| line.into())
}

/// The head of `response` with another status, and `body`.
fn with_body<S>(status: StatusCode, body: Bytes, mut response: Response<S>) -> Response<Whole> {
    *response.status_mut() = status;
    // hyper leaves out a length of zero for HEAD and over HTTP/2.
    let length = HeaderValue::from(body.len());
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.map(|_| body.into())
}

fn redirect(status: StatusCode, location: HeaderValue) -> Response<Whole> {
    let mut head = headers([
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
    ]);
    head.insert(LOCATION, location);
    write_head(status, &head, format!("{status}\n").into())
}
