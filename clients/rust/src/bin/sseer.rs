//! crates.io's sseer, over reqwest.

use clients::suite;
use futures_util::{Stream, StreamExt};
use reqwest::Client;
use sseer::reqwest::{EventSource, StreamEvent};

fn open(url: String) -> impl Stream<Item = clients::Event> + Send {
    let source = EventSource::new(Client::new().get(url)).expect("a GET can be sent again");
    source.filter_map(async |event| match event {
        Ok(StreamEvent::Event(event)) => Some((
            event.event.to_string(),
            event.data.to_string(),
            event.id.to_string(),
        )),
        _ => None,
    })
}

#[tokio::main]
async fn main() {
    suite(open).await;
}
