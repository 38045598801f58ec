//! What a stream does wrong on purpose: its head here, its end and its shape next door.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use tokio::time::sleep;

use crate::end::End;
use crate::shape::Shape;

/// What is wrong with a stream, from its head to its end; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The head.
    pub head: Head,
    /// The bytes.
    pub shape: Shape,
    /// The end.
    pub end: End,
}

/// What is wrong with the head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The wait before it is sent.
    pub delay: Duration,
    /// The status of an answer that is no stream.
    pub status: Option<StatusCode>,
    /// The `Content-Type` in place of `text/event-stream`.
    pub media_type: Option<HeaderValue>,
}

impl Head {
    /// Leaves word for [`answer`], if anything is wrong.
    #[must_use]
    pub fn leave_on<B>(self, mut response: Response<B>) -> Response<B> {
        if self != Self::default() {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// Does to the head of `response` what the handler left word of.
pub async fn answer<B>(mut response: Response<B>) -> Response<Either<Full<Bytes>, B>> {
    let Some(head) = response.extensions_mut().remove::<Head>() else {
        return response.map(Either::Right);
    };
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
    response.map(|_| Either::Left(Full::from(line)))
}
