//! A row that can't be processed costs only itself, wherever it is in a batch.
#![allow(clippy::unwrap_used)]

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{Int64Type, Schema};
use weir_plan::expr;
use weir_plan::plan::{
    BadRecords, BadRecordsPolicy, Checkpoint, DeltaSink, JsonFormat, KafkaSource, Limits, Maintenance, OnEnd, OnLostOffsets, Sink, Source,
    StartFrom, Step, TimestampNumbers, Trigger,
};
use weir_plan::stages;
use weir_plan::topics::Topics;
use weir_plan::types::{Column, DataType, EVENT_TIME};

use super::*;

fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|(name, data_type, nullable)| Column { name: (*name).into(), data_type: data_type.clone(), nullable: *nullable }.to_field());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A source with `text` and `at`, event time `at`; a map that keeps `number = cast(text as bigint)` where it is not negative; a sink.
fn stateless() -> Stateless {
    let decoded = schema(&[("text", DataType::String, true), ("at", DataType::Timestamp, true)]);
    let rows = schema(&[("text", DataType::String, true), ("at", DataType::Timestamp, true), (EVENT_TIME, DataType::Timestamp, false)]);
    let number = expr::compile("cast(text as bigint)", &rows, "number").unwrap();
    let output = schema(&[("number", DataType::Bigint, true), (EVENT_TIME, DataType::Timestamp, false)]);
    let source = Source {
        name: "in".into(),
        kafka: KafkaSource {
            bootstrap_servers: String::new(),
            topics: Topics::Named(vec![]),
            group_id: String::new(),
            start_from: StartFrom::Earliest,
            on_lost_offsets: OnLostOffsets::Fail,
        },
        format: JsonFormat { columns: vec![], timestamp_numbers: TimestampNumbers::Refuse },
        metadata_columns: vec![],
        bad_records: BadRecords { policy: BadRecordsPolicy::Drop, max_per_million: None },
        event_time: Some(EventTime {
            expr: expr::compile("at", &decoded, EVENT_TIME).unwrap(),
            watermark_delay_us: 0,
            idle_after_us: 0,
            max_future_us: 0,
            max_skew_us: None,
            close_idle_windows_after_us: None,
        }),
        schema: Arc::clone(&rows),
    };
    let map = Map {
        input: Input::Source(0),
        filter: Some(expr::compile_predicate("cast(text as bigint) >= 0", &rows).unwrap()),
        columns: vec![number],
    };
    let maintenance = Maintenance { checkpoint_every: 1, compact_every: None, vacuum_after: None };
    let delta = DeltaSink { uri: String::new(), partition_by: vec![], target_file_size_bytes: 1, maintenance };
    let plan = Plan {
        pipeline: "test".into(),
        trigger: Trigger::AsSoonAsPossible,
        on_end: OnEnd::KeepOpen,
        checkpoint: Checkpoint { uri: String::new(), keep: 2, snapshot_every: 1 },
        storage: vec![],
        state_action: None,
        limits: Limits { records_per_epoch: 1, bytes_per_epoch: 1 },
        sources: vec![source],
        steps: vec![Step { name: "numbers".into(), op: StepOp::Map(map), schema: output }],
        sinks: vec![Sink {
            name: "out".into(),
            input: Input::Step(0),
            output: Output::Main,
            delta,
            schema: schema(&[("number", DataType::Bigint, true)]),
        }],
    };
    let stages = stages::cut(&plan);
    Stateless::new(Arc::new(plan), Arc::new(stages), 0)
}

/// Texts that come out as numbers, the rows at fault, and how many rows were filtered. `at` is null for an empty text, and later than allowed
/// for 99.
fn check(texts: &[&str], numbers: &[i64], bad: &[(usize, &str)], filtered: u64) {
    let times: TimestampMicrosecondArray =
        texts.iter().map(|t| (!t.is_empty()).then_some(if *t == "99" { 1_001 } else { 1_000 })).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(texts.to_vec())), Arc::new(times.with_timezone("UTC"))];
    let decoded = RecordBatch::try_new(schema(&[("text", DataType::String, true), ("at", DataType::Timestamp, true)]), columns).unwrap();
    let (good, found) = stateless().evaluate(&decoded, &[], Some(1_000));
    let written: Vec<i64> =
        good.iter().flat_map(|e| &e.sink_rows).flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(written, Int64Array::from(numbers.to_vec()).values().to_vec(), "{texts:?}");
    assert_eq!(good.iter().map(|e| e.filtered).sum::<u64>(), filtered, "{texts:?}");
    assert_eq!(good.iter().map(|e| e.rows).sum::<usize>() + found.len(), texts.len(), "every row is good or bad: {texts:?}");
    assert_eq!(found.iter().map(|b| b.row).collect::<Vec<_>>(), bad.iter().map(|(row, _)| *row).collect::<Vec<_>>(), "{texts:?}");
    for (found, (_, reason)) in found.iter().zip(bad) {
        match &found.why {
            Why::Unfit(why) => assert!(why.contains(reason), "{reason:?} should be in {why:?}"),
            Why::Ahead { time_us } => assert_eq!((*time_us, *reason), (1_001, "ahead")),
        }
    }
}

#[test]
fn good_rows_come_through_in_order_and_filtered_ones_are_counted() {
    check(&["1", "-2", "3"], &[1, 3], &[], 1);
    check(&[], &[], &[], 0);
}

#[test]
fn a_row_that_fails_is_left_out_alone() {
    check(&["x"], &[], &[(0, "step `numbers`, where")], 0);
    check(&["1", "x", "3", "-4", "5"], &[1, 3, 5], &[(1, "step `numbers`")], 1);
    check(&["x", "1", "2", "y"], &[1, 2], &[(0, "x"), (3, "y")], 0);
}

#[test]
fn a_row_later_than_allowed_is_left_out_with_its_time() {
    check(&["1", "99", "2", "x"], &[1, 2], &[(1, "ahead"), (3, "x")], 0);
    check(&["99", "99"], &[], &[(0, "ahead"), (1, "ahead")], 0);
}

#[test]
fn a_row_without_event_time_is_bad() {
    check(&["1", "", "2"], &[1, 2], &[(1, "the event time (at) is null")], 0);
}
