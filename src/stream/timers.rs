//! Node's timers: those that are due together are one timer of the runtime's, with a list.
//!
//! The runtime would keep a timer of its own for each that waits, and move it from list to list as
//! its time comes near: with a million of them, a fifth of what an event costs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fmt, mem};

use slab::Slab;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The most timers of a list: it takes room for all that it ever had, until the last has left it.
const MOST: u32 = 64;

/// A wait for a moment; dropping it is Node's `clearTimeout`.
pub struct Timer {
    due: Instant,
    timers: Arc<Timers>,
    /// Where it waits among those that are due with it.
    place: Option<u32>,
}

impl Timer {
    /// A wait until `due`, by the timers of the current runtime.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio's.
    #[must_use]
    pub fn new(due: Instant) -> Self {
        let (timers, place) = (Timers::current(), None);
        Self { due, timers, place }
    }

    /// What it waits for.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Waits until `due` instead.
    pub fn reset(&mut self, due: Instant) {
        self.clear();
        self.due = due;
    }

    /// Waits until the moment has come, and says when that was seen: within three milliseconds,
    /// unless the runtime is busy.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let now = Instant::now();
        if self.due <= now {
            // If its list has not been woken, it will be, in vain.
            self.place = None;
            return Poll::Ready(now);
        }
        self.place = self.timers.add(self.due, self.place, cx.waker());
        Poll::Pending
    }

    fn clear(&mut self) {
        if let Some(place) = self.place.take() {
            self.timers.remove(self.due, place);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut timer = f.debug_struct("Timer");
        timer.field("due", &self.due).finish_non_exhaustive()
    }
}

/// The timers that were made on one thread of a runtime.
struct Timers {
    runtime: Handle,
    /// Where the count of milliseconds begins.
    start: Instant,
    waiting: Mutex<Waiting>,
    /// One is due sooner than all others.
    sooner: Notify,
}

impl Timers {
    /// Those of this thread, as long as its runtime is the same.
    fn current() -> Arc<Self> {
        thread_local! {
            static LATEST: RefCell<Option<Arc<Timers>>> = const { RefCell::new(None) };
        }
        let runtime = Handle::current();
        LATEST.with_borrow_mut(|latest| {
            let known = latest.take();
            let known = known.filter(|known| known.runtime.id() == runtime.id());
            let new = || Self {
                runtime,
                start: Instant::now(),
                waiting: Mutex::default(),
                sooner: Notify::new(),
            };
            Arc::clone(latest.insert(known.unwrap_or_else(|| Arc::new(new()))))
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes `task` when `due` has come; it may have a `place` from before.
    fn add(self: &Arc<Self>, due: Instant, place: Option<u32>, task: &Waker) -> Option<u32> {
        let at = self.milliseconds_until(due);
        // Dropped when the lock is free again: it may be the last that keeps its task.
        let _other;
        let mut waiting = self.waiting();
        if let Some(known) = place.and_then(|place| waiting.find(at, place)) {
            if !known.will_wake(task) {
                _other = mem::replace(known, task.clone());
            }
            return place;
        }
        let at = at.max(waiting.next);
        let place = waiting.add(at, task.clone());
        match waiting.awaited {
            Some(awaited) if awaited <= at => {}
            Some(_) => self.sooner.notify_one(),
            None => {
                self.runtime.spawn(Arc::clone(self).wake());
                waiting.awaited = Some(at);
            }
        }
        place
    }

    fn remove(&self, due: Instant, place: u32) {
        let at = self.milliseconds_until(due);
        let _task = self.waiting().remove(at, place);
    }

    /// The first whole millisecond at which `due` has come.
    fn milliseconds_until(&self, due: Instant) -> u64 {
        let after = due.saturating_duration_since(self.start);
        let rest = after.subsec_nanos().div_ceil(1_000_000);
        after
            .as_secs()
            .saturating_mul(1000)
            .saturating_add(rest.into())
    }

    /// Wakes those that are due, until none waits and the last has been waited for.
    async fn wake(self: Arc<Self>) {
        let asleep = Asleep(&self);
        while let Some(at) = self.await_first() {
            let due = self.start + Duration::from_millis(at);
            if timeout_at(due, self.sooner.notified()).await.is_ok() {
                continue;
            }
            let passed = self.start.elapsed().as_millis();
            let passed = u64::try_from(passed).unwrap_or(u64::MAX);
            while let Some(list) = self.pop(passed) {
                list.into_iter().for_each(|(_, task)| task.wake());
            }
        }
        // Another may have begun.
        mem::forget(asleep);
    }

    /// The millisecond of the first list, which is awaited from now on.
    fn await_first(&self) -> Option<u64> {
        let mut waiting = self.waiting();
        waiting.awaited = waiting.first().map(|(at, _)| at);
        waiting.awaited
    }

    /// The first list, if it is due when so many milliseconds have passed.
    fn pop(&self, passed: u64) -> Option<Slab<Waker>> {
        let mut waiting = self.waiting();
        waiting.next = passed + 1;
        let first = waiting.first().filter(|(at, _)| *at <= passed);
        first.and_then(|first| waiting.take(first))
    }
}

/// When the task that wakes ends before its time, the next timer gets another.
struct Asleep<'a>(&'a Timers);

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.waiting().awaited = None;
    }
}

/// A list: its millisecond, and its number among the lists of that.
type Key = (u64, u32);

#[derive(Default)]
struct Waiting {
    lists: Slab<Slab<Waker>>,
    order: BTreeMap<Key, usize>,
    /// The list that was added to last: most often the next timer is due with it.
    latest: Option<(Key, usize)>,
    /// The first millisecond whose lists have not been woken.
    next: u64,
    /// What the task that wakes them waits for, where there is one.
    awaited: Option<u64>,
}

impl Waiting {
    fn first(&self) -> Option<Key> {
        self.order.keys().next().copied()
    }

    /// Adds one to a list that has room, and says where.
    fn add(&mut self, at: u64, task: Waker) -> Option<u32> {
        let is_full = |list: usize| self.lists[list].len() >= MOST as usize;
        let known = self.latest.filter(|((latest, _), _)| *latest == at);
        let known = known.or_else(|| {
            let mut lists = self.order.range((at, 0)..=(at, u32::MAX));
            lists.next_back().map(|(key, list)| (*key, *list))
        });
        let ((_, number), list) = match known {
            Some((key, list)) if !is_full(list) => (key, list),
            full => {
                let key = (at, full.map_or(0, |((_, number), _)| number + 1));
                let list = self.lists.insert(Slab::new());
                self.order.insert(key, list);
                (key, list)
            }
        };
        self.latest = Some(((at, number), list));
        let index = u32::try_from(self.lists[list].insert(task)).ok()?;
        // Without a place it is woken once in vain.
        number.checked_mul(MOST)?.checked_add(index)
    }

    /// Who waits there, if it has not been woken.
    fn find(&mut self, at: u64, place: u32) -> Option<&mut Waker> {
        let list = *self.order.get(&(at, place / MOST))?;
        self.lists[list].get_mut((place % MOST) as usize)
    }

    fn remove(&mut self, at: u64, place: u32) -> Option<Waker> {
        if at < self.next {
            return None;
        }
        let key = (at, place / MOST);
        let list = &mut self.lists[*self.order.get(&key)?];
        let task = list.try_remove((place % MOST) as usize);
        if list.is_empty() {
            self.take(key);
        }
        task
    }

    fn take(&mut self, key: Key) -> Option<Slab<Waker>> {
        self.latest = None;
        Some(self.lists.remove(self.order.remove(&key)?))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::time::{Instant, timeout};

    use super::{Timer, Timers};

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    async fn wait(timer: &mut Timer) -> Duration {
        let begin = Instant::now();
        poll_fn(|cx| timer.poll(cx)).await - begin
    }

    fn lists() -> usize {
        Timers::current().waiting().lists.len()
    }

    fn waiting() -> usize {
        let timers = Timers::current();
        let waiting = timers.waiting();
        waiting.lists.iter().map(|(_, list)| list.len()).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn each_ends_in_its_time_whichever_was_first() {
        let now = Instant::now();
        let [mut late, mut soon] = [HOUR, MINUTE].map(|after| Timer::new(now + after));
        let both = async { tokio::join!(wait(&mut late), wait(&mut soon)) };
        assert_eq!(both.await, (HOUR, MINUTE));
        soon.reset(soon.due() + MINUTE);
        assert_eq!(wait(&mut soon).await, Duration::ZERO);
        soon.reset(Instant::now() + MINUTE);
        assert_eq!(wait(&mut soon).await, MINUTE);
        assert_eq!(lists(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_due_together_share_a_list_which_goes_with_the_last() {
        let due = Instant::now() + HOUR;
        let task = &mut Context::from_waker(Waker::noop());
        let mut timers: Vec<_> = (0..1000).map(|_| Timer::new(due)).collect();
        for timer in &mut timers {
            assert!(timer.poll(task).is_pending() && timer.poll(task).is_pending());
        }
        assert_eq!((lists(), waiting()), (16, 1000));
        timers.drain(1..999);
        assert_eq!((lists(), waiting()), (2, 2));
        timers[1].reset(due + HOUR);
        timers[0].reset(due + HOUR);
        assert_eq!(lists(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_wakes_the_task_that_asked_last() {
        let mut timer = Timer::new(Instant::now() + MINUTE);
        assert!(
            timer
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert_eq!(wait(&mut timer).await, MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_is_reset_leaves_its_list() {
        let mut timer = Timer::new(Instant::now() + MINUTE);
        let mut dropped = pin!(poll_fn(|cx| {
            let _ = timer.poll(cx);
            timer.reset(Instant::now() + HOUR);
            Poll::<()>::Pending
        }));
        let time = timeout(2 * MINUTE, &mut dropped);
        assert!(time.await.is_err());
        assert_eq!(lists(), 0);
    }

    #[test]
    fn the_next_runtime_of_a_thread_has_timers_of_its_own() {
        let runtime = || {
            Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
        };
        let mut left = None;
        for _ in 0..2 {
            runtime().unwrap().block_on(async {
                let timers = Timers::current();
                assert!(
                    left.replace(Arc::clone(&timers))
                        .is_none_or(|it| !Arc::ptr_eq(&it, &timers))
                );
                let mut timer = Timer::new(Instant::now() + MINUTE);
                assert_eq!(wait(&mut timer).await, MINUTE);
                let forgotten = &mut Timer::new(Instant::now() + HOUR);
                assert!(
                    poll_fn(|cx| Poll::Ready(forgotten.poll(cx)))
                        .await
                        .is_pending()
                );
            });
        }
    }
}
