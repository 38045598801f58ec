//! The screen: a request in, a response out. The twin of the Node callback.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::{Method, Request};
use jiff::Timestamp;
use tokio_stream::{Stream, StreamExt};

use crate::answers::{self, Answer};
use crate::clock::{self, Ticks};
use crate::{sse, streams, wall};

const INTERVAL: Duration = Duration::from_secs(1);

/// What all requests share: the number of the next greeting.
#[derive(Debug, Default)]
pub struct Shared(AtomicU64);

/// The frames of a stream; dropping them is Node's `clearInterval`.
pub type Frames =
    Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>> + Send>>;

/// Answers `request`, as the callback of Node's `http.createServer` does.
pub fn respond<B>(request: &Request<B>, shared: &Arc<Shared>) -> Answer<StreamBody<Frames>> {
    match (request.uri().path(), request.method()) {
        ("/", &Method::GET | &Method::HEAD) => answers::page(request.headers()),
        ("/events", &Method::GET | &Method::HEAD) => {
            stream(request, clock::every(INTERVAL), || {
                wall::time_event(Timestamp::now())
            })
        }
        ("/stream", &Method::GET | &Method::HEAD) => {
            let shared = Arc::clone(shared);
            stream(request, clock::every(INTERVAL).at_once(), move || {
                let number = shared.0.fetch_add(1, Relaxed);
                sse::event(&format!("hello from server sent events ---- [{number}]"))
            })
        }
        ("/" | "/events" | "/stream", &Method::OPTIONS) => answers::options(request.headers()),
        ("/" | "/events" | "/stream", _) => answers::method_not_allowed(),
        _ => answers::not_found(),
    }
}

/// Node: `setInterval(() => res.write(...), 1000)`.
fn stream<B>(
    request: &Request<B>,
    ticks: Ticks,
    mut event: impl FnMut() -> Bytes + Send + 'static,
) -> Answer<StreamBody<Frames>> {
    let events = ticks.map(move |()| event());
    let events = streams::listen(events, request.extensions().get().cloned());
    let frames = events.map(|event| Ok(Frame::data(event)));
    answers::event_stream(StreamBody::new(Box::pin(frames)))
}
