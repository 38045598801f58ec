//! The screen: a request in, a response out. The twin of the Node callback.

use std::sync::{Arc, atomic::AtomicU64};

use hyper::Request;

use crate::answers::{self, Answer};
use crate::end::Counted;
use crate::events::{Blocks, Source};
use crate::query;
use crate::shape::Shaped;
use crate::streams::{Listened, Streams};

/// The body of a stream; dropping it is Node's `clearInterval`.
pub type Events = Shaped<Listened<Counted<Blocks>>>;

/// What all requests share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Who is listening.
    pub streams: Arc<Streams>,
    greetings: Arc<AtomicU64>,
}

/// Answers `request`, as the callback of Node's `http.createServer` does.
pub fn respond<B>(request: &Request<B>, shared: &Shared) -> Answer<Events> {
    let greetings = || Source::Greetings(shared.greetings.clone());
    match (request.uri().path(), request.method().as_str()) {
        ("/", "GET" | "HEAD") => answers::page(request.headers()),
        ("/events", "GET" | "HEAD") => stream(request, shared, Source::Clock),
        ("/stream", "GET" | "HEAD") => stream(request, shared, greetings()),
        ("/stats", "GET" | "HEAD") => stats(request, shared),
        ("/" | "/events" | "/stream" | "/stats", "OPTIONS") => answers::options(request.headers()),
        ("/" | "/events" | "/stream" | "/stats", _) => answers::method_not_allowed(),
        _ => answers::not_found(),
    }
}

/// Node: `res.writeHead(200, ...); setInterval(() => res.write(...), 1000)`.
fn stream<B>(request: &Request<B>, shared: &Shared, source: Source) -> Answer<Events> {
    let options = match query::options(request) {
        Ok(options) => options,
        Err(bad) => return answers::bad_request(&bad),
    };
    let seat = shared
        .streams
        .seat(request.extensions().get().cloned(), &options);
    let blocks = source.blocks(&options);
    let blocks = seat.listen(options.faults.end.after(options.count, blocks));
    let body = options.faults.shape.body(blocks);
    options.faults.head.leave_on(answers::event_stream(body))
}

/// What the server saw, of all streams or of those of a key.
fn stats<B>(request: &Request<B>, shared: &Shared) -> Answer<Events> {
    match query::key(request) {
        Ok(key) => answers::stats(&shared.streams.stats(key.as_deref())),
        Err(bad) => answers::bad_request(&bad),
    }
}
