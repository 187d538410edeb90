//! Rows whose time is the clock's: windows that close by themselves, and what is left of them after a kill.

use serde_json::json;
use weir_tests::engine::OK;
use weir_tests::oracle::Window;
use weir_tests::oracle::graph::step::{Aggregation, Operation, Span};
use weir_tests::oracle::graph::{EventTime, Graph, Outcome, Sink, Source, Step};
use weir_tests::oracle::manifest::Manifest;
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Key};
use weir_tests::oracle::value::Type;
use weir_tests::rides::START_US;
use weir_tests::rig::{GraphRig, RUN_LIMIT};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::Record;
use weir_tests::wall_clock::WallClock;
use weir_tests::{deadline, or_skip, table};

const PARTITIONS: i32 = 3;

/// Counts requests by service in windows of two seconds by the clock.
fn rig(kafka: &Kafka) -> GraphRig {
    let requests = Source {
        name: "requests".into(),
        topic: "requests".into(),
        columns: vec![Column { name: "service".into(), r#type: Type::String, required: true }],
        event_time: Some(EventTime::by_clock()),
        bad_records: BadRecords::Drop,
    };
    let counts = Aggregation {
        from: "requests".into(),
        span: Span::Window(Window::tumbling(2_000_000)),
        group_by: vec![Key { name: "service".into(), expr: None }],
        columns: vec![("cnt".into(), Aggregate::CountAll)],
    };
    let graph = Graph {
        name: "requests".into(),
        sources: vec![requests],
        steps: vec![Step { name: "counts".into(), operation: Operation::Aggregate(counts) }],
        sinks: vec![Sink::append("table", "counts"), Sink::append("late", "counts.Late")],
    };
    GraphRig::new(graph, kafka, &[("requests".to_owned(), PARTITIONS)].into())
}

/// Produces so many requests, whose own timestamps say nothing.
fn produce(rig: &GraphRig, count: i32) {
    let record = |i: i32| {
        let value = json!({"service": format!("s{}", i % 2)}).to_string().into_bytes();
        (START_US / 1_000, Record { partition: i % PARTITIONS, key: None, value })
    };
    rig.produce("requests", &(0..count).map(record).collect::<Vec<_>>());
}

/// The number of requests that the windows in a table count.
fn counted(rows: &[serde_json::Value]) -> i64 {
    rows.iter().map(|row| row["cnt"].as_i64().unwrap()).sum()
}

fn assert_counted(outcome: &Outcome, requests: i64) {
    let late = outcome.late["counts"];
    assert_eq!((counted(&outcome.tables["table"]), late, outcome.waiting["counts"]), (requests, 0, 0), "{outcome:?}");
}

#[test]
fn windows_close_by_themselves_when_the_clock_passes_their_ends_and_a_kill_loses_and_doubles_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(kafka);
    let running = || rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    let mut run = running();
    produce(&rig, 100);
    deadline::until("the windows of the first requests are written", RUN_LIMIT, || {
        (counted(&rig.table("table")) == 100).then_some(())
    });
    // The windows of these are open when the process is killed, and some may not have been read.
    produce(&rig, 50);
    run.wait_for_records(120, RUN_LIMIT);
    let _ = run.kill();
    produce(&rig, 7);
    let run = running();
    deadline::until("the windows of all requests are written", RUN_LIMIT, || {
        (counted(&rig.table("table")) == 157).then_some(())
    });
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    assert_counted(&rig.assert_right(), 157);

    produce(&rig, 30);
    rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    rig.finish();
    // The window that the first run has closed may not be over when these are read.
    produce(&rig, 20);
    rig.finish();
    let outcome = rig.assert_right();
    assert_counted(&outcome, 207);
    assert_eq!(outcome.moved.keys().collect::<Vec<_>>(), ["EndOfRun"], "{:?}", outcome.moved);
}

#[test]
fn times_stand_still_while_the_clock_is_behind_and_nothing_is_late() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(kafka);
    let folder = tempfile::tempdir().unwrap();
    let clock = or_skip!(WallClock::new(folder.path()));
    let endless = || rig.start_with(json!({"type": "AsSoonAsPossible"}));
    clock.step(3_600);
    let run = clock.under(endless()).spawn();
    produce(&rig, 40);
    deadline::until("the windows are written", RUN_LIMIT, || (counted(&rig.table("table")) == 40).then_some(()));
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let watermark_us = last(&rig).watermark_after_us;

    let mut run = endless().spawn();
    produce(&rig, 20);
    run.wait_for_records(20, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let last = last(&rig);
    assert_eq!((last.processing_time_us, last.watermark_after_us), (watermark_us, watermark_us));
    rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    rig.finish();
    assert_counted(&rig.assert_right(), 60);
}

/// What the last manifest says of the requests.
fn last(rig: &GraphRig) -> Manifest {
    rig.manifests().pop().unwrap().of.remove("requests").unwrap()
}
