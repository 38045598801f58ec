//! The head of an answer: right, or wrong on purpose.

use http_body_util::Either;
use hyper::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use tokio::time::sleep;

use super::Answer;
use crate::options::Head;

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

/// `response` with the head that was asked for, when its delay is over.
pub async fn with_faults<S>(head: Head, mut response: Response<S>) -> Answer<S> {
    if !head.delay.is_zero() {
        Box::pin(sleep(head.delay)).await;
    }
    if let Some(media_type) = head.media_type {
        // What a stranger has put into `data` must not run as a page of this origin.
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, media_type);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    }
    let Some(status) = head.status else {
        return response.map(Either::Right);
    };
    *response.status_mut() = status;
    let line = match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
            String::new()
        }
        _ => format!("{status}\n"),
    };
    response.map(|_| Either::Left(line.into()))
}
