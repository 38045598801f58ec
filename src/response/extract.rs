//! Reads a request for a stream: its method, its options and its content.

use std::pin::pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Buf};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::Rejection;
use super::cors::{allow, allow_credentials, credentials};
use super::echo::{self, Echo};
use crate::options::{Options, StreamRequest, location};

/// The most bytes of content that are taken.
pub(super) const MAX_CONTENT: usize = 1 << 20;

/// How long content may take.
pub(super) const TIME: Duration = Duration::from_secs(10);

/// The destinations (Fetch section 2.2.5) of requests for code, styles and embedded documents. The
/// URL of a stream can contain the code of an attacker, which would control the whole origin as a
/// service worker.
const AS_CODE: &str = "audioworklet embed object paintworklet script serviceworker sharedworker \
    style worker xslt";

/// Reads and validates a request for a stream.
///
/// # Errors
///
/// The response to a request that gets no stream: to a preflight, and to one that is not allowed.
pub async fn extract<B: Body>(request: Request<B>) -> Result<StreamRequest, Rejection> {
    let origin = credentials(&request);
    match read_request(request).await {
        Ok(request) => Ok(StreamRequest { origin, ..request }),
        Err(Rejection(mut response)) => {
            allow_credentials(origin, response.headers_mut());
            Err(Rejection(response))
        }
    }
}

async fn read_request<B: Body>(request: Request<B>) -> Result<StreamRequest, Rejection> {
    let (head, content) = request.into_parts();
    let request = Request::from_parts(head, ());
    reject_code(&request)?;
    allow(&request, &[Method::GET, Method::HEAD, Method::POST])?;
    let options = Options::of(&request)?;
    let echo = options.script.echo.then(|| Echo::of(&request));
    let mut known = StreamRequest {
        is_head: request.method() == Method::HEAD,
        location: options.head.redirect.map(|_| location(&request)),
        options,
        ..StreamRequest::default()
    };
    known.read_ids(request.headers());
    // Frees the rest of the request head, which would stay in memory during content or a delay.
    known.extensions = request.into_parts().0.extensions;
    // One byte more than fits, so that a cut is noticed.
    let shown = echo.as_ref().map_or(0, |_| echo::MAX_ECHO + 1);
    let content = read(content, shown, Instant::now() + TIME).await?;
    known.echo = echo.map(|echo| echo.with(&content));
    Ok(known)
}

/// Refuses a request for code. Old browsers name no destination, but all name a service worker.
fn reject_code(request: &Request<()>) -> Result<(), Rejection> {
    let has = |name, values: &str| {
        let mut given = request.headers().get_all(name).iter();
        given.any(|value| values.split(' ').any(|known| value == known))
    };
    if has("sec-fetch-dest", AS_CODE) || has("service-worker", "script") {
        let line = "a stream is no script, worker, style sheet or embedded object\n";
        return Err(Rejection::new(StatusCode::FORBIDDEN, line));
    }
    Ok(())
}

/// Reads `content` to its end, by `end`, and returns the first `kept` bytes.
pub(super) async fn read<B: Body>(
    content: B,
    kept: usize,
    end: Instant,
) -> Result<Vec<u8>, Rejection> {
    if content.is_end_stream() {
        return Ok(Vec::new());
    }
    let too_large = || {
        let why = format!("at most {MAX_CONTENT} bytes are taken");
        (StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let mut content = pin!(content);
    let reading = async {
        // Before the first read, so that the client gets no 100 (Continue).
        let known = usize::try_from(content.size_hint().lower()).unwrap_or(usize::MAX);
        if known > MAX_CONTENT {
            return Err(too_large());
        }
        let (mut first, mut length) = (Vec::with_capacity(kept.min(known)), 0);
        while let Some(frame) = content.frame().await {
            let malformed = |_| (StatusCode::BAD_REQUEST, "it is malformed".to_owned());
            let Ok(mut data) = frame.map_err(malformed)?.into_data() else {
                continue;
            };
            length += data.remaining();
            if length > MAX_CONTENT {
                return Err(too_large());
            }
            let room = kept.saturating_sub(first.len());
            first.extend_from_slice(&data.copy_to_bytes(room.min(data.remaining())));
        }
        Ok(first)
    };
    let read = timeout_at(end, reading).await.unwrap_or_else(|_| {
        let why = format!("it may take {} seconds", TIME.as_secs());
        Err((StatusCode::REQUEST_TIMEOUT, why))
    });
    read.map_err(|(status, why)| {
        let Rejection(mut response) = Rejection::new(status, format!("content: {why}\n"));
        // Some content may be left unread.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        Rejection(response)
    })
}
