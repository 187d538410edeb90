//! The machine's clock steps forward and back while a pipeline runs, and between two runs.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use weir_tests::engine::OK;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::{Rides, START_US};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record};
use weir_tests::wall_clock::WallClock;
use weir_tests::{or_skip, table};

const SECOND_US: i64 = 1_000_000;
const HOUR_S: i64 = 3_600;
const PART: usize = 300;

/// The `nth` part of rides that began two hours ago, so that their times are near the clock's.
fn part(nth: usize) -> Vec<Record> {
    let now_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let began_us = now_us - 2 * HOUR_S * SECOND_US - START_US;
    let after_us = i64::try_from(nth * PART).unwrap() * SECOND_US;
    Rides { partitions: 2, seed: nth as u64, late_per_million: 0, ..Rides::new(PART) }
        .starting(began_us + after_us)
        .records()
}

#[test]
fn steps_of_the_clock_stop_no_pipeline_and_lose_no_row() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline {
        idle_after_us: Some(SECOND_US),
        close_idle_windows_after_us: Some(HOUR_S * SECOND_US),
        ..Pipeline::rides_with_side_outputs()
    };
    let rig = Rig::new(pipeline, kafka, Store::Local, 2, &[]);
    let clock = or_skip!(WallClock::new(rig.folder()));
    let endless = || clock.under(rig.start_with(json!({"type": "AsSoonAsPossible"}))).spawn();
    let mut parts = 0;
    // The clock steps back by less than `maxFuture`, since rows that are further ahead are bad.
    for steps in [&[0, 3 * HOUR_S, 0, -HOUR_S / 2][..], &[-HOUR_S / 2, 5 * HOUR_S, HOUR_S]] {
        clock.step(steps[0]);
        let mut run = endless();
        for (read, ahead_s) in (1..).zip(steps) {
            clock.step(*ahead_s);
            rig.produce(&part(parts));
            parts += 1;
            run.wait_for_records(read * PART as u64, RUN_LIMIT);
        }
        if parts == steps.len() {
            let _ = run.kill();
        } else {
            run.terminate();
            run.wait(RUN_LIMIT).expect(OK);
        }
    }
    rig.finish();
    let outcome = rig.assert_right_of(&topic::read_for_another_clock(&rig.site.bootstrap, &rig.site.topic));
    assert_eq!((outcome.read, outcome.rejected.len()), ((parts * PART) as u64, 0));
    let clocks_us: Vec<i64> = rig.manifests().iter().map(|m| m.clock_us).collect();
    let ahead_us = clocks_us.iter().max().unwrap() - clocks_us.last().unwrap();
    assert!(ahead_us > 4 * HOUR_S * SECOND_US, "the clock should have stepped: {clocks_us:?}");
    assert!(clocks_us.windows(2).any(|pair| pair[1] < pair[0] - HOUR_S * SECOND_US), "and back: {clocks_us:?}");
}
