//! Whose turn it is: the streams of a connection give it frames, and it writes them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// The frames that may wait for the connection's turn: h2 keeps for ever the room of all that ever
/// waited at a time, half a KiB each.
const AT_ONCE: usize = 64;

/// The turns of a connection.
pub(super) struct Turn {
    /// Where the count of nanoseconds begins.
    start: Instant,
    /// When the first frame came since the last turn.
    begun: AtomicU64,
    /// Frames that hyper was given since the last.
    frames: AtomicUsize,
    /// Tasks that wait for theirs.
    waiting: AtomicUsize,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// Always the same.
    connection: Option<Waker>,
    /// Those that came when no further frame was to be given.
    streams: VecDeque<Waker>,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            frames: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            tasks: Mutex::default(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the connection write what its streams have given it, and then other streams give more.
    pub(super) fn poll<F: Future + Unpin>(
        &self,
        serving: &mut F,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.frames.store(0, Relaxed);
        let mut tasks = self.tasks();
        tasks.connection.get_or_insert_with(|| cx.waker().clone());
        for _ in 0..AT_ONCE {
            let Some(stream) = tasks.streams.pop_front() else {
                break;
            };
            stream.wake();
        }
        if !tasks.streams.is_empty() {
            cx.waker().wake_by_ref();
        }
        drop(tasks);
        Pin::new(serving).poll(cx)
    }

    /// Notes that one more task waits for its turn.
    pub(super) fn add_waiting(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// Notes that one waits no more.
    pub(super) fn remove_waiting(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Whether any task waits for its turn.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Notes that hyper is given a frame, and says when the first of this turn came.
    pub(super) fn add_frame(&self) -> u64 {
        if self.frames.fetch_add(1, Relaxed) == 0 {
            self.begun.store(self.now(), Relaxed);
        }
        self.begun.load(Relaxed)
    }

    /// The present time, in nanoseconds of this connection.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment after so many nanoseconds.
    pub(super) fn instant(&self, nanos: u64) -> Instant {
        self.start + Duration::from_nanos(nanos)
    }

    /// Waits until a frame may be given.
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.frames.load(Relaxed) < AT_ONCE {
            return Poll::Ready(());
        }
        let mut tasks = self.tasks();
        tasks.streams.push_back(cx.waker().clone());
        if let Some(connection) = &tasks.connection {
            connection.wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Context, Wake, Waker};

    use super::{AT_ONCE, Turn};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn who_comes_too_late_for_a_turn_is_woken_once_in_the_next_ones() {
        let turn = Turn::new();
        let [connection, stream] = [0; 2].map(|_| Arc::<Woken>::default());
        let [one, other] = [&connection, &stream].map(|it| Waker::from(Arc::clone(it)));
        let [one, other] = [&one, &other].map(Context::from_waker);
        let (mut one, mut other) = (one, other);
        let serving = &mut Box::pin(pending::<()>());
        assert!(turn.poll(serving, &mut one).is_pending());
        for _ in 0..AT_ONCE {
            assert!(turn.poll_frame(&mut other).is_ready());
            turn.add_frame();
        }
        for _ in 0..=AT_ONCE {
            assert!(turn.poll_frame(&mut other).is_pending());
        }
        assert!(connection.0.swap(0, Relaxed) > 0);
        assert!(turn.poll(serving, &mut one).is_pending());
        assert_eq!(stream.0.load(Relaxed), AT_ONCE);
        assert!(turn.poll_frame(&mut other).is_ready());
        // One is left: the connection comes again by itself.
        assert_eq!(connection.0.swap(0, Relaxed), 1);
        assert!(turn.poll(serving, &mut one).is_pending());
        assert_eq!(stream.0.load(Relaxed), AT_ONCE + 1);
        assert_eq!(connection.0.load(Relaxed), 0);
    }
}
