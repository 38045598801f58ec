//! Who waits, by the millisecond.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::Waker;

use slab::Slab;
use tokio::time::Sleep;

/// The most tasks of a list: it takes room for all that it ever had, until the last has left it.
const MOST: u64 = 64;

/// The most lists whose room is kept for the next: those that ring in a step of a million streams.
const SPARE: usize = 16;

/// A list's millisecond, and in the last 64 bits its number, which none before it had.
type Key = u128;

/// A list's number, and in the last six bits the index in it.
pub(super) type Place = u64;

/// A timer of the runtime's, which rings for a list unless it is dropped.
pub(super) type Alarm = Pin<Box<Sleep>>;

/// Tasks that are due in one millisecond.
pub(super) struct List {
    number: u64,
    pub(super) tasks: Slab<Waker>,
    _alarm: Alarm,
}

#[derive(Default)]
pub(super) struct Lists {
    kept: Slab<List>,
    order: BTreeMap<Key, usize>,
    /// The list that got a task last, and its millisecond: most often the next is due with it.
    latest: Option<(u64, usize)>,
    /// The room of lists that have rung, whose tasks soon wait in others.
    spare: Vec<Slab<Waker>>,
}

impl Lists {
    /// Adds a task to a list of its millisecond, if there is one with room.
    pub(super) fn add(&mut self, at: u64, task: &Waker) -> Option<Place> {
        let latest = self.latest.filter(|(latest, _)| *latest == at);
        let known = latest.map(|(_, list)| list).or_else(|| {
            let mut lists = self.order.range(key(at, 0)..=key(at, u64::MAX));
            lists.next_back().map(|(_, list)| *list)
        });
        let list = known?;
        self.latest = Some((at, list));
        self.kept[list].add(task)
    }

    /// Opens the list of that number, with its first task.
    pub(super) fn open(
        &mut self,
        at: u64,
        number: u64,
        alarm: Alarm,
        task: &Waker,
    ) -> Option<Place> {
        let list = self.kept.insert(List {
            number,
            tasks: self.spare.pop().unwrap_or_default(),
            _alarm: alarm,
        });
        self.order.insert(key(at, number), list);
        self.latest = Some((at, list));
        self.kept[list].add(task)
    }

    /// Keeps the room of a list that has rung, if it was well filled, with so many tasks.
    pub(super) fn spare(&mut self, room: Slab<Waker>, tasks: usize) {
        if self.spare.len() < SPARE && 2 * tasks > room.capacity() {
            self.spare.push(room);
        }
    }

    /// The task that waits there, unless its list has been taken.
    pub(super) fn find(&mut self, at: u64, place: Place) -> Option<&mut Waker> {
        let list = *self.order.get(&key(at, place / MOST))?;
        self.kept[list].tasks.get_mut(index(place))
    }

    /// Removes it, and the list if it was the last in it.
    ///
    /// The list is for the caller to drop: that takes a lock of the runtime's.
    pub(super) fn remove(&mut self, at: u64, place: Place) -> Option<(Waker, Option<List>)> {
        let number = place / MOST;
        let tasks = &mut self.kept[*self.order.get(&key(at, number))?].tasks;
        let task = tasks.try_remove(index(place))?;
        let is_last = tasks.is_empty();
        Some((task, is_last.then(|| self.take(at, number)).flatten()))
    }

    pub(super) fn take(&mut self, at: u64, number: u64) -> Option<List> {
        self.latest = None;
        let list = self.order.remove(&key(at, number))?;
        Some(self.kept.remove(list))
    }
}

impl List {
    fn add(&mut self, task: &Waker) -> Option<Place> {
        let has_room = (self.tasks.len() as u64) < MOST;
        has_room.then(|| self.number * MOST + self.tasks.insert(task.clone()) as u64)
    }
}

fn key(at: u64, number: u64) -> Key {
    Key::from(at) << 64 | Key::from(number)
}

fn index(place: Place) -> usize {
    (place % MOST) as usize
}

#[cfg(test)]
impl Lists {
    /// How many tasks wait, and in how many lists.
    pub(super) fn size(&self) -> (usize, usize) {
        let tasks = self.kept.iter().map(|(_, list)| list.tasks.len());
        (tasks.sum(), self.kept.len())
    }

    /// How many lists that rang have left their room.
    pub(super) fn rooms(&self) -> usize {
        self.spare.len()
    }
}
