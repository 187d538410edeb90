//! Two processes on one checkpoint: at most one continues, and the table never gets an epoch twice.

use weir_tests::engine::{FENCED, OK};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::s3;
use weir_tests::{or_skip, table};

fn rig<'a>(kafka: &Kafka, store: Store<'a>) -> Rig {
    let mut rig = Rig::new(Pipeline::rides(), kafka, store, 3, &Rides { partitions: 3, ..Rides::new(4_000) }.records());
    rig.site.records_per_epoch = 400;
    rig
}

#[test]
fn of_two_new_writers_at_once_one_finishes_and_the_other_is_fenced_at_most() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    for store in [Store::Local, Store::S3(s3, None)] {
        let rig = rig(kafka, store);
        let both = [rig.start().spawn(), rig.start().spawn()];
        let exits = both.map(|engine| engine.wait(RUN_LIMIT));
        let codes = exits.each_ref().map(|e| e.code);
        assert!(codes.contains(&Some(OK)), "{exits:?}");
        assert!(codes.iter().all(|c| [Some(OK), Some(FENCED)].contains(c)), "{exits:?}");
        rig.assert_right();
    }
}

#[test]
fn a_writer_that_was_stopped_anywhere_is_fenced_when_it_wakes_after_another_has_finished() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for point in [
        "claim.after",
        "epoch.closed",
        "data.upload.after",
        "state.upload.after",
        "manifest.create.before",
        "manifest.create.after", // between the manifest and the commit, so the other process commits this epoch
        "commit.sink.before",
        "commit.sink.after",
    ] {
        let rig = rig(kafka, Store::Local);
        let nth = if point == "claim.after" { 1 } else { 3 };
        let mut stalled = rig.start().stop_at(point, nth).spawn();
        stalled.wait_until_stopped(RUN_LIMIT);
        rig.finish();
        let expected = rig.assert_right();
        stalled.cont();
        stalled.wait(RUN_LIMIT).expect(FENCED);
        assert_eq!(rig.assert_right(), expected, "stopped at {point}");
    }
}

#[test]
fn a_writer_that_wakes_after_two_generations_is_fenced() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    for store in [Store::Local, Store::S3(s3, None)] {
        let rig = rig(kafka, store);
        let mut stalled = rig.start().stop_at("manifest.create.before", 2).spawn();
        stalled.wait_until_stopped(RUN_LIMIT);
        assert!(rig.start().fail_at("epoch.done", 2).run(RUN_LIMIT).aborted());
        rig.finish();
        let expected = rig.assert_right();
        stalled.cont();
        stalled.wait(RUN_LIMIT).expect(FENCED);
        assert_eq!(rig.assert_right(), expected);
    }
}

#[test]
fn a_fenced_writer_says_so_in_one_sentence() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka, Store::Local);
    let mut stalled = rig.start().stop_at("manifest.create.after", 2).spawn();
    stalled.wait_until_stopped(RUN_LIMIT);
    rig.finish();
    stalled.cont();
    let exit = stalled.wait(RUN_LIMIT);
    assert!(exit.expect(FENCED).stderr.contains("another writer has taken over"), "{}", exit.stderr);
}
