//! Who waits, by the millisecond.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::Waker;

use slab::Slab;
use tokio::task::coop::Unconstrained;
use tokio::time::Sleep;

/// The most tasks of a list: it takes room for all that it ever had, until the last has left it.
const MOST: usize = 64;

/// Which list: its millisecond, and in the last 32 bits a number that none before it had.
pub(super) type Key = u128;

/// The number of a list, and where in it.
pub(super) type Place = (u32, u8);

/// A timer of the runtime's, which rings for a list until it is dropped.
pub(super) type Alarm = Pin<Box<Unconstrained<Sleep>>>;

/// Tasks that are due in one millisecond.
pub(super) struct List {
    pub(super) tasks: Slab<Waker>,
    _alarm: Alarm,
}

#[derive(Default)]
pub(super) struct Lists {
    kept: Slab<List>,
    order: BTreeMap<Key, usize>,
    /// The one that was added to last: most often the next task is due with it.
    latest: Option<(Key, usize)>,
    /// How many there have been.
    count: u32,
}

impl Lists {
    /// Adds a task to a list that has room, or to a new one, if there is an `alarm` for that.
    pub(super) fn add(
        &mut self,
        at: u64,
        task: &Waker,
        alarm: impl FnOnce(Key) -> Option<Alarm>,
    ) -> Option<Place> {
        let known = self.latest.filter(|(latest, _)| latest >> 32 == at.into());
        let known = known.or_else(|| {
            let mut lists = self.order.range(key(at, 0)..=key(at, u32::MAX));
            lists.next_back().map(|(key, list)| (*key, *list))
        });
        let has_room = |(_, list): &(Key, usize)| self.kept[*list].tasks.len() < MOST;
        let (key, list) = if let Some(known) = known.filter(has_room) {
            known
        } else {
            let key = key(at, self.count);
            let list = List::new(alarm(key)?);
            let list = self.kept.insert(list);
            self.order.insert(key, list);
            self.count = self.count.wrapping_add(1);
            (key, list)
        };
        self.latest = Some((key, list));
        let number = u32::try_from(key & Key::from(u32::MAX)).ok()?;
        let index = self.kept[list].tasks.insert(task.clone());
        Some((number, u8::try_from(index).ok()?))
    }

    /// The task that waits there, unless its list has been taken.
    pub(super) fn find(&mut self, at: u64, (number, index): Place) -> Option<&mut Waker> {
        let list = *self.order.get(&key(at, number))?;
        self.kept[list].tasks.get_mut(index.into())
    }

    /// Removes it, and with the last of a list the list.
    pub(super) fn remove(
        &mut self,
        at: u64,
        (number, index): Place,
    ) -> Option<(Waker, Option<List>)> {
        let key = key(at, number);
        let tasks = &mut self.kept[*self.order.get(&key)?].tasks;
        let task = tasks.try_remove(index.into())?;
        let is_last = tasks.is_empty();
        Some((task, is_last.then(|| self.take(key)).flatten()))
    }

    pub(super) fn take(&mut self, key: Key) -> Option<List> {
        self.latest = None;
        Some(self.kept.remove(self.order.remove(&key)?))
    }
}

impl List {
    fn new(alarm: Alarm) -> Self {
        Self {
            tasks: Slab::new(),
            _alarm: alarm,
        }
    }
}

fn key(at: u64, number: u32) -> Key {
    Key::from(at) << 32 | Key::from(number)
}

#[cfg(test)]
impl Lists {
    /// How many tasks wait, and in how many lists.
    pub(super) fn size(&self) -> (usize, usize) {
        let tasks = self.kept.iter().map(|(_, list)| list.tasks.len());
        (tasks.sum(), self.kept.len())
    }
}
