//! Node's timers: those that are due together are few timers of the runtime's, with a list each.
//!
//! The runtime would keep a timer of its own for each that waits, and move it from list to list as
//! its time comes near: with a million of them, a fifth of what an event costs.

mod lists;

use std::cell::RefCell;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::{fmt, mem};

use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until};

use lists::{List, Lists, Place};

/// A wait for a moment; dropping it is Node's `clearTimeout`.
pub struct Timer {
    due: Instant,
    timers: Arc<Timers>,
    /// Where it waits among those that are due with it.
    place: Option<Place>,
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
    ///
    /// # Panics
    ///
    /// If the timers of its runtime are disabled, or are needed when that has been shut down.
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
    /// How many lists there have been.
    opened: AtomicU64,
    lists: Mutex<Lists>,
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
                opened: AtomicU64::new(0),
                lists: Mutex::default(),
            };
            Arc::clone(latest.insert(known.unwrap_or_else(|| Arc::new(new()))))
        })
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes `task` when `due` has come; it may have a `place` from before.
    fn add(self: &Arc<Self>, due: Instant, place: Option<Place>, task: &Waker) -> Option<Place> {
        let at = self.milliseconds_until(due);
        // Dropped when the lock is free again: it may be the last that keeps its task.
        let _other;
        let mut lists = self.lists();
        if let Some(known) = place.and_then(|place| lists.find(at, place)) {
            if !known.will_wake(task) {
                _other = mem::replace(known, task.clone());
            }
            return place;
        }
        let place = lists.add(at, task);
        drop(lists);
        place.or_else(|| self.open(at, task))
    }

    /// Opens a list for `task`, or wakes it if the millisecond has come meanwhile.
    fn open(self: &Arc<Self>, at: u64, task: &Waker) -> Option<Place> {
        let number = self.opened.fetch_add(1, Relaxed);
        let timers = Arc::clone(self);
        let bell = Waker::from(Arc::new(Bell { timers, at, number }));
        let _runtime = self.runtime.enter();
        let mut alarm = Box::pin(sleep_until(self.start + Duration::from_millis(at)));
        // Without the lock, for the bell takes it; and whatever budget is left to the task that
        // asks, for with none the bell would ring at once.
        let _ = pin!(unconstrained(alarm.as_mut())).poll(&mut Context::from_waker(&bell));
        let mut lists = self.lists();
        if alarm.is_elapsed() {
            drop(lists);
            task.wake_by_ref();
            return None;
        }
        lists.open(at, number, alarm, task)
    }

    fn remove(&self, due: Instant, place: Place) {
        let at = self.milliseconds_until(due);
        let _removed = self.lists().remove(at, place);
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
}

/// Wakes all of a list.
struct Bell {
    timers: Arc<Timers>,
    at: u64,
    number: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let list = self.timers.lists().take(self.at, self.number);
        let Some(List { mut tasks, .. }) = list else {
            return;
        };
        let number = tasks.len();
        tasks.drain().for_each(Waker::wake);
        self.timers.lists().spare(tasks, number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::mem;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::thread;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;
    use tokio::task::coop::{consume_budget, has_budget_remaining};
    use tokio::time::{Instant, sleep_until, timeout};

    use super::{Timer, Timers};

    const MILLISECOND: Duration = Duration::from_millis(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    async fn wait(timer: &mut Timer) -> Duration {
        let begin = Instant::now();
        poll_fn(|cx| timer.poll(cx)).await - begin
    }

    fn waiting() -> (usize, usize) {
        Timers::current().lists().size()
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
        assert_eq!(waiting(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_due_together_share_a_list_which_goes_with_the_last() {
        let due = Instant::now() + HOUR;
        let task = &mut Context::from_waker(Waker::noop());
        let mut timers: Vec<_> = (0..1000).map(|_| Timer::new(due)).collect();
        for timer in &mut timers {
            assert!(timer.poll(task).is_pending() && timer.poll(task).is_pending());
        }
        assert_eq!(waiting(), (1000, 16));
        timers.drain(1..999);
        assert_eq!(waiting(), (2, 2));
        timers[1].reset(due + HOUR);
        timers[0].reset(due + HOUR);
        assert_eq!(waiting(), (0, 0));
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
        assert_eq!(waiting(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_without_budget_is_woken_in_time() {
        let begin = Instant::now();
        let mut timer = Timer::new(begin + MINUTE);
        let mut polls = 0;
        let spent = poll_fn(|cx| {
            polls += 1;
            assert!(polls <= 2, "woken before its time");
            while has_budget_remaining() {
                let _ = pin!(consume_budget()).poll(cx);
            }
            timer.poll(cx)
        });
        assert_eq!(spent.await - begin, MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_lists_have_the_room_of_some_that_rang() {
        let due = Instant::now() + MINUTE;
        let mut timers: Vec<_> = (0..64 * 40).map(|_| Timer::new(due)).collect();
        let wait_for_all = async |timers: &mut [Timer]| {
            for timer in timers {
                let asked = poll_fn(|cx| Poll::Ready(timer.poll(cx))).await;
                assert!(asked.is_pending());
            }
        };
        wait_for_all(&mut timers).await;
        sleep_until(due).await;
        let rooms = || Timers::current().lists().rooms();
        assert_eq!((waiting(), rooms()), ((0, 0), 16));
        for timer in &mut timers {
            timer.reset(due + HOUR);
        }
        wait_for_all(&mut timers[..65]).await;
        assert_eq!((waiting(), rooms()), ((65, 2), 14));
        wait_for_all(&mut timers).await;
        assert_eq!((waiting(), rooms()), ((64 * 40, 40), 0));
    }

    #[test]
    #[should_panic = "timers are disabled"]
    fn a_runtime_without_timers_is_told_so() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut timer = Timer::new(Instant::now() + MINUTE);
            poll_fn(|cx| timer.poll(cx)).await;
        });
    }

    #[test]
    fn a_runtime_that_ends_leaves_no_list() {
        let runtime = || Builder::new_current_thread().enable_time().build().unwrap();
        let timers = runtime().block_on(async {
            let mut timer = Timer::new(Instant::now() + HOUR);
            let _ = poll_fn(|cx| Poll::Ready(timer.poll(cx))).await;
            assert_eq!(waiting(), (1, 1));
            mem::forget(timer);
            Timers::current()
        });
        assert_eq!(timers.lists().size(), (0, 0));
    }

    #[test]
    fn timers_wake_other_threads_than_their_runtimes() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let (done, all_done) = oneshot::channel();
        let others = runtime.handle().clone();
        let others = thread::spawn(move || {
            let waits = || {
                others.block_on(async {
                    let mut timer = Timer::new(Instant::now());
                    for _ in 0..50 {
                        timer.reset(timer.due() + MILLISECOND);
                        wait(&mut timer).await;
                    }
                });
            };
            thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(waits))));
            done.send(()).unwrap();
        });
        runtime.block_on(all_done).unwrap();
        others.join().unwrap();
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
