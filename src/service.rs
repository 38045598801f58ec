//! The screen: the callback of Node's example, step by step. Node writes to `res` when its timer
//! fires; here the body is returned, and hyper asks it for the next event when the socket has room.

use std::sync::{Arc, LazyLock, atomic::AtomicU64};

use hyper::{HeaderMap, Request, StatusCode, body::Body};

use crate::response::{self, HttpResponse, HttpResult, headers, write_head};
use crate::stream::interval::{Interval, Source, set_interval};
use crate::stream::time::{now, once_a_second, to_locale_time_string};
use crate::stream::{EventBody, event_body};
use crate::{scenario, stats::Streams};

/// What all requests share.
#[derive(Debug, Default)]
pub struct Shared {
    /// The streams and their statistics.
    pub streams: Arc<Streams>,
    greeted: Arc<AtomicU64>,
}

static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    headers([
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache"),
        ("Connection", "keep-alive"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "GET"),
        ("Access-Control-Allow-Headers", "Content-Type"),
        // Beyond Node's: nginx passes each event on at once.
        ("X-Accel-Buffering", "no"),
    ])
});

type Ticks = fn(u64, &Shared) -> Interval;

/// Responds to `req`, as the callback of Node's `createServer((req, res) => { … })` does: the whole
/// handler, for any hyper server.
pub async fn respond<B: Body>(req: Request<B>, shared: Arc<Shared>) -> HttpResponse<EventBody> {
    let response = match req.uri().path() {
        "/events" => stream(req, &shared, clock).await,
        "/stream" => stream(req, &shared, greetings).await,
        "/" | "/stats" | "/cases" => response::resource(req, &shared.streams).await,
        _ => Ok(response::text(StatusCode::NOT_FOUND, "Not Found")),
    };
    response.unwrap_or_else(HttpResponse::from)
}

/// Node: `const interval = setInterval(() => { … }, 1000)`.
fn clock(interval: u64, _: &Shared) -> Interval {
    set_interval(interval, Source::Time(now), |at| {
        once_a_second(at, |at| {
            let time = to_locale_time_string(at);
            format!("data: {time}\n\n")
        })
    })
}

/// Express: `send()` writes with `counter++`, which all clients share, at once and then by
/// `setInterval(send, 1000)`.
fn greetings(interval: u64, shared: &Shared) -> Interval {
    let next = Source::Count(Arc::clone(&shared.greeted));
    set_interval(interval, next, |i| {
        format!("data: hello from server sent events ---- [{i}]\n\n").into()
    })
    .at_once()
}

/// Node: `res.writeHead(200, { … })`, and for each event `res.write(…)`. No `req.on("close", …)`:
/// when the client leaves, hyper drops the body, and its interval with it.
async fn stream<B: Body>(req: Request<B>, shared: &Shared, ticks: Ticks) -> HttpResult<EventBody> {
    let response = {
        let req = response::extract(req).await?;
        let plan = scenario::next(&req, &shared.streams);
        let interval = ticks(req.options.interval.unwrap_or(1000), shared);
        let body = event_body(interval, &req, shared.streams.guard(&req));
        response::with_faults(plan, req, write_head(StatusCode::OK, &HEADERS, body))
    };
    Ok(response.await)
}
