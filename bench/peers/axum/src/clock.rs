//! The local time as an event, every `INTERVAL` milliseconds, at `/events`.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use tokio::time::{Instant, interval_at};
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};

use crate::listen::number;

pub fn router() -> Router {
    let interval = Duration::from_millis(number("INTERVAL", 1000));
    let events = move || async move { Sse::new(ticks(interval)).keep_alive(KeepAlive::default()) };
    Router::new().route("/events", get(events))
}

fn ticks(interval: Duration) -> impl Stream<Item = Result<Event, Infallible>> {
    IntervalStream::new(interval_at(Instant::now() + interval, interval)).map(|_| {
        let time = jiff::Zoned::now().strftime("%-I:%M:%S %p");
        Ok(Event::default().data(time.to_string()))
    })
}
