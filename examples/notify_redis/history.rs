//! The newest events of a Redis stream, for all clients of this replica.

use std::{collections::VecDeque, convert::Infallible};

use async_stream::stream;
use bytes::Bytes;
use redis::aio::MultiplexedConnection as Connection;
use redis::streams::{StreamId, StreamMaxlen, StreamReadOptions};
use redis::{AsyncConnectionConfig, AsyncTypedCommands, Client, RedisResult};
use sse_clock::stream::sse::Event;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Duration, sleep};
use tokio_stream::Stream;

// The key of the stream in Redis, and how many events are kept: 1,000 and the one before them.
const STREAM: &str = "notifications";
const KEPT: usize = 1001;
// How long Redis may take to respond, and the pause before another attempt to connect.
const TIMEOUT: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(500);

/// The id of an event in Redis, such as `1700000000000-0`: milliseconds and a number.
pub(crate) type Id = (u64, u64);

/// Returns an id; 0-0, which is before all events, for a text that is not an id.
pub(crate) fn parse(id: &str) -> Id {
    let (time, number) = id.split_once('-').unwrap_or_default();
    (time.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

/// The newest events, encoded once for all clients, and a connection to add one.
#[derive(Default)]
pub(crate) struct History {
    events: VecDeque<(Id, Bytes)>,
    pub(crate) redis: Option<Connection>, // `None` while Redis is away.
}

impl History {
    pub(crate) fn newest(&self) -> Id {
        self.events.back().map_or((0, 0), |(id, _)| *id)
    }

    fn push(&mut self, entry: &StreamId) {
        let event = Event::default().id(&entry.id);
        let event = event.before(entry.get("event").unwrap_or_default());
        self.events.push_back((parse(&entry.id), event));
        self.events.drain(..self.events.len().saturating_sub(KEPT));
    }

    /// Returns the event that follows the id `last`, and its own id; a `gap` if that event is gone.
    fn after(&self, last: Id) -> Option<(Id, Bytes)> {
        let place = self.events.partition_point(|(id, _)| *id <= last);
        let (id, event) = self.events.get(place)?;
        if place > 0 || (last == (0, 0) && self.events.len() < KEPT) {
            return Some((*id, event.clone()));
        }
        let before = format!("{}-{}", id.0, id.1);
        Some((*id, Event::default().event("gap").id(before).data("")))
    }
}

/// Returns the events after the id `last`, which may be newer than the history, and comments that
/// Redis is away or back. A slow client has no queue: it reads on in the history.
pub(crate) fn events(mut history: Receiver<History>, mut last: Id) -> impl Stream<Item = Bytes> {
    let (mut away, mut next) = (false, None);
    stream! {
        loop {
            let changed = history.wait_for(|history| {
                next = history.after(last);
                next.is_some() || history.redis.is_none() != away
            });
            let Ok(is_away) = changed.await.map(|history| history.redis.is_none()) else { break };
            if is_away != away {
                away = is_away;
                yield format!(": Redis is {}\n", if away { "away" } else { "back" }).into();
            }
            if let Some((id, event)) = next.take() {
                last = id;
                yield event;
            }
        }
    }
}

/// Keeps the history up to date: each time that Redis goes away, connects again.
pub(crate) async fn follow(client: Client, history: Sender<History>) {
    loop {
        let Err(error) = read(&client, &history).await;
        eprintln!("Redis is away: {error}");
        history.send_modify(|history| history.redis = None);
        sleep(RETRY).await;
    }
}

/// Reads all events on one connection, until Redis goes away.
async fn read(client: &Client, history: &Sender<History>) -> RedisResult<Infallible> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(TIMEOUT));
    let connect = || client.get_multiplexed_async_connection_with_config(&config);
    // Two connections, since a read that waits would hold up `store`.
    let (mut reader, mut writer) = (connect().await?, connect().await?);
    let mut options = StreamReadOptions::default(); // The first read does not wait.
    loop {
        let (time, number) = history.borrow().newest();
        let newest = [format!("{time}-{number}")];
        let read = reader.xread_options(&[STREAM], &newest, &options).await?;
        history.send_if_modified(|history| {
            let entries = read.iter().flat_map(|read| &read.keys[0].ids);
            entries.for_each(|entry| history.push(entry));
            history.redis.replace(writer.clone()).is_none() || read.is_some()
        });
        writer.ping().await?;
        options = options.block(1000); // milliseconds
    }
}

/// Adds `event` to the stream and returns its id. After a timeout, Redis may still have stored it.
pub(crate) async fn store(redis: Option<Connection>, event: Bytes) -> Option<String> {
    let (trim, fields) = (StreamMaxlen::Approx(KEPT), [("event", event.as_ref())]);
    redis?.xadd_maxlen(STREAM, trim, "*", &fields).await.ok()?
}
