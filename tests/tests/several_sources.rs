//! Two sources whose rows meet: what happens when one of them falls quiet, and a union of rows that lanes and workers
//! compute.

use std::collections::BTreeMap;

use serde_json::json;
use weir_tests::engine::OK;
use weir_tests::oracle::Window;
use weir_tests::oracle::expr::column;
use weir_tests::oracle::graph::step::{Aggregation, Operation, Span, Union};
use weir_tests::oracle::graph::{EventTime, Graph, Sink, Source, Step};
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Map};
use weir_tests::oracle::time;
use weir_tests::oracle::value::Type;
use weir_tests::rides::START_US;
use weir_tests::rig::{GraphRig, RUN_LIMIT};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::Record;
use weir_tests::{deadline, or_skip, table};

const SECOND_US: i64 = 1_000_000;

/// Counts the rows of `web` and `app` by key in windows of ten seconds.
fn rig(kafka: &Kafka, close_idle_windows_after_us: Option<i64>) -> GraphRig {
    let of = |name: &str, r#type| Column { name: name.into(), r#type, required: true };
    let source = |name: &str| Source {
        name: name.into(),
        topic: name.into(),
        columns: vec![of("k", Type::String), of("at", Type::Timestamp)],
        event_time: Some(EventTime {
            idle_after_us: Some(SECOND_US),
            close_idle_windows_after_us,
            ..EventTime::of_column("at", 0)
        }),
        bad_records: BadRecords::Fail,
    };
    let counts = Aggregation {
        from: "views".into(),
        span: Span::Window(Window::tumbling(10 * SECOND_US)),
        group_by: vec!["k".into()],
        columns: vec![("cnt".into(), Aggregate::CountAll)],
    };
    let union = Union { inputs: vec!["web".into(), "app".into()] };
    let graph = Graph {
        name: "views".into(),
        sources: vec![source("web"), source("app")],
        steps: vec![
            Step { name: "views".into(), operation: Operation::Union(union) },
            Step { name: "counts".into(), operation: Operation::Aggregate(counts) },
        ],
        sinks: vec![Sink::append("table", "counts"), Sink::append("late", "counts.Late")],
    };
    GraphRig::new(graph, kafka, &[("web", 2), ("app", 1)].map(|(topic, n)| (topic.to_owned(), n)).into())
}

/// Every row of `app`, and the counts of all rows in windows of ten seconds, in one table: lanes write the former and
/// workers the latter, in the same epochs.
fn both_kinds(kafka: &Kafka) -> GraphRig {
    let mut rig = rig(kafka, None);
    let columns = |from: &str, columns: [(&str, &str); 2]| {
        let columns = columns.map(|(name, of)| (name.to_owned(), *column(of))).into();
        Operation::Map(from.to_owned(), Map { filter: None, columns })
    };
    let graph = &mut rig.graph;
    let step = |name: &str, operation| Step { name: name.into(), operation };
    graph.steps.push(step("each", columns("app", [("k", "k"), ("at", "at")])));
    graph.steps.push(step("ended", columns("counts", [("k", "k"), ("at", "window_end")])));
    let union = Union { inputs: vec!["each".into(), "ended".into()] };
    graph.steps.push(step("both", Operation::Union(union)));
    graph.sinks = vec![Sink::append("table", "both"), Sink::append("late", "counts.Late")];
    rig
}

/// Produces one record per second, over all partitions of a topic.
fn produce(rig: &GraphRig, topic: &str, seconds: std::ops::Range<i64>) {
    let partitions = if topic == "web" { 2 } else { 1 };
    let record = |second: i64| {
        let time_us = START_US + second * SECOND_US;
        let value = json!({"k": topic, "at": time::format_iso(time_us)}).to_string().into_bytes();
        let partition = i32::try_from(second).unwrap() % partitions;
        (time_us / 1_000, Record { partition, key: None, value })
    };
    rig.produce(topic, &seconds.map(record).collect::<Vec<_>>());
}

/// How far the watermarks of both sources are, in seconds, by the last manifest.
fn watermarks(rig: &GraphRig) -> Option<[Option<i64>; 2]> {
    let last = rig.manifests().pop()?;
    let seconds = |us: i64| (us - START_US) / SECOND_US;
    Some(["web", "app"].map(|source| last.of[source].watermark_after_us.map(seconds)))
}

#[test]
fn a_source_that_falls_quiet_holds_no_window_and_what_it_says_later_may_be_late() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka, None);
    produce(&rig, "web", 0..40);
    produce(&rig, "app", 0..20);
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(60, RUN_LIMIT);
    // `app` has stopped at 19; `web` goes on, so that it isn't idle, whichever second its last record came in.
    let mut next = 40;
    deadline::until("the quiet source is as far as the other one", RUN_LIMIT, || {
        produce(&rig, "web", next..next + 2);
        next += 2;
        matches!(watermarks(&rig)?, [Some(web), Some(app)] if web == app && app > 40).then_some(())
    });
    produce(&rig, "app", 20..30);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!(outcome.late, BTreeMap::from([("counts".to_owned(), 10)]));
    assert!(outcome.moved["OtherSources"].len() > 1, "{:?}", outcome.moved);
}

#[test]
fn the_clock_closes_the_last_windows_once_both_sources_are_quiet() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka, Some(2 * SECOND_US));
    produce(&rig, "web", 0..25);
    produce(&rig, "app", 0..15);
    let run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    deadline::until("no window is open", RUN_LIMIT, || (watermarks(&rig)? == [Some(30), Some(30)]).then_some(()));
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let outcome = rig.assert_right();
    assert_eq!((outcome.late["counts"], outcome.waiting["counts"]), (0, 0));
    // One epoch for both.
    assert!(matches!(outcome.moved["Clock"][..], [one, other] if one == other), "{:?}", outcome.moved);
}

#[test]
fn a_sink_has_the_rows_of_a_source_and_of_windows_that_meet_in_a_union() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = both_kinds(kafka);
    rig.site.records_per_epoch = 20;
    rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    produce(&rig, "web", 0..100);
    produce(&rig, "app", 0..100);
    rig.finish();
    let outcome = rig.assert_right();
    assert_eq!(outcome.tables["table"].len(), 100 + 2 * 10, "each row of `app`, and ten windows of both");
}
