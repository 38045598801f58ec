//! Ticks as a stream, with a wall clock that the tests set.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use sse_clock::options::Framing;
use sse_clock::stream::interval::{Interval, Source, set_interval};
use sse_clock::stream::keep_alive::{SILENCE, keep_alive};
use sse_clock::stream::resume::{self, CATCH_UP, Due};
use sse_clock::stream::script::frames;
use sse_clock::stream::sse::Block;
use tokio::time::{Instant, advance, timeout};
use tokio_stream::{Stream, StreamExt, once};

use crate::support::reply::milliseconds;

const START: u64 = 1_763_699_759_123;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

thread_local! {
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
    static OFFSET: Cell<i64> = const { Cell::new(0) };
}

/// The wall clock, which advances with the paused clock and is set by an offset.
fn wall_clock() -> u64 {
    let origin = ORIGIN.get().expect("the clocks are set");
    (START + milliseconds(origin.elapsed())).saturating_add_signed(OFFSET.get())
}

fn set_clocks() {
    ORIGIN.set(Some(Instant::now()));
    OFFSET.set(0);
}

fn set_wall_clock_by(milliseconds: i64) {
    OFFSET.set(OFFSET.get() + milliseconds);
}

/// The next item, and how long the wait for the item took.
async fn next<T>(stream: &mut (impl StreamExt<Item = T> + Unpin)) -> (T, Duration) {
    let before = Instant::now();
    let item = stream.next().await.expect("it never ends");
    (item, before.elapsed())
}

/// All ticks and gaps that are due now.
async fn due(ticks: &mut (impl StreamExt<Item = Due> + Unpin)) -> Vec<Due> {
    let mut all = Vec::new();
    while let Ok(due) = timeout(Duration::ZERO, ticks.next()).await {
        all.extend(due);
        assert!(all.len() < 5000, "the ticks do not end");
    }
    all
}

fn live(interval: Duration) -> impl Stream<Item = Due> {
    ticks_of(set_interval(
        milliseconds(interval),
        Source::Time(wall_clock),
        |_| Bytes::new(),
    ))
}

fn ticks_of(interval: Interval) -> impl Stream<Item = Due> {
    interval.map(|tick| Due::Tick(tick.id))
}

fn resumed(interval: Duration, last: Option<u64>) -> impl Stream<Item = Due> {
    resume::resume(interval, wall_clock, last)
}

/// The `ticks` as blocks that contain their due times, with keep-alive comments.
fn kept_alive(ticks: impl Stream<Item = Due>) -> impl Stream<Item = Block> {
    let blocks = ticks.map(|due| match due {
        Due::Tick(at) => said(at),
        Due::Gap(_) => panic!("no clock is set"),
    });
    once(Block::FIRST_COMMENT).chain(keep_alive(blocks, SILENCE, Block::COMMENT))
}

fn said(at: u64) -> Block {
    Block::event(at.to_string().into())
}

fn ticks(from: u64, interval: u64, count: u64) -> Vec<Due> {
    (0..count).map(|k| Due::Tick(from + k * interval)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_tick_comes_after_one_interval() {
    set_clocks();
    let mut ticks = Box::pin(live(SECOND));
    assert_eq!(next(&mut ticks).await, (Due::Tick(START + 1000), SECOND));
    assert_eq!(next(&mut ticks).await, (Due::Tick(START + 2000), SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_first_tick_comes_at_once_where_it_is_wanted() {
    set_clocks();
    let interval = set_interval(1000, Source::Time(wall_clock), |_| Bytes::new());
    let mut ticks = Box::pin(ticks_of(interval.at_once()));
    assert_eq!(next(&mut ticks).await, (Due::Tick(START), Duration::ZERO));
    assert_eq!(next(&mut ticks).await, (Due::Tick(START + 1000), SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_stream_begins_with_its_first_poll() {
    set_clocks();
    let mut plain = Box::pin(live(SECOND));
    let mut with_ids = Box::pin(resumed(SECOND, None));
    advance(10 * SECOND).await;
    assert_eq!(next(&mut plain).await, (Due::Tick(START + 11_000), SECOND));
    assert_eq!(
        next(&mut with_ids).await,
        (Due::Tick(START + 12_000), SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn without_ids_a_stalled_reader_skips_ticks_and_stays_on_schedule() {
    set_clocks();
    let mut ticks = Box::pin(live(SECOND));
    next(&mut ticks).await;
    advance(Duration::from_millis(5300)).await;
    assert_eq!(due(&mut ticks).await, [Due::Tick(START + 6300)]);
    assert_eq!(
        next(&mut ticks).await,
        (Due::Tick(START + 7000), Duration::from_millis(700))
    );
}

#[tokio::test(start_paused = true)]
async fn with_ids_a_stalled_reader_gets_what_fell_due() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, None));
    next(&mut stream).await;
    advance(Duration::from_millis(5300)).await;
    assert_eq!(due(&mut stream).await, ticks(START + 2000, 1000, 5));
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 7000), Duration::from_millis(700))
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_for_long_gets_the_newest_thousand_and_a_gap() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, None));
    next(&mut stream).await;
    advance(1003 * SECOND).await;
    let mut expected = vec![Due::Gap(3)];
    expected.extend(ticks(START + 5000, 1000, CATCH_UP));
    assert_eq!(due(&mut stream).await, expected);
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 1_005_000), SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reconnects_gets_what_it_missed_and_then_what_falls_due() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, Some(START - 3456)));
    assert_eq!(due(&mut stream).await, ticks(START - 2456, 1000, 3));
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 544), Duration::from_millis(544))
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_one_interval_ahead_is_waited_for() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, Some(START + 1000)));
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 2000), 2 * SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_further_ahead_is_ignored_and_is_no_gap() {
    set_clocks();
    for ahead in [1001, 3_600_000, 315_360_000_000] {
        let now = wall_clock();
        let mut stream = Box::pin(resumed(SECOND, Some(now + ahead)));
        assert_eq!(next(&mut stream).await, (Due::Tick(now + 1000), SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_back_by_more_than_an_interval_is_a_gap_and_a_new_start() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, None));
    next(&mut stream).await;
    set_wall_clock_by(-3_600_000);
    assert_eq!(next(&mut stream).await, (Due::Gap(0), SECOND));
    let now = wall_clock();
    assert_eq!(now, START + 2000 - 3_600_000);
    assert_eq!(next(&mut stream).await, (Due::Tick(now + 1000), SECOND));
    assert_eq!(next(&mut stream).await, (Due::Tick(now + 2000), SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_back_by_an_interval_at_most_is_waited_for() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, None));
    next(&mut stream).await;
    set_wall_clock_by(-1000);
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 2000), 2 * SECOND)
    );
    set_wall_clock_by(-1);
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 3000), SECOND + Duration::from_millis(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_set_forward_is_caught_up_with_under_the_cap() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, None));
    next(&mut stream).await;
    set_wall_clock_by(3_600_000);
    advance(SECOND).await;
    let mut expected = vec![Due::Gap(2601)];
    expected.extend(ticks(START + 2_603_000, 1000, CATCH_UP));
    assert_eq!(due(&mut stream).await, expected);
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 3_603_000), SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn a_day_has_86_400_seconds_with_ids_and_without() {
    set_clocks();
    a_day_of(live(SECOND)).await;
    a_day_of(resumed(SECOND, None)).await;
}

async fn a_day_of(stream: impl Stream<Item = Due>) {
    let mut stream = Box::pin(stream);
    let begin = wall_clock();
    for second in 1..=86_400 {
        let due = stream.next().await.unwrap();
        assert_eq!(due, Due::Tick(begin + 1000 * second));
    }
    assert_eq!(wall_clock(), begin + 86_400_000);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_a_little_late_each_time_makes_no_drift() {
    set_clocks();
    let mut stream = Box::pin(resumed(SECOND, None));
    for second in 1..=3600 {
        let due = stream.next().await.unwrap();
        assert_eq!(due, Due::Tick(START + 1000 * second));
        advance(Duration::from_millis(second % 7)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_comment_comes_first_and_after_fifteen_seconds_of_silence() {
    set_clocks();
    let quarter = Duration::from_secs(15);
    let mut stream = Box::pin(kept_alive(live(40 * SECOND)));
    let comment = Block::COMMENT;
    assert_eq!(
        next(&mut stream).await,
        (Block::FIRST_COMMENT, Duration::ZERO)
    );
    assert_eq!(next(&mut stream).await, (comment.clone(), quarter));
    assert_eq!(next(&mut stream).await, (comment.clone(), quarter));
    let tick = said(START + 40_000);
    assert_eq!(next(&mut stream).await, (tick, 10 * SECOND));
    assert_eq!(next(&mut stream).await, (comment, quarter));
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_enough_events_needs_no_comments() {
    set_clocks();
    let mut stream = Box::pin(kept_alive(resumed(14 * SECOND, None)));
    assert_eq!(
        next(&mut stream).await,
        (Block::FIRST_COMMENT, Duration::ZERO)
    );
    for k in 1..=10 {
        let tick = said(START + 14_000 * k);
        assert_eq!(next(&mut stream).await, (tick, 14 * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_comments_sleeps_until_its_tick() {
    set_clocks();
    let mut stream = Box::pin(live(HOUR));
    assert_eq!(
        next(&mut stream).await,
        (Due::Tick(START + 3_600_000), HOUR)
    );
}

/// The `ticks` as blocks that contain their due times, with a frame every 35 ms.
fn paced(ticks: impl Stream<Item = Due>) -> impl Stream<Item = Block> {
    let blocks = ticks.map(|due| match due {
        Due::Tick(at) => Ok::<_, Infallible>(said(at)),
        Due::Gap(_) => panic!("no clock is set"),
    });
    let requested = Framing {
        split: Some(1024),
        pace: Some(Duration::from_millis(35)),
        ..Framing::default()
    };
    frames(blocks, requested).map(|block| block.unwrap_or_else(|never| match never {}))
}

#[tokio::test(start_paused = true)]
async fn ticks_that_fall_due_within_a_pace_are_skipped_without_ids() {
    set_clocks();
    let mut stream = Box::pin(paced(live(Duration::from_millis(10))));
    let mut waits = Vec::new();
    for (due, at) in [(10, 10), (20, 45), (45, 80), (80, 115), (115, 150)] {
        let (block, _) = next(&mut stream).await;
        assert_eq!(block, said(START + due));
        waits.push((wall_clock() - START, at));
    }
    assert!(waits.iter().all(|(came, at)| came == at), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn ticks_that_fall_due_within_a_pace_are_sent_late_with_ids() {
    set_clocks();
    let mut stream = Box::pin(paced(resumed(Duration::from_millis(10), None)));
    for k in 1..=20 {
        let (block, _) = next(&mut stream).await;
        assert_eq!(block, said(START + 10 * k));
        assert_eq!(wall_clock() - START, 10 + 35 * (k - 1));
    }
}
