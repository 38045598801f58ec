//! What a request asks of a stream: its method, its options and its content, or a refusal.

use std::pin::pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Buf};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use super::Refusal;
use super::credentials::{allow_credentials, credentials};
use super::echo::{self, Echo};
use super::methods::allow;
use super::text::{line_of, refuse_and_close};
use crate::options::{LAST_EVENT_ID, Options};

/// The most bytes of content that are taken.
const MOST: u64 = 1 << 20;

/// How long content may take.
const TIME: Duration = Duration::from_secs(10);

/// The destinations (Fetch section 2.2.5) of what runs, styles or is embedded in the page that
/// asks. A stream can hold a stranger's bytes: as a service worker they would rule the whole origin.
const AS_CODE: [&str; 10] = [
    "audioworklet",
    "embed",
    "object",
    "paintworklet",
    "script",
    "serviceworker",
    "sharedworker",
    "style",
    "worker",
    "xslt",
];

/// What `request` asks of a stream, once its content was read to its end, and what is asked of
/// itself later on: its method, its `Last-Event-ID` and its extensions.
///
/// # Errors
///
/// The answer to a request that gets no stream: to a preflight, and to one that is not allowed.
pub async fn asked<B: Body>(request: Request<B>) -> Result<(Request<()>, Options), Refusal> {
    let origin = credentials(&request);
    let asked = ask(request, origin.clone()).await;
    asked.map_err(|Refusal(mut refusal)| {
        allow_credentials(origin, refusal.headers_mut());
        Refusal(refusal)
    })
}

async fn ask<B: Body>(
    request: Request<B>,
    origin: Option<HeaderValue>,
) -> Result<(Request<()>, Options), Refusal> {
    let (head, content) = request.into_parts();
    let request = Request::from_parts(head, ());
    refuse_code(&request)?;
    allow(&request, &[Method::GET, Method::HEAD, Method::POST])?;
    let mut options = Options::of(&request)?;
    options.head.credentials = origin;
    let echo = options.echo.then(|| Echo::of(&request));
    let request = copied(request);
    let content = read(content, options.echo).await?;
    options.request = echo.map(|echo| echo.with(&content));
    Ok((request, options))
}

/// Refuses a request for code. Old browsers name no destination, but all name a service worker.
fn refuse_code(request: &Request<()>) -> Result<(), Refusal> {
    let has = |name, values: &[&str]| {
        let mut given = request.headers().get_all(name).iter();
        given.any(|value| values.iter().any(|known| value == known))
    };
    if has("sec-fetch-dest", &AS_CODE) || has("service-worker", &["script"]) {
        let line = "a stream is no script, worker, style sheet or embedded object\n";
        return Err(line_of(StatusCode::FORBIDDEN, line).into());
    }
    Ok(())
}

/// `request` in memory of its own: its head lies in a buffer of its connection, which content or a
/// delay would keep there.
fn copied(request: Request<()>) -> Request<()> {
    let mut copy = Request::new(());
    copy.method_mut().clone_from(request.method());
    for id in request.headers().get_all(LAST_EVENT_ID) {
        let id = HeaderValue::from_bytes(id.as_bytes()).expect("it was one before");
        copy.headers_mut().append(LAST_EVENT_ID, id);
    }
    *copy.extensions_mut() = request.into_parts().0.extensions;
    copy
}

/// Reads `content` to its end and returns what an echo shows of it, if it `is_shown`.
async fn read<B: Body>(content: B, is_shown: bool) -> Result<Vec<u8>, Refusal> {
    if content.is_end_stream() {
        return Ok(Vec::new());
    }
    let too_large = || {
        let line = format!("content: at most {MOST} bytes are taken\n");
        refuse_and_close(StatusCode::PAYLOAD_TOO_LARGE, line)
    };
    // Before the first byte is asked for, so that the client is not told to continue.
    if content.size_hint().lower() > MOST {
        return Err(too_large());
    }
    let mut content = pin!(content);
    let reading = async {
        let (mut shown, mut length) = (Vec::new(), 0);
        while let Some(frame) = content.frame().await {
            let Ok(frame) = frame else {
                let line = "content: it is malformed\n";
                return Err(refuse_and_close(StatusCode::BAD_REQUEST, line));
            };
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            length += data.remaining() as u64;
            if length > MOST {
                return Err(too_large());
            }
            if is_shown {
                // One byte more than fits, so that what is cut can be told.
                let room = (echo::MOST + 1).saturating_sub(shown.len());
                let some = data.copy_to_bytes(room.min(data.remaining()));
                shown.extend_from_slice(&some);
            }
        }
        Ok(shown)
    };
    let late = || {
        let line = format!("content: it may take {} seconds\n", TIME.as_secs());
        refuse_and_close(StatusCode::REQUEST_TIMEOUT, line)
    };
    timeout(TIME, reading).await.unwrap_or_else(|_| Err(late()))
}
