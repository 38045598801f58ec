//! Clients that reconnect whenever their connection is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sse_clock::stream::time::to_locale_time_string;
use sseer::event_stream::EventStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use crate::support::eventually;
use crate::support::reply::{milliseconds, now};

/// Many clients, in a thread of their own.
#[derive(Debug)]
pub struct Crowd {
    newest: Vec<Arc<AtomicU64>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Vec<u64>>>>,
}

impl Crowd {
    /// Starts this many `clients` of one `url`.
    pub fn listen(clients: usize, url: String) -> Self {
        Self::start(clients, move |_, stop, newest| {
            persist(url.clone(), stop, newest, usize::MAX)
        })
    }

    /// Starts this many `clients`: calls `client` with its number, the flag that stops it, and the
    /// place for its newest id. The future returns all ids.
    pub fn start<C>(
        clients: usize,
        client: impl Fn(usize, Arc<AtomicBool>, Arc<AtomicU64>) -> C + Send + 'static,
    ) -> Self
    where
        C: Future<Output = Vec<u64>> + Send + 'static,
    {
        let newest: Vec<Arc<AtomicU64>> = (0..clients).map(|_| Arc::default()).collect();
        let stop = Arc::<AtomicBool>::default();
        let (newest_of, stopped) = (newest.clone(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                for (number, newest) in newest_of.into_iter().enumerate() {
                    clients.spawn(client(number, Arc::clone(&stopped), newest));
                }
                clients.join_all().await
            })
        });
        Self {
            newest,
            stop,
            thread: Some(thread),
        }
    }

    /// Waits until every client has received events for `time` from now on.
    #[track_caller]
    pub fn goes_on_for(&self, time: Duration) {
        let end = now() + milliseconds(time);
        eventually("every client goes on", || {
            let mut newest = self.newest.iter().map(|newest| newest.load(SeqCst));
            newest.all(|newest| newest > end)
        });
    }

    /// The ids that each client's parser dispatched.
    pub fn leave(mut self) -> Vec<Vec<u64>> {
        self.stop.store(true, SeqCst);
        let thread = self.thread.take().expect("it is taken here only");
        thread.join().expect("no client fails")
    }
}

/// After a failed test the clients stop reconnecting.
impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
    }
}

/// A client that reconnects whenever its connection is cut, until stopped. Returns the ids that a
/// third-party parser dispatched.
pub async fn persist(
    url: String,
    stop: Arc<AtomicBool>,
    newest: Arc<AtomicU64>,
    mut cuts: usize,
) -> Vec<u64> {
    let http = reqwest::Client::new();
    let mut ids: Vec<u64> = Vec::new();
    while cuts > 0 && !stop.load(SeqCst) {
        let mut request = http.get(&url).header("Connection", "close");
        if let Some(last) = ids.last() {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let Ok(response) = request.send().await else {
            cuts -= 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        assert_eq!(response.status(), 200);
        let mut events = EventStream::new(response.bytes_stream());
        while let Some(Ok(event)) = events.next().await {
            assert_eq!(event.event, "message", "{event:?}");
            let id = event.id.parse().expect("an id");
            assert_eq!(*event.data, *to_locale_time_string(id));
            ids.push(id);
            newest.store(id, SeqCst);
            if stop.load(SeqCst) {
                break;
            }
        }
        cuts -= 1;
    }
    ids
}

/// Asserts that every tick is there exactly once.
#[track_caller]
pub fn assert_complete(ids: &[u64], interval: u64) {
    for pair in ids.windows(2) {
        assert_eq!(pair[1], pair[0] + interval, "{} after {}", pair[1], pair[0]);
    }
}
