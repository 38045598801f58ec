//! The keys, and what the server remembers of their requests.

use std::collections::{HashMap, VecDeque};
use std::iter::once;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Arrival, Counts, Stats, json};
use crate::options::{Planned, StreamRequest};

/// The most keys that are kept.
const KEPT: usize = 1000;

/// The most requests and ids that are kept of a key, and the bytes of each id.
pub(crate) const REMEMBERED: usize = 100;
const ID_BYTES: usize = 64;

/// The end of an id that was cut.
const MARK: char = '…';

/// The keys by their names, each with the time of its first request.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<HashMap<String, (Instant, Arc<Key>)>>);

/// The streams of one name; each open stream and each waiting request holds it.
#[derive(Debug, Default)]
pub(crate) struct Key {
    pub(super) counts: Counts,
    past: Mutex<Past>,
}

/// The requests of a key so far.
#[derive(Debug, Default)]
struct Past {
    ids: Newest<String>,
    requests: Newest<Arrival>,
    /// How many items of `responses` were taken.
    taken: usize,
    redirects: u64,
    dropped: u64,
    ended: Option<Instant>,
    /// When the newest request came or the newest stream ended.
    newest: Option<Instant>,
}

/// The newest of a sequence of items, each with its number in the sequence.
#[derive(Debug, Default)]
struct Newest<T> {
    items: VecDeque<T>,
    /// The number of the item that comes next.
    next: usize,
}

impl<T> Newest<T> {
    fn push(&mut self, item: T) {
        if self.items.len() == REMEMBERED {
            self.items.pop_front();
        }
        self.items.push_back(item);
        self.next += 1;
    }

    fn numbers(&self) -> Range<usize> {
        self.next - self.items.len()..self.next
    }

    /// Returns the item of this number, unless the sequence has dropped the item.
    fn get(&self, number: usize) -> Option<&T> {
        let index = number.checked_sub(self.numbers().start)?;
        self.items.get(index)
    }
}

impl Keys {
    /// The key of this name. A new one takes the place of the oldest that no request holds; if all
    /// are held, there is none. Without `is_kept`, a new key is not stored.
    pub(super) fn get(&self, name: &str, is_kept: bool) -> Option<Arc<Key>> {
        let mut keys = lock(&self.0);
        if let Some((_, key)) = keys.get(name) {
            return Some(Arc::clone(key));
        }
        let key = Arc::<Key>::default();
        if keys.len() == KEPT {
            let free = keys
                .iter()
                .filter(|(_, (_, key))| Arc::strong_count(key) == 1);
            let oldest = free.min_by_key(|(_, (since, _))| *since)?.0.clone();
            if is_kept {
                keys.remove(&oldest);
            }
        }
        if is_kept {
            keys.insert(name.to_owned(), (Instant::now(), Arc::clone(&key)));
        }
        Some(key)
    }

    /// Returns the counts and requests of this name, or empty ones for an unknown key.
    pub(super) fn stats(&self, name: &str) -> Stats {
        let key = self.get(name, false).unwrap_or_default();
        let past = lock(&key.past);
        Stats {
            last_event_ids: Some(past.ids.items.iter().cloned().collect()),
            requests: Some(past.requests.items.iter().cloned().collect()),
            redirects: Some(past.redirects),
            dropped: Some(past.dropped),
            ..key.counts.stats()
        }
    }

    /// Returns the time since the newest request or end of this name, if there was a request.
    pub(super) fn quiet(&self, name: &str) -> Option<Duration> {
        let newest = lock(&self.get(name, false)?.past).newest;
        newest.map(|newest| newest.elapsed())
    }

    /// The same as JSON, in parts. They do not hold the key: else a client that does not read them
    /// would keep its memory.
    pub(super) fn json(&self, name: &str) -> impl Iterator<Item = String> + Send + use<> {
        let key = self.get(name, false).unwrap_or_default();
        let counts = json(&key.counts.stats());
        let counts = counts.strip_suffix('}').unwrap_or_default();
        let begin = format!("{counts},\"last_event_ids\":[");
        let past = lock(&key.past);
        let ids = list(&key, past.ids.numbers(), |past| &past.ids);
        let requests = list(&key, past.requests.numbers(), |past| &past.requests);
        let (redirects, dropped) = (past.redirects, past.dropped);
        let end = format!("],\"redirects\":{redirects},\"dropped\":{dropped}}}");
        let requests = once("],\"requests\":[".to_owned()).chain(requests);
        once(begin).chain(ids).chain(requests).chain(once(end))
    }
}

/// The items of these numbers that `key` still remembers, as JSON separated by commas.
fn list<T: Serialize>(
    key: &Arc<Key>,
    numbers: Range<usize>,
    items: fn(&Past) -> &Newest<T>,
) -> impl Iterator<Item = String> + Send + use<T> {
    let key = Arc::downgrade(key);
    let item = move |number| items(&lock(&key.upgrade()?.past)).get(number).map(json);
    numbers.filter_map(item).enumerate().map(|(index, item)| {
        let comma = if index == 0 { "" } else { "," };
        format!("{comma}{item}")
    })
}

impl Key {
    /// Returns the next of `items`, or the last if there are no more, and counts that if it `takes`
    /// the item.
    pub(crate) fn next(&self, items: &[Planned], takes: bool) -> Planned {
        let mut past = lock(&self.past);
        let item = items[past.taken.min(items.len() - 1)];
        past.taken += usize::from(takes);
        item
    }

    /// Counts a redirect.
    pub(crate) fn count_redirect(&self) {
        lock(&self.past).redirects += 1;
    }

    /// Notes a request, which is dropped or gets a response.
    pub(crate) fn note(&self, request: &StreamRequest, is_dropped: bool) {
        let is_open = self.counts.stats().open > 0;
        let mut past = lock(&self.past);
        past.newest = Some(Instant::now());
        past.dropped += u64::from(is_dropped);
        let ids = &request.header_ids;
        let ended = past.ended.filter(|_| !is_open);
        past.requests.push(Arrival {
            last_event_id: (!ids.is_empty()).then(|| cut(&ids.join(", "))),
            after_ms: ended.map(|end| u64::try_from(end.elapsed().as_millis()).unwrap_or(u64::MAX)),
        });
        if let Some(id) = request.last_event_id() {
            past.ids.push(cut(id));
        }
    }

    /// Notes that a stream has ended.
    pub(super) fn end(&self) {
        let mut past = lock(&self.past);
        past.ended = Some(Instant::now());
        past.newest = past.ended;
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
