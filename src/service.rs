//! The screen: a request in, a response out. The twin of the Node callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{Method, Request};
use tokio_stream::StreamExt;

use crate::answers::{self, Answer};
use crate::clock::{self, Ticks};
use crate::events::{self, Datum};
use crate::faults::Cut;
use crate::options::Options;
use crate::streams::Streams;
use crate::{query, wall};

/// What all requests share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Who is listening.
    pub streams: Arc<Streams>,
    greetings: AtomicU64,
}

/// The body of a stream; dropping it is Node's `clearInterval`.
pub type Events = UnsyncBoxBody<Bytes, Cut>;

/// Answers `request`, as the callback of Node's `http.createServer` does.
pub fn respond<B>(request: &Request<B>, shared: &Arc<Shared>) -> Answer<Events> {
    match (request.uri().path(), request.method()) {
        ("/", &Method::GET | &Method::HEAD) => answers::page(request.headers()),
        ("/events", &Method::GET | &Method::HEAD) => {
            let grid = |ticks: Ticks, options: &Options| {
                let last = options.last_event_id.as_deref().and_then(clock::tick);
                if options.look.ids {
                    ticks.on_a_grid(last)
                } else {
                    ticks
                }
            };
            stream(request, shared, grid, Datum::Time)
        }
        ("/stream", &Method::GET | &Method::HEAD) => {
            let counter = Arc::clone(shared);
            let greeting = move |_| Datum::Greeting(counter.greetings.fetch_add(1, Relaxed));
            stream(request, shared, |ticks, _| ticks.at_once(), greeting)
        }
        ("/stats", &Method::GET | &Method::HEAD) => match query::key(request) {
            Ok(key) => answers::stats(&shared.streams.stats(key.as_deref())),
            Err(bad) => answers::bad_request(&bad),
        },
        ("/" | "/events" | "/stream" | "/stats", &Method::OPTIONS) => {
            answers::options(request.headers())
        }
        ("/" | "/events" | "/stream" | "/stats", _) => answers::method_not_allowed(),
        _ => answers::not_found(),
    }
}

/// Node: `res.writeHead(200, ...); setInterval(() => res.write(...), 1000)`.
fn stream<B>(
    request: &Request<B>,
    shared: &Shared,
    pace: fn(Ticks, &Options) -> Ticks,
    datum: impl Fn(u64) -> Datum + Send + 'static,
) -> Answer<Events> {
    let options = match query::options(request) {
        Ok(options) => options,
        Err(bad) => return answers::bad_request(&bad),
    };
    let ticks = clock::every(options.interval, wall::now).signs_of_life(options.custom);
    let ticks = pace(ticks, &options);
    let mut look = options.custom.then(|| Box::new(options.look));
    let blocks = ticks.map(move |beat| events::block(beat, look.as_deref_mut(), &datum));
    let blocks = options.faults.end.after(options.count, blocks);
    let connection = request.extensions().get().cloned();
    let (key, last) = (options.key.as_deref(), options.last_event_id.as_deref());
    let blocks = shared.streams.listen(blocks, connection, key, last);
    let body = options.faults.shape.body(blocks).boxed_unsync();
    options.faults.head.leave_on(answers::event_stream(body))
}
