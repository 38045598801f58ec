//! The streams that have a name: their counts, and the ids that their clients came back with.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::{Counts, Stats};

/// The most keys that are kept.
const KEPT: usize = 1000;

/// The most ids that are kept of a key, and the bytes of each.
const IDS: usize = 100;
const ID_BYTES: usize = 64;

/// The keys by their names.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    keys: HashMap<String, (u64, Arc<Key>)>,
    seen: u64,
}

/// The streams of one name; each open one holds on to it.
#[derive(Debug, Default)]
pub(crate) struct Key {
    pub(crate) counts: Counts,
    ids: Mutex<VecDeque<String>>,
}

impl Keys {
    /// The key of this name. A new one takes the place of the oldest that has no open stream; if
    /// all have one, it is not kept.
    pub(crate) fn get_or_keep(&self, name: &str) -> Option<Arc<Key>> {
        let Kept { keys, seen } = &mut *lock(&self.0);
        if let Some((_, key)) = keys.get(name) {
            return Some(Arc::clone(key));
        }
        if keys.len() == KEPT {
            let free = keys
                .iter()
                .filter(|(_, (_, key))| key.counts.stats().open == 0);
            let oldest = free.min_by_key(|(_, (age, _))| *age)?.0.clone();
            keys.remove(&oldest);
        }
        *seen += 1;
        let key = Arc::<Key>::default();
        keys.insert(name.to_owned(), (*seen, Arc::clone(&key)));
        Some(key)
    }

    /// What was seen of the streams of this name: nothing, if it is not kept.
    pub(crate) fn stats(&self, name: &str) -> Stats {
        let key = lock(&self.0).keys.get(name).map(|(_, key)| Arc::clone(key));
        let key = key.unwrap_or_default();
        let last_event_ids = Some(lock(&key.ids).iter().cloned().collect());
        Stats {
            last_event_ids,
            ..key.counts.stats()
        }
    }
}

impl Key {
    /// Notes the id that a client came back with.
    pub(crate) fn note(&self, id: &str) {
        let mut ends = (0..=ID_BYTES.min(id.len())).rev();
        let end = ends.find(|end| id.is_char_boundary(*end)).unwrap_or(0);
        let mut ids = lock(&self.ids);
        if ids.len() == IDS {
            ids.pop_front();
        }
        ids.push_back(id[..end].to_owned());
    }
}

/// A panic elsewhere leaves the counts as good as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
