//! The process is aborted before and after each step of an epoch and started again: no row is lost or doubled.

use weir_tests::engine::{Exit, Start};
use weir_tests::oracle::{Pipeline, Window};
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::s3;
use weir_tests::{engine, or_skip, table};

/// One record in this many is poison, so that each epoch has dead letters.
const POISON_EVERY: usize = 200;
/// The fail point that leaves an epoch in doubt. Only then does the next start have something to recover.
const LEAVES_AN_EPOCH_IN_DOUBT: &str = "manifest.create.after";

#[test]
fn every_step_with_a_local_table() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for point in points() {
        crash_and_verify(Pipeline::rides_with_side_outputs(), kafka, Store::Local, &point, 1);
    }
}

/// The steps before and between epochs. `generated_graphs.rs` has those of an epoch, for steps of each kind.
#[test]
fn steps_between_epochs_the_second_time_with_windows_that_overlap_or_are_sessions() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let sliding = Window::Sliding { size_us: 300_000_000, slide_us: 120_000_000, offset_us: 0 };
    let windows = [sliding, Window::Session { gap_us: 20_000_000 }];
    let of_epoch = ["epoch.", "data.", "state.", "manifest.", "commit.", "offsets."];
    let between = points().into_iter().filter(|point| !of_epoch.iter().any(|prefix| point.starts_with(prefix)));
    for (point, window) in between.zip(windows.into_iter().cycle()) {
        let pipeline = Pipeline { window, ..Pipeline::rides_with_side_outputs() };
        crash_and_verify(pipeline, kafka, Store::Local, &point, 2);
    }
}

#[test]
fn every_step_with_a_table_on_s3() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    for point in points() {
        crash_and_verify(Pipeline::rides_with_side_outputs(), kafka, Store::S3(s3, None), &point, 1);
    }
}

/// The fail points that every run passes. The others need partitions that come (`discovery.rs`), or a document that
/// asks for maintenance of its tables (`maintenance.rs`).
fn points() -> Vec<String> {
    engine::fail_points()
        .into_iter()
        .filter(|point| !point.starts_with("assignment.") && !point.starts_with("maintenance."))
        .collect()
}

fn crash_and_verify(pipeline: Pipeline, kafka: &Kafka, store: Store<'_>, point: &str, nth: u32) {
    let collects_garbage = point.starts_with("gc.");
    let late_per_million = if collects_garbage { 0 } else { 1_000 };
    let records = Rides { partitions: 3, late_per_million, step_us: 2_000_000, ..Rides::new(2_500) }.records();
    let records = poisoned(records, POISON_EVERY);
    let mut rig = Rig::new(pipeline, kafka, store, 3, &records);
    rig.site.records_per_epoch = 500;
    if collects_garbage {
        rig.site.keep = 2;
    }
    let reached = crash(&rig, &rig.start(), point, nth);
    assert!(reached || nth > 1, "{point} was never reached: this test tries nothing there");
    rig.finish();
    if collects_garbage {
        rig.assert_table_whole();
    } else {
        rig.assert_right();
    }
}

/// Whether the process was aborted at the point, on a fresh start or on a recovery.
fn crash(rig: &Rig, start: &Start, point: &str, nth: u32) -> bool {
    let exit = start.clone().fail_at(point, nth).run(RUN_LIMIT);
    if is_abort_at(&exit, point) {
        return true;
    }
    exit.expect(engine::OK);
    // Everything is read: produce more, leave an epoch in doubt, and let the next start pass the point.
    rig.produce(&Rides { partitions: 3, ..Rides::ordered(600) }.starting(2 * 3_600_000_000).records());
    let exit = start.clone().fail_at(LEAVES_AN_EPOCH_IN_DOUBT, 1).run(RUN_LIMIT);
    assert!(is_abort_at(&exit, LEAVES_AN_EPOCH_IN_DOUBT), "{exit:?}");
    is_abort_at(&start.clone().fail_at(point, nth).run(RUN_LIMIT), point)
}

fn is_abort_at(exit: &Exit, point: &str) -> bool {
    assert!(!exit.aborted() || exit.phase == point, "aborted at {} instead of {point}:\n{}", exit.phase, exit.stderr);
    exit.aborted()
}
