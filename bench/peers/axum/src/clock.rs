//! The local time as an event, every `INTERVAL` milliseconds, at `/events`.

use std::{convert::Infallible, env, time::Duration};

use axum::{
    Router,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use tokio::{
    net::TcpListener,
    time::{Instant, interval_at},
};
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};

pub fn router() -> Router {
    let interval = Duration::from_millis(number("INTERVAL", 1000));
    let events = move || async move { Sse::new(ticks(interval)).keep_alive(KeepAlive::default()) };
    Router::new().route("/events", get(events))
}

pub async fn listener() -> std::io::Result<TcpListener> {
    let port = number("PORT", 5000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Server listening on port {port}");
    Ok(listener)
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
