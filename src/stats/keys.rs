//! The streams that have a name: their counts, and what their clients came back with.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::StatusCode;
use hyper::header::HeaderMap;

use super::counts::{Arrival, Counts, Stats};
use crate::options::{LAST_EVENT_ID, Options};

/// The most keys that are kept.
const KEPT: usize = 1000;

/// The most requests and ids that are kept of a key, and the bytes of each id.
const NEWEST: usize = 100;
const ID_BYTES: usize = 64;

/// The end of an id that was cut.
const MARK: char = '…';

/// The keys by their names.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    keys: HashMap<String, (u64, Arc<Key>)>,
    seen: u64,
}

/// The streams of one name; each open one holds on to it.
#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) counts: Counts,
    past: Mutex<Past>,
}

/// What has happened to a key.
#[derive(Debug, Default)]
struct Past {
    ids: VecDeque<String>,
    requests: VecDeque<Arrival>,
    failed: u64,
    streamed: bool,
    ended: Option<Instant>,
}

impl Keys {
    /// The key of this name. A new one takes the place of the oldest that has no open stream; if
    /// all have one, there is none. Unless it `is_kept`, a new one is as if it had never been.
    pub(super) fn get(&self, name: &str, is_kept: bool) -> Option<Arc<Key>> {
        let Kept { keys, seen } = &mut *lock(&self.0);
        if let Some((_, key)) = keys.get(name) {
            return Some(Arc::clone(key));
        }
        let key = Arc::<Key>::default();
        if keys.len() == KEPT {
            let free = keys
                .iter()
                .filter(|(_, (_, key))| key.counts.stats().open == 0);
            let oldest = free.min_by_key(|(_, (age, _))| *age)?.0.clone();
            if is_kept {
                keys.remove(&oldest);
            }
        }
        if is_kept {
            *seen += 1;
            keys.insert(name.to_owned(), (*seen, Arc::clone(&key)));
        }
        Some(key)
    }

    /// What was seen of the streams of this name: nothing, if it is not kept.
    pub(super) fn stats(&self, name: &str) -> Stats {
        let key = lock(&self.0).keys.get(name).map(|(_, key)| Arc::clone(key));
        let key = key.unwrap_or_default();
        let past = lock(&key.past);
        Stats {
            last_event_ids: Some(past.ids.iter().cloned().collect()),
            requests: Some(past.requests.iter().cloned().collect()),
            ..key.counts.stats()
        }
    }
}

impl Key {
    /// What a request gets instead of the stream, if it is its turn; `counts` when it is no look.
    pub(super) fn turn(&self, options: &Options, counts: bool) -> Option<StatusCode> {
        let mut past = lock(&self.past);
        if past.failed < options.fail {
            past.failed += u64::from(counts);
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            let status = options.head.status.as_ref();
            return Some(status.map_or(unavailable, |(status, _)| *status));
        }
        if options.once && past.streamed {
            return Some(StatusCode::NO_CONTENT);
        }
        past.streamed |= options.once && counts;
        None
    }

    /// Notes what a client came with: its headers, and the id after which it goes on.
    pub(super) fn note(&self, headers: &HeaderMap, id: Option<&str>) {
        let header = headers.get_all(LAST_EVENT_ID).iter();
        let header: Vec<_> = header
            .map(|id| String::from_utf8_lossy(id.as_bytes()))
            .collect();
        let last_event_id = (!header.is_empty()).then(|| cut(&header.join(", ")));
        let is_open = self.counts.stats().open > 0;
        let mut past = lock(&self.past);
        let ended = past.ended.filter(|_| !is_open);
        let arrival = Arrival {
            last_event_id,
            after_ms: ended.map(|end| u64::try_from(end.elapsed().as_millis()).unwrap_or(u64::MAX)),
        };
        push(&mut past.requests, arrival);
        if let Some(id) = id {
            push(&mut past.ids, cut(id));
        }
    }

    /// Notes that a stream has ended.
    pub(super) fn end(&self) {
        lock(&self.past).ended = Some(Instant::now());
    }
}

fn push<T>(newest: &mut VecDeque<T>, item: T) {
    if newest.len() == NEWEST {
        newest.pop_front();
    }
    newest.push_back(item);
}

/// An id of at most 64 bytes as it is, a longer one cut between two characters and marked.
fn cut(id: &str) -> String {
    if id.len() <= ID_BYTES {
        return id.to_owned();
    }
    let mut ends = (0..=ID_BYTES - MARK.len_utf8()).rev();
    let end = ends.find(|end| id.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{MARK}", &id[..end])
}

/// A panic elsewhere leaves the counts as good as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
