//! `examples/notify.rs` with axum's `Sse` and a broadcast channel, without the history.

mod listen;

use std::{
    convert::Infallible,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::UNIX_EPOCH,
};

use axum::{
    Router,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
    routing::{get, post},
    serve::ListenerExt,
};
use tokio::sync::broadcast::Sender;
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};

/// How many events a slow subscriber may be behind.
const CAPACITY: usize = 1000;

struct Channel {
    sender: Sender<Event>,
    newest: AtomicU64,
}

async fn events(
    State(channel): State<Arc<Channel>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(channel.sender.subscribe());
    Sse::new(events.filter_map(|event| event.ok().map(Ok))).keep_alive(KeepAlive::default())
}

async fn notify(State(channel): State<Arc<Channel>>, text: String) -> String {
    let id = channel.newest.fetch_add(1, Ordering::Relaxed) + 1;
    let event = Event::default().id(id.to_string()).data(text);
    let streams = channel.sender.send(event).unwrap_or(0);
    format!("Sent to {streams}.\n")
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let now = UNIX_EPOCH.elapsed().expect("a time after 1970");
    let channel = Arc::new(Channel {
        sender: Sender::new(CAPACITY),
        newest: AtomicU64::new(now.as_millis() as u64),
    });
    let router = Router::new()
        .route("/events", get(events))
        .route("/notify", post(notify))
        .with_state(channel);
    let listener = listen::listener().await?.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
