//! The screen: the callback of Node's example, step by step. Node writes to `res` when its timer
//! fires; here the body is returned, and hyper asks it for the next event when the socket has room.

use std::sync::{Arc, LazyLock, atomic::AtomicU64};

use hyper::{HeaderMap, Request, StatusCode, body::Body};

use crate::answers::{self, Answer, Answered, as_asked, asked, headers, write_head};
use crate::options::Options;
use crate::stats::Streams;
use crate::stream::interval::{Given, Interval, set_interval};
use crate::stream::wall::{now, once_a_second, to_locale_time_string};
use crate::stream::{Flow, flow};

/// What all requests share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Who is listening.
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

type Source = fn(&Options, &Shared) -> Interval;

/// Answers `req`, as the callback of Node's `createServer((req, res) => { … })` does: the whole of
/// the handler, for a server of any kind.
pub async fn respond<B: Body>(req: Request<B>, shared: Arc<Shared>) -> Answer<Flow> {
    let answer = match req.uri().path() {
        "/events" => stream(req, &shared, clock).await,
        "/stream" => stream(req, &shared, greetings).await,
        "/stats" => answers::stats(&req, |key| shared.streams.json(key)),
        "/cases" => answers::cases(&req),
        "/" => answers::page(&req),
        _ => Ok(answers::text(StatusCode::NOT_FOUND, "Not Found")),
    };
    answer.unwrap_or_else(Answer::from)
}

/// Node: `const interval = setInterval(() => { … }, 1000)`.
fn clock(options: &Options, _: &Shared) -> Interval {
    set_interval(options.interval.unwrap_or(1000), Given::Time(now), |at| {
        once_a_second(at, |at| {
            let time = to_locale_time_string(at);
            format!("data: {time}\n\n")
        })
    })
}

/// Express: `send(res)` writes with `i++`, a count that all clients share, and calls itself again
/// with `setTimeout(…, 1000)`.
fn greetings(options: &Options, shared: &Shared) -> Interval {
    let next = Given::Count(Arc::clone(&shared.greeted));
    set_interval(options.interval.unwrap_or(1000), next, |i| {
        format!("data: hello from server sent events ---- [{i}]\n\n").into()
    })
    .at_once()
}

/// Node: `res.writeHead(200, { … })`, and for each event `res.write(…)`. No `req.on("close", …)`:
/// when the client leaves, hyper drops the body, and its interval with it.
async fn stream<B: Body>(req: Request<B>, shared: &Shared, source: Source) -> Answered<Flow> {
    let answer = {
        let (req, mut options) = asked(req).await?;
        let record = shared.streams.record(&req, &mut options);
        let body = flow(source(&options, shared), &options, record);
        as_asked(options.head, write_head(StatusCode::OK, &HEADERS, body))
    };
    Ok(answer.await)
}
