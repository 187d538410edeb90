//! Merging the partial states of parts must equal updating one state with all rows, for every function over every type.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::schema_of;
use crate::aggregate::{Accumulator, AggregateColumn, Call, compile};
use crate::plan::Input;
use crate::window::Window;

const GROUPS: usize = 3;

fn schema() -> SchemaRef {
    schema_of(&[
        ("i", "int"),
        ("l", "bigint"),
        ("f", "float"),
        ("d", "double"),
        ("m", "decimal(10,2)"),
        ("str", "string"),
        ("day", "date"),
        ("ts", "timestamp"),
        ("b", "boolean"),
        ("keep", "boolean"),
        ("_event_time", "timestamp"),
    ])
}

/// Rows whose values are all exact in a double; a quarter of them are null. `keep` is true, false and null in turn.
fn batch(rows: i64) -> RecordBatch {
    let values =
        |salt: i64| (0..rows).map(move |i| ((i + salt) % 4 != 0).then_some((i * 7919 + salt * 31) % 1000 - 500));
    let small = |v: i64| i32::try_from(v).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(values(0).map(|v| v.map(small)).collect::<Int32Array>()),
        Arc::new(values(1).collect::<Int64Array>()),
        Arc::new(values(2).map(|v| v.map(|v| small(v) as f32 / 4.0)).collect::<Float32Array>()),
        Arc::new(values(3).map(|v| v.map(|v| f64::from(small(v)) / 8.0)).collect::<Float64Array>()),
        Arc::new(
            values(4).map(|v| v.map(i128::from)).collect::<Decimal128Array>().with_precision_and_scale(10, 2).unwrap(),
        ),
        Arc::new(values(5).map(|v| v.map(|v| format!("s{v}"))).collect::<StringArray>()),
        Arc::new(values(6).map(|v| v.map(small)).collect::<Date32Array>()),
        Arc::new(values(7).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(values(8).map(|v| v.map(|v| v % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(
            (0..rows)
                .map(|i| [Some(true), Some(false), None][usize::try_from(i % 3).unwrap()])
                .collect::<BooleanArray>(),
        ),
        Arc::new((0..rows).map(Some).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn call(expr: &str, filter: Option<&str>) -> Call {
    let column = AggregateColumn { name: "x".into(), expr: expr.into(), filter: filter.map(Into::into) };
    let mut step = compile(Input::Source(0), &schema(), Window::tumbling(5), &[], &[column])
        .unwrap_or_else(|e| panic!("{expr}: {e:?}"));
    assert_eq!(step.calls.len(), 1, "{expr}");
    step.calls.remove(0)
}

/// Group 2 gets no rows before row 40, so that one part does not know this group.
fn groups(rows: usize, first: usize) -> Vec<usize> {
    (first..first + rows).map(|i| if i < 40 { i % 2 } else { i % GROUPS }).collect()
}

fn update(call: &Call, state: &mut dyn GroupsAccumulator, batch: &RecordBatch, first: usize) {
    let args: Vec<_> = call.args.iter().map(|a| a.evaluate(batch).unwrap()).collect();
    let filter = call.filter.as_ref().map(|f| f.evaluate(batch).unwrap());
    let filter = filter.as_ref().map(|f| f.as_boolean());
    state.update_batch(&args, &groups(batch.num_rows(), first), filter, GROUPS).unwrap();
}

fn evaluated(mut state: Box<dyn Accumulator>) -> ArrayRef {
    state.evaluate(EmitTo::All).unwrap()
}

#[test]
fn merged_states_equal_one_state() {
    let all = batch(96);
    let numbers = ["i", "l", "f", "d", "m"];
    let others = ["str", "day", "ts", "b"];
    let mut expressions = vec!["count(*)".to_owned()];
    for column in numbers {
        expressions.extend(["sum", "avg", "count", "min", "max"].map(|f| format!("{f}({column})")));
    }
    for column in others {
        expressions.extend(["count", "min", "max"].map(|f| format!("{f}({column})")));
    }
    expressions.extend(["bool_and", "bool_or"].map(|f| format!("{f}(b)")));
    for column in ["i", "l"] {
        expressions.extend(["bit_and", "bit_or", "bit_xor"].map(|f| format!("{f}({column})")));
    }
    for expr in &expressions {
        for filter in [None, Some("keep"), Some("i > 100000")] {
            let call = call(expr, filter);
            let mut whole = call.accumulator().unwrap();
            update(&call, whole.as_mut(), &all, 0);
            let whole = evaluated(whole);
            assert_eq!(whole.data_type(), call.function.field().data_type(), "{expr}");

            // Each third drains its state, as an epoch does; the states merge in another order than the rows came in.
            let mut merged = call.accumulator().unwrap();
            for first in [64, 0, 32] {
                let mut part = call.accumulator().unwrap();
                update(&call, part.as_mut(), &all.slice(first, 32), first);
                let state = part.state(EmitTo::All).unwrap();
                let types: Vec<_> = state.iter().map(|s| s.data_type().clone()).collect();
                let declared: Vec<_> = call.state_fields.iter().map(|f| f.data_type().clone()).collect();
                assert_eq!(types, declared, "{expr}");
                merged.merge_batch(&state, &[0, 1, 2], GROUPS).unwrap();
            }
            assert_eq!(&evaluated(merged), &whole, "{expr} {filter:?}");
        }
    }
}

#[test]
fn a_sum_is_what_adding_gives_and_null_without_values() {
    let all = batch(96);
    let column = all.column(1).as_primitive::<Int64Type>();
    let mut expected = [None; GROUPS];
    for (group, value) in groups(96, 0).into_iter().zip(column) {
        expected[group] = value.map(|v| expected[group].unwrap_or(0) + v).or(expected[group]);
    }
    let sum = call("sum(l)", None);
    let mut state = sum.accumulator().unwrap();
    update(&sum, state.as_mut(), &all, 0);
    assert_eq!(evaluated(state).as_primitive::<Int64Type>(), &Int64Array::from(expected.to_vec()));

    let nothing = call("sum(l)", Some("false"));
    let mut state = nothing.accumulator().unwrap();
    update(&nothing, state.as_mut(), &all, 0);
    assert_eq!(evaluated(state).null_count(), GROUPS);

    let count = call("count(*)", Some("false"));
    let mut state = count.accumulator().unwrap();
    update(&count, state.as_mut(), &all, 0);
    assert_eq!(evaluated(state).as_primitive::<Int64Type>(), &Int64Array::from(vec![0; GROUPS]));
}

#[test]
fn a_filter_that_is_null_does_not_count() {
    let all = batch(9);
    let count = call("count(*)", Some("keep"));
    let mut state = count.accumulator().unwrap();
    update(&count, state.as_mut(), &all, 0);
    let total: i64 = evaluated(state).as_primitive::<Int64Type>().values().iter().sum();
    assert_eq!(total, 3);
}

#[test]
fn outputs_are_computed_from_what_the_calls_give() {
    let column = |name: &str, expr: &str| AggregateColumn { name: name.into(), expr: expr.into(), filter: None };
    let columns = [
        column("mean", "round(sum(d) / count(d), 2)"),
        column("n", "count(*)"),
        column("at", "date_format(window_end, 'ss')"),
    ];
    let key = ["str".into()];
    let step = compile(Input::Source(0), &schema(), Window::tumbling(5), &key, &columns).unwrap();
    let timestamp = |us: i64| Arc::new(TimestampMicrosecondArray::from(vec![us]).with_timezone("UTC")) as ArrayRef;
    let result: Vec<ArrayRef> = vec![
        timestamp(0),
        timestamp(5_000_000),
        Arc::new(StringArray::from(vec!["s1"])),
        Arc::new(Float64Array::from(vec![10.0])),
        Arc::new(Int64Array::from(vec![3])),
        Arc::new(Int64Array::from(vec![4])),
    ];
    let result = RecordBatch::try_new(Arc::clone(&step.result_schema), result).unwrap();
    let outputs: Vec<_> = step.outputs.iter().map(|o| o.evaluate(&result).unwrap()).collect();
    let expected: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![3.33])),
        Arc::new(Int64Array::from(vec![4])),
        Arc::new(StringArray::from(vec!["05"])),
    ];
    assert_eq!(outputs, expected);
}
