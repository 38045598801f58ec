//! The same stream on axum, over HTTP/1.1.

mod clock;
mod listen;

use axum::serve::ListenerExt;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // Without this, Nagle's algorithm joins events that are closer than a delayed ACK.
    let listener = listen::listener().await?.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, clock::router()).await
}
