//! The Node `http` example, literally: a clock as Server-Sent Events, in one file on hyper.
//! The comment at the bottom lists what the full server does in addition.

use std::{convert::Infallible, error::Error, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_stream::{StreamExt, wrappers::IntervalStream};

type Reply = Response<BoxBody<Bytes, Infallible>>;

// const server = createServer((req, res) => {
async fn respond(req: Request<Incoming>) -> Result<Reply, Infallible> {
    let res = Response::builder();
    let url = req.uri().to_string();
    // if (req.url === "/events") {
    let res = if url == "/events" {
        // const interval = setInterval(() => {
        let second = Duration::from_secs(1);
        let mut interval = interval_at(Instant::now() + second, second);
        // Node does not send late ticks in a burst either.
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // Node pushes each event with res.write; hyper pulls: hyper polls the body for the next
        // event when the socket has room.
        let events = IntervalStream::new(interval).map(|_| {
            // const time = new Date().toLocaleTimeString()
            let time = jiff::Zoned::now().strftime("%-I:%M:%S %p");
            // res.write(`data: ${time}\n\n`)
            Ok(Frame::data(Bytes::from(format!("data: {time}\n\n"))))
        });
        // Nothing for req.on("close", () => clearInterval(interval)): when the client leaves, hyper
        // drops the body, and its interval with it.

        // res.writeHead(200, { ... }): hyper sends the headers at once, Node with the first event.
        res.status(200)
            .header("Content-Type", "text/event-stream")
            .header("Cache-Control", "no-cache")
            .header("Connection", "keep-alive")
            .header("Access-Control-Allow-Origin", "*")
            .header("Access-Control-Allow-Methods", "GET")
            .header("Access-Control-Allow-Headers", "Content-Type")
            .body(StreamBody::new(events).boxed())
    } else {
        // res.writeHead(404); res.end("Not Found")
        res.status(404).body(Full::from("Not Found").boxed())
    };
    Ok(res.expect("the status and the headers are valid"))
}

// One thread, as in Node.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    // server.listen(port, "127.0.0.1", () => console.log(...))
    let server = TcpListener::bind(("127.0.0.1", port)).await?;
    let port = server.local_addr()?.port();
    println!("Server listening on http://localhost:{port}");
    loop {
        // Most likely no file descriptor is free: `?` would end the server, `continue` would spin.
        let Ok((socket, _)) = server.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut http = http1::Builder::new();
        http.title_case_headers(true);
        tokio::spawn(http.serve_connection(TokioIo::new(socket), service_fn(respond)));
    }
}

// What this example leaves out, each with the test in `tests/spec` of the full server:
// a shutdown on a signal, with open streams: server::lifetime::shutdown_ends_thousands_of_streams_cleanly
// a timeout for request heads: server::limits::no_client_may_take_longer_than_ten_seconds_for_a_request_head
// a limit of connections, below the limit of open files: server::limits::one_connection_too_many_waits_for_a_permit
// a size limit for request heads: server::limits::a_request_head_over_8_kib_is_431
// a time limit for clients that never read: server::lifetime::a_client_that_never_reads_is_gone_within_thirty_seconds
// a time limit for clients that vanished: server::lifetime::a_client_that_vanished_is_gone_within_thirty_seconds
// ids, and the events that a client missed: lab::resume::a_client_that_reconnects_resumes_with_the_next_tick
