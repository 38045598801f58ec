//! crates.io's reqwest-eventsource.

use clients::suite;
use futures_util::{Stream, StreamExt};
use reqwest_eventsource::{Event, EventSource};

fn open(url: String) -> impl Stream<Item = clients::Event> + Send {
    EventSource::get(url).filter_map(async |event| match event {
        Ok(Event::Message(event)) => Some((event.event, event.data, event.id)),
        _ => None,
    })
}

#[tokio::main]
async fn main() {
    suite(open).await;
}
