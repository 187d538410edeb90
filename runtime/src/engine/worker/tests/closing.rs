//! A window behind windows that close in batches.

use arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use weir_plan::aggregate::{self, AggregateColumn, GroupColumn};
use weir_plan::plan::{Input, Step, StepOp};
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Window;

use super::*;
use crate::fixtures;

/// More keys than rows are made at a time.
const KEYS: i64 = 100_000;
/// The most rows of a closed window that are made at a time.
const BATCH_ROWS_MAX: usize = 1 << 16;
/// The number of windows of 10 µs that have rows, from 0 on.
pub(super) const WINDOWS: i64 = 3;
const GROUPS: u64 = (KEYS * WINDOWS) as u64;

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| {
        Column { name: (*name).into(), data_type: data_type.clone(), nullable: true }.to_field()
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn step(name: &str, input: (Input, &SchemaRef), size_us: i64, keys: &[GroupColumn], columns: &[(&str, &str)]) -> Step {
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, expr)| AggregateColumn { name: (*name).into(), expr: (*expr).into(), filter: None })
        .collect();
    let aggregate = aggregate::compile(input.0, input.1, Window::tumbling(size_us), keys, &columns).unwrap();
    Step { name: name.into(), schema: aggregate.output_schema(), op: StepOp::Aggregate(Arc::new(aggregate)) }
}

/// Sums by key in windows of 10 µs. Behind them, windows of 100 µs count these sums and add them up. Each step has a
/// sink.
pub(super) fn graph() -> Arc<Graph> {
    let input = schema(&[("key", DataType::Bigint), ("value", DataType::Bigint), (EVENT_TIME, DataType::Timestamp)]);
    let tens = step("tens", (Input::Source(0), &input), 10, &["key".into()], &[("total", "sum(value)")]);
    let hundreds =
        step("hundreds", (Input::Step(0), &tens.schema), 100, &[], &[("groups", "count(*)"), ("total", "sum(total)")]);
    let sink = |n: usize, step: &Step| fixtures::sink(&step.name, Input::Step(n), without_time(&step.schema));
    let sinks = vec![sink(0, &tens), sink(1, &hundreds)];
    let plan = fixtures::plan(vec![fixtures::source("in", None, input)], vec![tens, hundreds], sinks);
    Graph::of(Arc::new(plan))
}

/// The columns that a sink gets: all but the event time, which is the last one.
fn without_time(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields()[..schema.fields().len() - 1].to_vec()))
}

/// A row of each key in each window. Its value is the key.
fn rows_of_all_windows(crew: &Crew) -> EdgeReport {
    rows_of(crew, KEYS)
}

pub(super) fn rows_of(crew: &Crew, keys: i64) -> EdgeReport {
    let edge = Edge { step: 0, input: 0 };
    let mut lane = crew.graph.sender(edge, crew.ranges).unwrap();
    for window in 0..WINDOWS {
        let key: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys));
        let times =
            TimestampMicrosecondArray::from_iter_values((0..keys).map(|_| window * 10 + 5)).with_timezone("UTC");
        let input =
            schema(&[("key", DataType::Bigint), ("value", DataType::Bigint), (EVENT_TIME, DataType::Timestamp)]);
        let batch = RecordBatch::try_new(input, vec![Arc::clone(&key), key, Arc::new(times)]).unwrap();
        lane.take_in(&crew.graph.behind(edge).unwrap().prepare(0, &batch, None, &[None]).unwrap()).unwrap();
    }
    lane.end_epoch().unwrap()
}

/// An epoch's rows per sink, batch by batch, and its other results.
pub(super) async fn epoch(crew: &mut Crew, lane: EdgeReport, after_us: i64) -> ([Vec<RecordBatch>; 2], KeyedEpoch) {
    crew.workers.take_in([(Edge { step: 0, input: 0 }, lane)].into());
    let (of_sinks, epoch) = crew.close(&[Some(after_us)]).await;
    (of_sinks.try_into().unwrap(), epoch)
}

/// The `n`th column after the window's bounds.
pub(super) fn column(batch: &RecordBatch, n: usize) -> Vec<i64> {
    batch.column(2 + n).as_primitive::<Int64Type>().values().to_vec()
}

/// Asserts that every group is there once, and that no batch is larger than it may be.
fn assert_all_tens(batches: &[RecordBatch]) {
    assert!(batches.len() as u64 > GROUPS / BATCH_ROWS_MAX as u64, "{} batches", batches.len());
    assert!(batches.iter().all(|batch| batch.num_rows() <= BATCH_ROWS_MAX));
    let mut rows: Vec<(i64, i64)> =
        batches.iter().flat_map(|batch| column(batch, 0).into_iter().zip(column(batch, 1))).collect();
    rows.sort_unstable();
    let expected = (0..KEYS).flat_map(|key| std::iter::repeat_n((key, key), usize::try_from(WINDOWS).unwrap()));
    assert!(rows.into_iter().eq(expected), "each key once per window, with its sum");
}

fn assert_one_hundred(batches: &[RecordBatch]) {
    let rows: Vec<_> = batches.iter().map(|batch| (column(batch, 0), column(batch, 1))).collect();
    assert_eq!(rows, [(vec![KEYS * WINDOWS], vec![WINDOWS * KEYS * (KEYS - 1) / 2])]);
}

/// The rows in, late rows and rows out of each step, and its windows that stay open.
fn figures(epoch: &KeyedEpoch) -> Vec<(&str, [u64; 4])> {
    epoch
        .steps
        .iter()
        .map(|step| (step.name.as_str(), [step.rows_in(), step.rows_late(), step.rows_out, step.open_windows.unwrap()]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_behind_windows_that_close_in_batches_takes_in_every_row_of_all_workers_before_it_closes() {
    for workers in 1..=3 {
        let mut crew = Crew::new(&graph(), workers);
        let lane = rows_of_all_windows(&crew);
        let ([tens, hundreds], epoch) = epoch(&mut crew, lane, 100).await;
        assert_all_tens(&tens);
        assert_one_hundred(&hundreds);
        assert_eq!(figures(&epoch), [("tens", [GROUPS, 0, GROUPS, 0]), ("hundreds", [GROUPS, 0, 1, 0])]);
        assert!(epoch.changes.iter().all(Vec::is_empty), "nothing stays open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_behind_windows_that_stays_open_is_state_once_and_closes_in_a_later_epoch() {
    for workers in 1..=3 {
        let mut crew = Crew::new(&graph(), workers);
        let lane = rows_of_all_windows(&crew);
        let ([tens, hundreds], first) = epoch(&mut crew, lane, 10 * WINDOWS).await;
        assert_all_tens(&tens);
        assert!(hundreds.is_empty());
        assert_eq!(figures(&first), [("tens", [GROUPS, 0, GROUPS, 0]), ("hundreds", [GROUPS, 0, 0, 1])]);
        let changed: Vec<_> = first.changes.iter().flatten().map(|(table, change)| (*table, change.rows())).collect();
        assert_eq!(changed, [(1, 1)], "one group of one window, merged over all batches");
        let ([tens, hundreds], second) = epoch(&mut crew, EdgeReport::default(), 100).await;
        assert!(tens.is_empty() && second.changes.iter().all(Vec::is_empty));
        assert_one_hundred(&hundreds);
        assert_eq!(figures(&second), [("tens", [0; 4]), ("hundreds", [0, 0, 1, 0])]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_several_workers_have_keys_of_are_counted_once_and_each_change_is_of_its_workers_key_groups() {
    for workers in 1..=3 {
        let mut crew = Crew::new(&graph(), workers);
        let lane = rows_of_all_windows(&crew);
        let (_, epoch) = epoch(&mut crew, lane, 5).await;
        assert_eq!(figures(&epoch), [("tens", [GROUPS, 0, 0, WINDOWS as u64]), ("hundreds", [0; 4])]);
        assert_eq!(epoch.steps[0].tables[0].entries, GROUPS);
        let groups = |worker: usize| {
            epoch.changes[worker].iter().flat_map(|(_, change)| change.key_groups.values()).collect::<Vec<_>>()
        };
        for worker in 0..workers {
            let groups = groups(worker);
            assert!(
                groups.is_sorted() && groups.iter().all(|group| crew.ranges.range(worker).contains(*group)),
                "worker {worker}"
            );
        }
        assert_eq!((0..workers).map(|worker| groups(worker).len() as u64).sum::<u64>(), GROUPS);
    }
}
