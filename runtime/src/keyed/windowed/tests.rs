//! When windows close, what is late for them, and what a row that can't be computed costs.
#![allow(clippy::unwrap_used)]

mod closing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use rand::Rng;
use rand::rngs::SmallRng;
use weir_plan::aggregate::{self, Aggregate, AggregateColumn};
use weir_plan::key_group::KeyRanges;
use weir_plan::plan::Input;
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::{Aligned, Sliding, Window};

use crate::build::aggregate_step;
use crate::keyed::edge::{EdgeReport, EdgeSender};
use crate::keyed::running::Gives;
use crate::keyed::{KeyedOperator, KeyedStep, Marks};
use crate::state::{Entries, Grouped, TableSchema};
use crate::transform::rows::Rows;

pub(crate) const SIZE_US: i64 = 10;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) time_us: i64,
    pub(crate) key: Option<&'static str>,
    pub(crate) value: Option<i64>,
}

pub(crate) fn input_schema() -> SchemaRef {
    let column = |name: &str, data_type, nullable| Column { name: name.into(), data_type, nullable }.to_field();
    Arc::new(arrow::datatypes::Schema::new(vec![
        column("key", DataType::String, true),
        column("value", DataType::Bigint, true),
        column(EVENT_TIME, DataType::Timestamp, false),
    ]))
}

pub(crate) fn aggregate() -> Arc<Aggregate> {
    let column = |name: &str, expr: &str| AggregateColumn { name: name.into(), expr: expr.into(), filter: None };
    let columns = [column("total", "sum(value)"), column("n", "count(*)"), column("least", "min(value)")];
    Arc::new(
        aggregate::compile(Input::Source(0), &input_schema(), Window::tumbling(SIZE_US), &["key".into()], &columns)
            .unwrap(),
    )
}

pub(crate) fn step_of(aggregate: &Arc<Aggregate>) -> Box<dyn KeyedStep> {
    aggregate_step(aggregate, Gives::Changed)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.key).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.value).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|r| r.time_us)
                .collect::<Vec<_>>()
                .into_iter()
                .map(Some)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
    ];
    RecordBatch::try_new(input_schema(), columns).unwrap()
}

pub(crate) fn partials(aggregate: &Arc<Aggregate>, rows: &[Row]) -> Option<Entries> {
    grouped(aggregate, rows).map(|grouped| grouped.entries)
}

pub(crate) fn grouped(aggregate: &Arc<Aggregate>, rows: &[Row]) -> Option<Grouped> {
    sent(aggregate, rows.chunks(7).map(batch), None).entries.remove(0).pop()
}

/// What a lane sends for these rows, in an epoch that begins at this watermark.
pub(crate) fn sent(
    aggregate: &Arc<Aggregate>,
    batches: impl IntoIterator<Item = RecordBatch>,
    before_us: Option<i64>,
) -> EdgeReport {
    let step = step_of(aggregate);
    let mut lane = EdgeSender::new(&*step, 0, KeyRanges::of(1)).unwrap();
    for batch in batches {
        lane.take_in(&step.prepare(0, &batch, None, &[before_us]).unwrap()).unwrap();
    }
    lane.end_epoch().unwrap()
}

pub(crate) type State = Box<dyn KeyedOperator>;
pub(crate) type Windows = BTreeMap<(i64, Option<String>), (Option<i64>, i64, Option<i64>)>;

fn windows_of(rows: &RecordBatch) -> Windows {
    let starts = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    let keys = rows.column(2).as_string::<i32>();
    let number = |column: usize, row: usize| {
        let a = rows.column(column).as_primitive::<Int64Type>();
        (!a.is_null(row)).then(|| a.value(row))
    };
    let mut windows = Windows::new();
    for row in 0..rows.num_rows() {
        let key = (!keys.is_null(row)).then(|| keys.value(row).to_owned());
        let value = (number(3, row), number(4, row).unwrap(), number(5, row));
        assert!(windows.insert((starts.value(row), key), value).is_none(), "a group occurs twice");
    }
    windows
}

/// The definition of windows, applied naively.
pub(crate) fn expected(rows: &[Row]) -> Windows {
    let mut windows = Windows::new();
    for r in rows {
        let start = r.time_us.div_euclid(SIZE_US) * SIZE_US;
        let entry = windows.entry((start, r.key.map(str::to_owned))).or_insert((None, 0, None));
        entry.1 += 1;
        if let Some(v) = r.value {
            entry.0 = Some(entry.0.unwrap_or(0) + v);
            entry.2 = Some(entry.2.map_or(v, |least| least.min(v)));
        }
    }
    windows
}

pub(crate) fn random_rows(rng: &mut SmallRng, count: usize) -> Vec<Row> {
    const KEYS: [Option<&str>; 5] = [None, Some(""), Some("a"), Some("b"), Some("ü")];
    (0..count)
        .map(|_| Row {
            time_us: rng.random_range(-50..50),
            key: KEYS[rng.random_range(0..KEYS.len())],
            value: rng.random_bool(0.9).then(|| rng.random_range(-5..5)),
        })
        .collect()
}

/// Closes the windows that are over, and returns their rows.
fn close_up_to(state: &mut State, watermark_us: i64, check: &dyn Fn(&RecordBatch) -> Result<(), String>) -> Rows {
    let mut all = Rows::default();
    close(state, Some(watermark_us));
    while let Some(rows) = state.next(check).unwrap() {
        all.good.extend(rows.good);
        all.bad.extend(rows.bad);
    }
    all
}

/// The rows of the windows that are over, if there are any.
pub(crate) fn closed(state: &mut State, watermark_us: i64) -> Option<RecordBatch> {
    let rows = close_up_to(state, watermark_us, &|_| Ok(()));
    assert!(rows.bad.is_empty());
    let schema = rows.good.first()?.schema();
    Some(arrow::compute::concat_batches(&schema, &rows.good).unwrap())
}

pub(crate) fn close_all(state: &mut State) -> Windows {
    closed(state, i64::MAX).map_or_else(Windows::new, |rows| windows_of(&rows))
}

pub(crate) fn state(aggregate: &Arc<Aggregate>) -> State {
    step_of(aggregate).operator().unwrap()
}

/// Restores entries, as from a state file.
pub(crate) fn apply(state: &mut State, entries: &Entries) {
    state.tables().remove(0).restore(entries).unwrap();
}

fn close(state: &mut State, after_us: Option<i64>) {
    state.close(&Marks { before_us: vec![None], after_us: vec![after_us] }).unwrap();
}

/// The table in which the step keeps its windows.
pub(crate) fn table(aggregate: &Arc<Aggregate>) -> Arc<TableSchema> {
    Arc::clone(&step_of(aggregate).tables()[0])
}

#[test]
fn a_window_closes_exactly_when_the_watermark_reaches_its_end() {
    let aggregate = aggregate();
    let mut state = state(&aggregate);
    let rows = [Row { time_us: 9, key: None, value: Some(1) }, Row { time_us: 10, key: None, value: Some(2) }];
    apply(&mut state, &partials(&aggregate, &rows).unwrap());
    assert!(closed(&mut state, 9).is_none());
    assert_eq!(windows_of(&closed(&mut state, 10).unwrap()), expected(&rows[..1]));
    assert_eq!(state.open_windows(), Some([(10, 20)].into()));
}

#[test]
fn rows_behind_the_watermark_are_counted_and_left_out() {
    let aggregate = aggregate();
    let rows = [9, 10, 15, -1].map(|time_us| Row { time_us, key: Some("a"), value: Some(1) });
    let sent = sent(&aggregate, [batch(&rows)], Some(10));
    assert_eq!((sent.counts.rows_in, sent.counts.rows_late), (4, 2));
    let mut state = state(&aggregate);
    apply(&mut state, &sent.entries[0][0].entries);
    assert_eq!(close_all(&mut state), expected(&rows[1..3]));
}

#[test]
fn late_rows_are_those_that_the_windows_count_as_late_with_what_they_missed() {
    let aggregate = aggregate();
    let rows = [(3, "a"), (9, "b"), (10, "c"), (25, "d")];
    let rows = rows.map(|(time_us, key)| Row { time_us, key: Some(key), value: Some(1) });
    let schema = weir_plan::outputs::late_schema(&input_schema()).unwrap();
    let step = step_of(&aggregate);
    for (watermark_us, late) in [(9, 0), (10, 2), (29, 3), (2_030, 4)] {
        let found = step.late(0, &batch(&rows), &[Some(watermark_us)], &schema).unwrap();
        let sent = sent(&aggregate, [batch(&rows)], Some(watermark_us));
        assert_eq!((found.num_rows() as u64, sent.counts.rows_late), (late, late), "{watermark_us}");
    }
    assert_eq!(step.late(0, &batch(&rows), &[None], &schema).unwrap().num_rows(), 0);
    let found = step.late(0, &batch(&rows), &[Some(2_030)], &schema).unwrap();
    let times = |column: usize| found.column(column).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!(
        (times(2), times(3), times(4), times(5)),
        (vec![3, 9, 10, 25], vec![0, 0, 10, 20], vec![10, 10, 20, 30], vec![2_030; 4])
    );
    assert_eq!(found.column(6).as_primitive::<Int64Type>().values(), &[2, 2, 2, 2]);
}

/// A row at 4 that comes when the watermark is 6 has missed the tumbling window [0, 5). Of the sliding ones it has
/// missed [-5, 5) and counts in [0, 10).
#[test]
fn a_row_that_missed_one_window_counts_in_the_one_that_is_still_open() {
    let columns = [AggregateColumn { name: "n".into(), expr: "count(*)".into(), filter: None }];
    let sliding = Window::Aligned(Aligned::Sliding(Sliding::new(10, 5, 0)));
    let of = |window| Arc::new(aggregate::compile(Input::Source(0), &input_schema(), window, &[], &columns).unwrap());
    let schema = weir_plan::outputs::late_schema(&input_schema()).unwrap();
    let row = batch(&[Row { time_us: 4, key: None, value: None }]);
    for (window, missed, late) in [(Window::tumbling(5), vec![(0, 5)], 1), (sliding, vec![(-5, 5)], 0)] {
        let aggregate = of(window);
        let sent = sent(&aggregate, [row.clone()], Some(6));
        assert_eq!((sent.counts.rows_in, sent.counts.rows_late), (1, late), "{window:?}");
        let found = step_of(&aggregate).late(0, &row, &[Some(6)], &schema).unwrap();
        let times = |column: usize| found.column(column).as_primitive::<TimestampMicrosecondType>().values().to_vec();
        assert_eq!(times(3).into_iter().zip(times(4)).collect::<Vec<_>>(), missed, "{window:?}");
        let mut state = state(&aggregate);
        for entries in sent.entries.into_iter().flatten() {
            state.take_in(0, entries).unwrap();
        }
        state.close(&Marks { before_us: vec![Some(6)], after_us: vec![Some(100)] }).unwrap();
        let mut windows = Vec::new();
        while let Some(rows) = state.next(&|_| Ok(())).unwrap() {
            let bound = |column: usize| rows.good[0].column(column).as_primitive::<TimestampMicrosecondType>().value(0);
            windows.push((bound(0), bound(1)));
        }
        assert_eq!(windows, if late == 0 { vec![(0, 10)] } else { vec![] }, "{window:?}");
    }
}

#[test]
fn an_epoch_takes_effect_when_it_closes_and_its_change_is_given_once() {
    let aggregate = aggregate();
    let rows = [(3, "a"), (12, "a"), (12, "b")].map(|(time_us, key)| Row { time_us, key: Some(key), value: Some(1) });
    let mut state = state(&aggregate);
    close(&mut state, Some(5));
    for row in &rows {
        state.take_in(0, grouped(&aggregate, std::slice::from_ref(row)).unwrap()).unwrap();
    }
    assert!(state.next(&|_| Ok(())).unwrap().is_none());
    assert_eq!((state.open_windows(), state.tables()[0].entries()), (Some(BTreeSet::new()), 0));
    assert!(state.tables().remove(0).take_change(Some(5)).unwrap().is_none());
    assert_eq!(windows_of(&closed(&mut state, 10).unwrap()), expected(&rows[..1]));
    let change = state.tables().remove(0).take_change(Some(10)).unwrap().unwrap();
    assert_eq!(change.rows(), 2, "the window that stays open");
    assert!(state.tables().remove(0).take_change(Some(10)).unwrap().is_none());
    assert_eq!((state.open_windows(), state.tables()[0].entries()), (Some([(10, 20)].into()), 2));
    let mut restored = super::tests::state(&aggregate);
    apply(&mut restored, &change.entries);
    assert_eq!(close_all(&mut restored), expected(&rows[1..]));
    assert_eq!(close_all(&mut state), expected(&rows[1..]));
}
