//! Running aggregates without groups or event time, and rows that can't be computed.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use weir_plan::aggregate::{self, Aggregate, AggregateColumn};
use weir_plan::key_group::KeyRanges;
use weir_plan::outputs::late_rows_schema;
use weir_plan::plan::Input;
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Window;

use super::{Gives, RunningAggregate};
use crate::keyed::edge::EdgeSender;
use crate::keyed::{KeyedOperator, KeyedStep, Marks};
use crate::transform::rows::Rows;

fn schema(is_timed: bool) -> SchemaRef {
    let column = |name: &str, data_type, nullable| Column { name: name.into(), data_type, nullable }.to_field();
    let time = is_timed.then(|| column(EVENT_TIME, DataType::Timestamp, false));
    Arc::new(Schema::new([column("x", DataType::Bigint, true)].into_iter().chain(time).collect::<Vec<_>>()))
}

fn rows(values: &[i64], times_us: Option<&[i64]>) -> RecordBatch {
    let time = |us: &[i64]| Arc::new(TimestampMicrosecondArray::from(us.to_vec()).with_timezone("UTC")) as ArrayRef;
    let values = Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    RecordBatch::try_new(schema(times_us.is_some()), [values].into_iter().chain(times_us.map(time)).collect()).unwrap()
}

fn aggregate(is_timed: bool, group_by: &[&str], expire_after_us: Option<i64>, columns: &[&str]) -> Arc<Aggregate> {
    let column =
        |(i, expr): (usize, &&str)| AggregateColumn { name: format!("c{i}"), expr: (*expr).to_owned(), filter: None };
    let columns: Vec<_> = columns.iter().enumerate().map(column).collect();
    let group_by: Vec<_> = group_by.iter().map(|name| (*name).into()).collect();
    let window = Window::Global { expire_after_us };
    Arc::new(aggregate::compile(Input::Source(0), &schema(is_timed), window, &group_by, &columns).unwrap())
}

/// The rows of an epoch that reads this batch.
fn epoch(step: &dyn KeyedStep, operator: &mut dyn KeyedOperator, batch: &RecordBatch, marks: &Marks) -> Rows {
    let mut sender = EdgeSender::new(step, 0, KeyRanges::of(1)).unwrap();
    sender.take_in(&step.prepare(0, batch, None, &marks.before_us).unwrap()).unwrap();
    for entries in sender.end_epoch().unwrap().entries.remove(0) {
        operator.take_in(0, entries).unwrap();
    }
    operator.close(marks).unwrap();
    let mut all = Rows::default();
    while let Some(rows) = operator.next(&|_| Ok(())).unwrap() {
        all.good.extend(rows.good);
        all.bad.extend(rows.bad);
    }
    all
}

fn marks(before_us: Option<i64>, after_us: Option<i64>) -> Marks {
    Marks { before_us: vec![before_us], after_us: vec![after_us] }
}

fn numbers(rows: &Rows) -> Vec<Vec<i64>> {
    let of_batch = |batch: &RecordBatch| {
        let columns = batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().values().to_vec());
        columns.collect::<Vec<_>>()
    };
    let batches = rows.good.iter().map(of_batch);
    let rows = batches.flat_map(|columns| {
        (0..columns[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect::<Vec<_>>()
    });
    rows.collect()
}

#[test]
fn without_groups_and_without_times_there_is_one_row_and_it_comes_when_it_has_changed() {
    let step = RunningAggregate::new(aggregate(false, &[], None, &["sum(x)", "count(*)"]), None, Gives::Changed);
    let mut operator = step.operator().unwrap();
    let none = marks(None, None);
    assert_eq!(numbers(&epoch(&step, &mut *operator, &rows(&[1, 2], None), &none)), [[3, 2]]);
    assert!(numbers(&epoch(&step, &mut *operator, &rows(&[], None), &none)).is_empty());
    assert_eq!(numbers(&epoch(&step, &mut *operator, &rows(&[4], None), &none)), [[7, 3]]);
}

#[test]
fn a_complete_result_comes_whole_in_every_epoch() {
    let step = RunningAggregate::new(aggregate(false, &["x"], None, &["count(*)"]), None, Gives::All);
    let mut operator = step.operator().unwrap();
    let none = marks(None, None);
    epoch(&step, &mut *operator, &rows(&[1, 2, 2], None), &none);
    for (read, expected) in [(&[][..], [[1, 1], [2, 2]]), (&[1], [[1, 2], [2, 2]])] {
        let mut found = numbers(&epoch(&step, &mut *operator, &rows(read, None), &none));
        found.sort();
        assert_eq!(found, expected);
    }
}

/// The group is bad in the epoch that makes it so, and good again when its value can be computed.
#[test]
fn a_group_whose_row_cannot_be_computed_is_bad_only_while_that_is_so() {
    let columns = &["10 / sum(x)"];
    let step = RunningAggregate::new(aggregate(false, &[], None, columns), None, Gives::Changed);
    let mut operator = step.operator().unwrap();
    let none = marks(None, None);
    let bad = epoch(&step, &mut *operator, &rows(&[0], None), &none);
    assert_eq!((bad.good.len(), bad.bad.len()), (0, 1));
    assert_eq!(numbers(&epoch(&step, &mut *operator, &rows(&[5], None), &none)), [[2]]);
}

#[test]
fn a_group_is_forgotten_when_the_watermark_has_left_it_behind_and_older_rows_are_late() {
    let aggregate = aggregate(true, &["x"], Some(2_010), &["count(*)"]);
    let step = RunningAggregate::new(aggregate, Some(2_010), Gives::Changed);
    let mut operator = step.operator().unwrap();
    let first = marks(None, Some(5_110));
    assert_eq!(numbers(&epoch(&step, &mut *operator, &rows(&[1, 2], Some(&[3_100, 3_099])), &first)).len(), 2);
    // The watermark is 5,110 now: what is older than 3,100 is late, and the group of 2, whose last row is, is
    // forgotten.
    let batch = rows(&[1, 2, 2], Some(&[6_000, 6_000, 1_099]));
    let second = marks(Some(5_110), Some(5_115));
    let late = step.late(0, &batch, &second.before_us, &late_rows_schema(&batch.schema()).unwrap()).unwrap();
    assert_eq!((late.num_rows(), late.column(3).as_primitive::<Int64Type>().value(0)), (1, 2));
    let mut found = numbers(&epoch(&step, &mut *operator, &batch, &second));
    found.sort();
    assert_eq!(found, [[1, 2], [2, 1]]);
}
