//! Comments in silence, so that no proxy closes the stream (HTML 9.2.7).

use std::pin::pin;
use std::time::Duration;

use async_stream::stream;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};

use super::sse::Block;

/// The silence after which a comment is sent, well below the idle timeouts of proxies.
pub const SILENCE: Duration = Duration::from_secs(15);

/// Adds a comment to `blocks` after each `silence`, which is not zero, counted from the poll that
/// found no block.
pub fn keep_alive(
    blocks: impl Stream<Item = Block>,
    silence: Duration,
) -> impl Stream<Item = Block> {
    stream! {
        let mut blocks = pin!(blocks);
        loop {
            match timeout(silence, blocks.next()).await {
                Ok(Some(block)) => yield block,
                Ok(None) => break,
                Err(_) => yield Block::COMMENT,
            }
        }
    }
}
