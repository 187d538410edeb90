//! Windows that no later record closes. They are closed by the clock where the document asks for it, and at the end of
//! a run.

use serde_json::{Value as Json, json};
use weir_tests::engine::{OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::Site;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{deadline, or_skip, table};

const SECOND_US: i64 = 1_000_000;

fn emit_all() -> Json {
    json!({"type": "AvailableNow", "onEnd": "EmitAll"})
}

#[test]
fn a_quiet_topics_last_windows_are_closed_by_the_clock_and_what_comes_for_them_later_is_late() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline {
        idle_after_us: Some(SECOND_US),
        close_idle_windows_after_us: Some(2 * SECOND_US),
        ..Pipeline::rides_with_side_outputs()
    };
    let rides = Rides { partitions: 2, ..Rides::ordered(2_000) };
    let rig = Rig::new(pipeline, kafka, Store::Local, 3, &rides.records());
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(2_000, RUN_LIMIT);
    let closed = deadline::until("no window is open", RUN_LIMIT, || {
        rig.manifests().pop().filter(|m| m.read == 0 && m.open_windows == 0)
    });
    assert_eq!(closed.moved_by.as_deref(), Some("Clock"));
    // The last ride is at 1999 s: this is about its window, which ended at 2100 s, and the one after it. A separate run
    // reads them in one epoch, so the clock closes no window between two of them.
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let later = Rides { partitions: 1, ..Rides::ordered(200) }.starting(2_000 * SECOND_US).records();
    rig.finish_in_parts(&[&later]);
    let outcome = rig.assert_right();
    assert_eq!((outcome.late, outcome.late_rows.len()), (100, 100));
}

#[test]
fn a_run_that_emits_all_leaves_no_window_open_whatever_was_killed_and_the_next_one_goes_on() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = Rig::new(
        Pipeline::rides_with_side_outputs(),
        kafka,
        Store::Local,
        2,
        &Rides { partitions: 2, ..Rides::ordered(1_000) }.records(),
    );
    rig.site.trigger = emit_all();
    rig.site.records_per_epoch = 400;
    for (point, nth) in [("manifest.create.before", 3), ("manifest.create.after", 1)] {
        assert!(rig.start().fail_at(point, nth).run(RUN_LIMIT).aborted(), "the last epoch comes to {point}");
    }
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!((outcome.groups_open, outcome.late), (0, 0));
    assert_eq!(rig.manifests().iter().filter(|m| m.moved_by.as_deref() == Some("EndOfRun")).count(), 1);
    rig.produce(&Rides { partitions: 2, ..Rides::ordered(500) }.starting(1_000 * SECOND_US).records());
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!((outcome.groups_open, outcome.late), (0, 200), "the window up to 1200 s was written with the first run");
}

/// The rows of one window are the input of the next one. All of them are written before the run ends.
#[test]
fn a_window_behind_a_window_is_emitted_too() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(
        Pipeline::rides(),
        kafka,
        Store::Local,
        2,
        &Rides { partitions: 2, ..Rides::ordered(5_000) }.records(),
    );
    let mut document = rig.pipeline.document(&Site { trigger: emit_all(), ..rig.site.clone() });
    let spec = &mut document["spec"];
    spec["steps"].as_array_mut().unwrap().push(json!({"name": "hours", "aggregate": {
        "from": "windows", "window": {"tumbling": {"size": "1h"}}, "columns": [{"name": "rides", "expr": "sum(cnt)"}]}}));
    spec["steps"].as_array_mut().unwrap().retain(|step| step["name"] != "after");
    spec["sinks"][0]["from"] = json!("hours");
    spec["sinks"][0]["delta"].as_object_mut().unwrap().remove("partitionBy");
    Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT).expect(OK);
    let mut hours: Vec<_> =
        table::read_log(&rig.table_folder()).iter().map(|row| row["rides"].as_i64().unwrap()).collect();
    hours.sort_unstable();
    assert_eq!(hours, [1_400, 3_600]);
}
