//! Node's timers: those that are due together are one timer of the system's, with a list.
//!
//! The runtime would keep a timer of its own for each that waits, and move it from list to list as
//! its time comes near: for a million of them that costs more than all that is done when it comes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::runtime::{self, Handle};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// A wait for a moment; dropping it is Node's `clearTimeout`.
#[derive(Debug)]
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

    /// Waits until the moment has come, and says when that was seen: within two milliseconds,
    /// unless the runtime is busy.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let now = Instant::now();
        if self.due <= now {
            // Its list is woken at once, if it was not.
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

/// The timers that were made on one thread of a runtime.
#[derive(Debug)]
struct Timers {
    /// Where the count of milliseconds begins.
    start: Instant,
    waiting: Mutex<Waiting>,
    /// One is due sooner than all others.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Who is due in the same millisecond.
    lists: Slab<Slab<Waker>>,
    /// The lists by their milliseconds, and the one that was asked for last: so are the next.
    order: BTreeMap<u64, usize>,
    latest: Option<(u64, usize)>,
    /// The first millisecond whose list has not been woken.
    next: u64,
    /// What the task that wakes them waits for, where there is one.
    awaited: Option<u64>,
}

impl Timers {
    /// Those of this thread, as long as its runtime is the same.
    fn current() -> Arc<Self> {
        thread_local! {
            static LATEST: RefCell<Option<(runtime::Id, Arc<Timers>)>> = const { RefCell::new(None) };
        }
        let new = || Self {
            start: Instant::now(),
            waiting: Mutex::default(),
            sooner: Notify::new(),
        };
        let runtime = Handle::current().id();
        LATEST.with_borrow_mut(|latest| {
            let known = latest.take().filter(|(known, _)| *known == runtime);
            let (_, timers) = latest.insert(known.unwrap_or_else(|| (runtime, Arc::new(new()))));
            Arc::clone(timers)
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
                _other = std::mem::replace(known, task.clone());
            }
            return place;
        }
        let at = at.max(waiting.next);
        let place = waiting.list(at).insert(task.clone());
        match waiting.awaited {
            Some(awaited) if awaited <= at => {}
            Some(_) => self.sooner.notify_one(),
            None => {
                waiting.awaited = Some(at);
                tokio::spawn(Arc::clone(self).wake());
            }
        }
        // Without a place it is woken once in vain.
        u32::try_from(place).ok()
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

    /// Wakes those that are due, for as long as any are waiting.
    async fn wake(self: Arc<Self>) {
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
    }

    /// The millisecond of the first list, which is awaited from now on.
    fn await_first(&self) -> Option<u64> {
        let mut waiting = self.waiting();
        waiting.awaited = waiting.order.keys().next().copied();
        waiting.awaited
    }

    /// The first list, if it is due when so many milliseconds have passed.
    fn pop(&self, passed: u64) -> Option<Slab<Waker>> {
        let mut waiting = self.waiting();
        waiting.next = passed + 1;
        let first = waiting.order.keys().next().copied();
        waiting.take(first.filter(|first| *first <= passed)?)
    }
}

impl Waiting {
    fn list(&mut self, at: u64) -> &mut Slab<Waker> {
        let known = self.latest.filter(|(latest, _)| *latest == at);
        let new = || self.lists.insert(Slab::new());
        let index = known.map_or_else(|| *self.order.entry(at).or_insert_with(new), |it| it.1);
        self.latest = Some((at, index));
        &mut self.lists[index]
    }

    fn take(&mut self, at: u64) -> Option<Slab<Waker>> {
        self.latest = None;
        Some(self.lists.remove(self.order.remove(&at)?))
    }

    /// Who waits there, if it has not been woken.
    fn find(&mut self, at: u64, place: u32) -> Option<&mut Waker> {
        let list = *self.order.get(&at)?;
        self.lists[list].get_mut(place as usize)
    }

    fn remove(&mut self, at: u64, place: u32) -> Option<Waker> {
        if at < self.next {
            return None;
        }
        let list = &mut self.lists[*self.order.get(&at)?];
        let task = list.try_remove(place as usize);
        if list.is_empty() {
            self.take(at);
        }
        task
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
        assert_eq!(lists(), 1);
        timers.truncate(1);
        let known = Timers::current();
        let waiting = known
            .waiting()
            .lists
            .iter()
            .map(|(_, it)| it.len())
            .sum::<usize>();
        assert_eq!(waiting, 1);
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
