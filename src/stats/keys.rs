//! The streams that have a name: their counts, and what their clients came back with.

use std::collections::{HashMap, VecDeque};
use std::iter::once;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use hyper::StatusCode;
use hyper::header::HeaderMap;

use super::counts::{Arrival, Counts, Stats, json};
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
    ids: Newest<String>,
    requests: Newest<Arrival>,
    failed: u64,
    streamed: bool,
    ended: Option<Instant>,
}

/// The newest of a row of items, each with its number in the row.
#[derive(Debug)]
struct Newest<T> {
    items: VecDeque<T>,
    /// The number of the item that comes next.
    next: usize,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        let items = VecDeque::new();
        Self { items, next: 0 }
    }
}

impl<T> Newest<T> {
    fn push(&mut self, item: T) {
        if self.items.len() == NEWEST {
            self.items.pop_front();
        }
        self.items.push_back(item);
        self.next += 1;
    }

    fn numbers(&self) -> Range<usize> {
        self.next - self.items.len()..self.next
    }

    /// The item of this number, unless it is forgotten.
    fn get(&self, number: usize) -> Option<&T> {
        let index = number.checked_sub(self.numbers().start)?;
        self.items.get(index)
    }
}

impl Keys {
    /// The key of this name. A new one takes the place of the oldest that no request holds; if all
    /// are held, there is none. Unless it `is_kept`, a new one is as if it had never been.
    pub(super) fn get(&self, name: &str, is_kept: bool) -> Option<Arc<Key>> {
        let Kept { keys, seen } = &mut *lock(&self.0);
        if let Some((_, key)) = keys.get(name) {
            return Some(Arc::clone(key));
        }
        let key = Arc::<Key>::default();
        if keys.len() == KEPT {
            let free = keys
                .iter()
                .filter(|(_, (_, key))| Arc::strong_count(key) == 1);
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

    fn known(&self, name: &str) -> Option<Arc<Key>> {
        let kept = lock(&self.0);
        kept.keys.get(name).map(|(_, key)| Arc::clone(key))
    }

    /// What was seen of the streams of this name: nothing, if it is not kept.
    pub(super) fn stats(&self, name: &str) -> Stats {
        let key = self.known(name).unwrap_or_default();
        let past = lock(&key.past);
        Stats {
            last_event_ids: Some(past.ids.items.iter().cloned().collect()),
            requests: Some(past.requests.items.iter().cloned().collect()),
            ..key.counts.stats()
        }
    }

    /// The same as JSON, in parts. They do not hold the key: else a client that does not read them
    /// would keep its memory.
    pub(super) fn json(&self, name: &str) -> impl Iterator<Item = String> + Send + use<> {
        let key = self.known(name).unwrap_or_default();
        let counts = json(&key.counts.stats());
        let counts = counts.strip_suffix('}').unwrap_or_default();
        let begin = format!("{counts},\"last_event_ids\":[");
        let past = lock(&key.past);
        let (ids, requests) = (past.ids.numbers(), past.requests.numbers());
        drop(past);
        let key = Arc::downgrade(&key);
        let ids = list(ids, Weak::clone(&key), |past, number| {
            past.ids.get(number).map(json)
        });
        let requests = list(requests, key, |past, number| {
            past.requests.get(number).map(json)
        });
        once(begin)
            .chain(ids)
            .chain(once("],\"requests\":[".to_owned()))
            .chain(requests)
            .chain(once("]}".to_owned()))
    }
}

/// The items of these numbers that `key` still remembers, as JSON separated by commas.
fn list(
    numbers: Range<usize>,
    key: Weak<Key>,
    item: fn(&Past, usize) -> Option<String>,
) -> impl Iterator<Item = String> + Send {
    let items = numbers.filter_map(move |number| item(&lock(&key.upgrade()?.past), number));
    items.enumerate().map(|(index, item)| {
        let comma = if index == 0 { "" } else { "," };
        format!("{comma}{item}")
    })
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
        past.requests.push(arrival);
        if let Some(id) = id {
            past.ids.push(cut(id));
        }
    }

    /// Notes that a stream has ended.
    pub(super) fn end(&self) {
        lock(&self.past).ended = Some(Instant::now());
    }
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
