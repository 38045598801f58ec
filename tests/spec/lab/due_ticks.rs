//! Which ticks are due after an id.

use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use sse_clock::stream::resume::{CATCH_UP, Due, due, start, tick_of};

const MAX: u64 = u64::MAX;

#[test]
fn the_ticks_that_are_due_come_after_the_last_and_not_after_now() {
    use Due::{Gap, Tick};
    for (last, interval, now, next) in [
        (100, 10, 100, None),
        (100, 10, 109, None),
        (100, 10, 110, Some(Tick(110))),
        (100, 10, 119, Some(Tick(110))),
        (100, 10, 120, Some(Tick(110))),
        (107, 10, 120, Some(Tick(117))),
        (100, 10, 0, None),
        (110, 10, 100, None),
        (0, 1, 999, Some(Tick(1))),
        (0, 1, 1000, Some(Tick(1))),
        (0, 1, 1001, Some(Gap(1))),
        (0, 10, 10_009, Some(Tick(10))),
        (0, 10, 10_019, Some(Gap(1))),
        (0, 10, 10_020, Some(Gap(2))),
        (0, 1, MAX, Some(Gap(MAX - 1000))),
        (0, MAX, MAX, Some(Tick(MAX))),
        (1, MAX, MAX, None),
        (MAX, 1, MAX, None),
    ] {
        assert_eq!(due(last, interval, now), next, "{last} {interval} {now}");
    }
}

#[test]
fn an_id_is_a_number_and_nothing_else() {
    for (id, named) in [
        ("0", Some(0)),
        ("1763699759123", Some(1_763_699_759_123)),
        ("007", Some(7)),
        ("18446744073709551615", Some(MAX)),
        ("18446744073709551616", None),
        ("", None),
        ("…", None),
        ("-1", None),
        ("+5", None),
        (" 5 ", None),
        ("1e9", None),
        ("0x10", None),
        ("5\0", None),
        ("٥", None),
        (&"9".repeat(400), None),
    ] {
        assert_eq!(tick_of(id), named, "{id:?}");
    }
}

#[test]
fn a_stream_resumes_after_an_id_of_at_most_one_interval_in_the_future() {
    for (last, interval, now, begins) in [
        (None, 10, 100, 100),
        (Some(0), 10, 100, 0),
        (Some(100), 10, 100, 100),
        (Some(110), 10, 100, 110),
        (Some(111), 10, 100, 100),
        (Some(MAX), 10, 100, 100),
        (Some(MAX), 10, MAX, MAX),
        (Some(MAX), MAX, 100, MAX),
    ] {
        assert_eq!(
            start(last, interval, now),
            begins,
            "{last:?} {interval} {now}"
        );
    }
}

fn moment() -> impl proptest::strategy::Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..5000_u64,
        (MAX - 5000)..=MAX,
        (1_763_699_759_000..1_763_699_769_000_u64),
    ]
}

fn interval() -> impl proptest::strategy::Strategy<Value = u64> {
    prop_oneof![1..=MAX, 1..50_u64, 10..=3_600_000_u64]
}

proptest! {
    #[test]
    fn the_newest_ticks_after_the_last_id_are_sent_and_none_after_now(
        last in proptest::option::of(moment()),
        interval in interval(),
        now in moment(),
    ) {
        let begin = start(last, interval, now);
        match last {
            Some(last) if u128::from(last) <= u128::from(now) + u128::from(interval) => {
                prop_assert_eq!(begin, last);
            }
            _ => prop_assert_eq!(begin, now),
        }

        let [wide_begin, wide_interval, wide_now] = [begin, interval, now].map(u128::from);
        let all = wide_now.saturating_sub(wide_begin) / wide_interval;
        let newest = all.saturating_sub(u128::from(CATCH_UP)) + 1..=all;
        let expected: Vec<u128> = newest.map(|k| wide_begin + k * wide_interval).collect();

        let (mut at, mut left_out, mut sent) = (begin, 0, Vec::new());
        while let Some(next) = due(at, interval, now) {
            match next {
                Due::Tick(tick) => {
                    sent.push(u128::from(tick));
                    at = tick;
                }
                Due::Gap(ticks) => {
                    prop_assert!(ticks > 0 && left_out == 0 && sent.is_empty());
                    left_out = ticks;
                    at += ticks * interval;
                }
            }
        }
        prop_assert!(sent.iter().all(|id| wide_begin < *id && *id <= wide_now));
        prop_assert_eq!(&sent, &expected);
        prop_assert_eq!(u128::from(left_out) + sent.len() as u128, all);
    }
}
