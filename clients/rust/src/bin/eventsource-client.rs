//! crates.io's eventsource-client, by LaunchDarkly.

use clients::suite;
use eventsource_client::{Client, ClientBuilder, SSE};
use futures_util::{Stream, StreamExt};
use launchdarkly_sdk_transport::HyperTransport;

fn open(url: String) -> impl Stream<Item = clients::Event> + Send {
    let client = ClientBuilder::for_url(&url).expect("a URL");
    let client = client.build_with_transport(HyperTransport::new().expect("sockets"));
    client.stream().filter_map(async |event| match event {
        Ok(SSE::Event(event)) => Some((event.event_type, event.data, event.id.unwrap_or_default())),
        _ => None,
    })
}

#[tokio::main]
async fn main() {
    suite(open).await;
}
