//! Comments in silence, so that no proxy closes the stream (HTML 9.2.7).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_stream::stream;
use tokio::time::{Instant, sleep};
use tokio_stream::Stream;

/// The silence after which a comment is sent, well below the idle timeouts of proxies.
pub const SILENCE: Duration = Duration::from_secs(15);

/// Adds `comment` to `items` after each `silence`, which is not zero, counted from the poll that
/// found no item.
///
/// # Examples
///
/// ```
/// use sse_clock::stream::keep_alive::{SILENCE, keep_alive};
/// use sse_clock::stream::sse::{COMMENT, data};
/// use tokio_stream::{StreamExt, iter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let events = iter([data("a"), data("b")]);
/// let mut stream = Box::pin(keep_alive(events, SILENCE, COMMENT));
/// assert_eq!(stream.next().await.unwrap(), "data: a\n\n");
/// # }
/// ```
pub fn keep_alive<T: Clone>(
    items: impl Stream<Item = T>,
    silence: Duration,
    comment: T,
) -> impl Stream<Item = T> {
    stream! {
        let (mut items, mut timer) = (pin!(items), pin!(sleep(silence)));
        loop {
            let next = poll_fn(|cx| match items.as_mut().poll_next(cx) {
                Poll::Pending => timer.as_mut().poll(cx).map(|()| Some(comment.clone())),
                Poll::Ready(item) => Poll::Ready(item),
            });
            let Some(item) = next.await else { break };
            yield item;
            // The runtime postpones a timer without its lock, which a new timer takes twice.
            if let Some(deadline) = Instant::now().checked_add(silence) {
                timer.as_mut().reset(deadline);
            }
        }
    }
}
