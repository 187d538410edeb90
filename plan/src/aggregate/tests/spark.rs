//! Aggregates give what Spark's give, however the rows are cut into parts and in whatever order the parts merge.
//! `spark/values.py` has written the rows and Spark's results.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType as ArrowType, Float64Type, SchemaRef};
use arrow::util::display::array_value_to_string;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::schema_of;
use crate::aggregate::{AggregateColumn, Call, compile};
use crate::plan::Input;
use crate::types::DataType;
use crate::window::Window;

const TABLE: &str = include_str!("spark/values.tsv");
const GROUPS: usize = 9;

fn schema() -> SchemaRef {
    schema_of(&[
        ("d", "double"),
        ("y", "double"),
        ("l", "bigint"),
        ("i", "int"),
        ("b", "boolean"),
        ("s", "string"),
        ("m", "decimal(10,2)"),
        ("_event_time", "timestamp"),
    ])
}

/// The rows, and the group of each. Their event time is their order.
fn rows() -> (RecordBatch, Vec<usize>) {
    let cells: Vec<Vec<&str>> =
        TABLE.lines().filter_map(|l| l.strip_prefix("row\t")).map(|l| l.split('\t').collect()).collect();
    let mut names: Vec<&str> = cells.iter().map(|row| row[0]).collect();
    names.dedup();
    assert_eq!(names.len(), GROUPS);
    let groups = cells.iter().map(|row| names.iter().position(|name| *name == row[0]).unwrap()).collect();
    let column = |at: usize| cells.iter().map(move |row| Some(row[at]).filter(|cell| *cell != "null"));
    let cents = |cell: &str| cell.replace('.', "").parse::<i128>().unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(column(1).map(|cell| cell.map(|c| c.parse::<f64>().unwrap())).collect::<Float64Array>()),
        Arc::new(column(2).map(|cell| cell.map(|c| c.parse::<f64>().unwrap())).collect::<Float64Array>()),
        Arc::new(column(3).map(|cell| cell.map(|c| c.parse::<i64>().unwrap())).collect::<Int64Array>()),
        Arc::new(column(4).map(|cell| cell.map(|c| c.parse::<i32>().unwrap())).collect::<Int32Array>()),
        Arc::new(column(5).map(|cell| cell.map(|c| c == "true")).collect::<BooleanArray>()),
        Arc::new(column(6).map(|cell| cell.map(|c| c.trim_matches('\''))).collect::<StringArray>()),
        Arc::new(
            column(7).map(|cell| cell.map(cents)).collect::<Decimal128Array>().with_precision_and_scale(10, 2).unwrap(),
        ),
        Arc::new((0..).take(cells.len()).map(Some).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ];
    (RecordBatch::try_new(schema(), columns).unwrap(), groups)
}

fn call(expr: &str) -> Call {
    let column = AggregateColumn { name: "x".into(), expr: expr.into(), filter: None };
    let step = compile(Input::Source(0), &schema(), Window::tumbling(5), &[], &[column]);
    step.unwrap_or_else(|e| panic!("{expr}: {e:?}")).calls.remove(0)
}

/// `total` groups have had rows. As in the engine, no group is without one.
fn update(call: &Call, state: &mut dyn GroupsAccumulator, rows: &RecordBatch, groups: &[usize], total: usize) {
    let args: Vec<_> = call.args.iter().map(|a| a.evaluate(rows).unwrap()).collect();
    state.update_batch(&args, groups, None, total).unwrap();
}

/// The results when all rows come at once, and when each comes as a part of its own, the last one first.
fn results(call: &Call) -> [ArrayRef; 2] {
    let (rows, groups) = rows();
    let mut at_once = call.accumulator().unwrap();
    update(call, at_once.as_mut(), &rows, &groups, GROUPS);
    let mut merged = call.accumulator().unwrap();
    let last = GROUPS - 1;
    for row in (0..rows.num_rows()).rev() {
        let mut part = call.accumulator().unwrap();
        let one = take_record_batch(&rows, &UInt32Array::from(vec![u32::try_from(row).unwrap()])).unwrap();
        update(call, part.as_mut(), &one, &[0], 1);
        let state = part.state(EmitTo::All).unwrap();
        let types: Vec<_> = state.iter().map(|s| s.data_type().clone()).collect();
        let declared: Vec<_> = call.state_fields.iter().map(|f| f.data_type().clone()).collect();
        assert_eq!(types, declared, "{}", call.name);
        // The groups come in reverse, too.
        let group = last - groups[row];
        merged.merge_batch(&state, &[group], group + 1).unwrap();
    }
    let [at_once, merged] = [at_once, merged].map(|mut state| {
        let result = state.evaluate(EmitTo::All).unwrap();
        assert_eq!(result.data_type(), call.function.field().data_type(), "{}", call.name);
        result
    });
    let reversed = UInt32Array::from_iter_values((0..u32::try_from(GROUPS).unwrap()).rev());
    [at_once, take(&merged, &reversed, None).unwrap()]
}

fn shown(values: &dyn Array, row: usize) -> String {
    match values.data_type() {
        _ if values.is_null(row) => "null".to_owned(),
        ArrowType::Float64 => format!("{:?}", values.as_primitive::<Float64Type>().value(row)),
        ArrowType::Utf8 => format!("'{}'", values.as_string::<i32>().value(row)),
        ArrowType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            format!("[{}]", (0..items.len()).map(|item| shown(&items, item)).collect::<Vec<_>>().join(", "))
        }
        _ => array_value_to_string(values, row).unwrap(),
    }
}

/// Whether both texts are the same value; doubles may differ by a fraction of `error`.
fn same(found: &str, spark: &str, error: f64) -> bool {
    let inner = |text: &str| text.strip_prefix('[').map(|rest| rest.trim_end_matches(']').to_owned());
    if let (Some(a), Some(b)) = (inner(found), inner(spark)) {
        let (a, b): (Vec<_>, Vec<_>) = (a.split(", ").collect(), b.split(", ").collect());
        return a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(a, b, error));
    }
    match (found.parse::<f64>(), spark.parse::<f64>()) {
        _ if found == spark => true,
        (Ok(a), Ok(b)) if spark.contains(['.', 'e']) || error > 1e-3 => a == b || (a - b).abs() <= error * b.abs(),
        _ => false,
    }
}

/// Where we differ from Spark, which docs/reference/expressions.md says too: the expression, the group, our value.
const DIFFERENT: [(&str, usize, &str); 15] = [
    // Spark divides by zero, which is an error in ANSI mode and null otherwise.
    ("corr(d, y)", 3, "null"),
    ("corr(d, y)", 8, "null"),
    ("corr(y, d)", 3, "null"),
    ("corr(y, d)", 8, "null"),
    ("corr(l, d)", 3, "null"),
    ("corr(l, d)", 8, "null"),
    ("corr(m, i)", 3, "null"),
    ("corr(m, i)", 8, "null"),
    // Of several rows with the least or greatest value, Spark takes the one that comes last.
    ("min_by(i, b)", 4, "-7"),
    ("min_by(i, b)", 5, "-2147483648"),
    ("min_by(y, l)", 3, "1.0"),
    ("max_by(s, l)", 4, "'é'"),
    ("max_by(i, b)", 4, "12"),
    ("max_by(i, b)", 5, "2147483647"),
    // There are three. Spark's sketch has fewer registers, and two of the values share one.
    ("approx_count_distinct(l)", 4, "3"),
];

#[test]
fn results_are_those_of_spark() {
    let mut checked = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with("row\t")) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (expr, data_type, values) = (cells[0], cells[1], &cells[2..]);
        let call = call(expr);
        let found = DataType::from_arrow(call.function.field().data_type()).unwrap();
        assert_eq!(found.to_string(), data_type, "{expr}");
        for found in results(&call) {
            for (group, spark) in values.iter().enumerate() {
                let error = match expr {
                    // An error of 1 %, and the rounding to the type.
                    _ if expr.starts_with("percentile_approx") => 0.011,
                    // Ten digits before the point and two that vary leave this many.
                    _ if expr.contains('m') && group == 5 => 1e-6,
                    _ => 1e-9,
                };
                let ours = DIFFERENT.iter().find(|(e, g, _)| *e == expr && *g == group);
                let expected = ours.map_or(*spark, |(_, _, value)| *value);
                let found = shown(&found, group);
                assert!(same(&found, expected, error), "{expr} of group {group} is {found}, and {expected} in Spark");
                checked += 1;
            }
        }
    }
    assert!(checked > 2_000, "{checked}");
}
