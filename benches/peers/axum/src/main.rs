//! The same stream on axum: the local time as an event, every `INTERVAL` milliseconds, at `/events`.

use std::{convert::Infallible, env, net::Ipv4Addr, time::Duration};

use axum::{
    Router,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
    serve::ListenerExt,
};
use tokio::{
    net::TcpListener,
    time::{Instant, interval_at},
};
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = number("PORT", 5000);
    let interval = Duration::from_millis(number("INTERVAL", 1000));
    let events = move || async move { Sse::new(ticks(interval)).keep_alive(KeepAlive::default()) };

    // Without this, Nagle's algorithm joins events that are closer than a delayed ACK.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await?
        .tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
    println!("Server listening on http://localhost:{port}");
    axum::serve(listener, Router::new().route("/events", get(events))).await
}

fn ticks(interval: Duration) -> impl Stream<Item = Result<Event, Infallible>> {
    IntervalStream::new(interval_at(Instant::now() + interval, interval)).map(|_| {
        let time = jiff::Zoned::now().strftime("%-I:%M:%S %p");
        Ok(Event::default().data(time.to_string()))
    })
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok().and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}
