//! Partitions that get ahead of the others while a backlog is read.

use weir_tests::oracle::{Pipeline, Window};
use weir_tests::rides::Rides;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const SECOND_US: i64 = 1_000_000;
const SPAN_S: i64 = 2_000;
/// Rides per second of event time in the fast partition. The slow partition has three times as many.
const FAST: i64 = 10;

/// Which partition is read first.
#[derive(Clone, Copy, PartialEq)]
enum First {
    /// All of the fast one, in a separate run in which the slow one has a single record, which holds the watermark.
    TheFast,
    Any,
}

/// The greatest number of windows that were open after an epoch. A window has 10 s.
fn most_open(kafka: &Kafka, max_skew_us: Option<i64>, first: First) -> u64 {
    // `idleAfter` is so long that the slow partition does not become idle before it gets more records.
    let pipeline = Pipeline {
        window: Window::tumbling(10 * SECOND_US),
        delay_us: SECOND_US,
        max_skew_us,
        idle_after_us: Some(3_600 * SECOND_US),
        ..Pipeline::rides()
    };
    let of = |partition: i32, density: i64| {
        let rides = Rides {
            seed: density.unsigned_abs(),
            step_us: SECOND_US / density,
            ..Rides::ordered(usize::try_from(density * SPAN_S).unwrap())
        };
        rides.records().into_iter().map(move |ride| Record { partition, ..ride }).collect::<Vec<_>>()
    };
    let (fast, slow) = (of(0, FAST), of(1, 3 * FAST));
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 2, &[]);
    rig.site.records_per_epoch = 500;
    match first {
        First::TheFast => rig.finish_in_parts(&[&[&fast[..], &slow[..1]].concat(), &slow[1..]]),
        First::Any => rig.finish_in_parts(&[&[fast, slow].concat()]),
    };
    assert_eq!(rig.assert_right().late, 0);
    rig.manifests().iter().map(|m| m.open_windows).max().unwrap()
}

#[test]
fn the_windows_open_at_a_replay_are_bounded_by_the_skew_allowed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (bounded, free) = (most_open(kafka, Some(20 * SECOND_US), First::Any), most_open(kafka, None, First::TheFast));
    println!("windows open at most: {bounded} with maxSkew 20s, {free} without");
    // 20 s of skew, and 50 s that one epoch may read of the fast partition beyond it.
    assert!(bounded <= 9, "{bounded} windows open");
    assert_eq!(free, (SPAN_S / 10).unsigned_abs(), "without it, all windows of the fast partition are open");
}
