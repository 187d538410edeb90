//! However rows are cut and in whatever order the parts merge, a group's result is the same bit by bit, and equals what
//! a naive reader computes.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use arrow::array::{
    AsArray, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::Decimal128Type;

use super::*;
use crate::aggregate::tests::schema_of;
use crate::aggregate::{AggregateColumn, Call, compile};
use crate::plan::Input;
use crate::window::Window;

/// A random generator: the same seed gives the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

fn call(expr: &str) -> Call {
    let schema = schema_of(&[
        ("d", "double"),
        ("f", "float"),
        ("l", "bigint"),
        ("m", "decimal(38,18)"),
        ("s", "decimal(10,2)"),
        ("_event_time", "timestamp"),
    ]);
    let column = AggregateColumn { name: "x".into(), expr: expr.into(), filter: None };
    compile(Input::Source(0), &schema, Window::tumbling(5), &[], &[column]).unwrap().calls.remove(0)
}

fn batch(rng: &mut Random, rows: usize) -> RecordBatch {
    let doubles =
        [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, 1.0, -3.0, 7.0];
    let bigints = [i64::MAX, i64::MIN, i64::MAX - 1, 0, 1, -1];
    let decimals = [10_i128.pow(38) - 1, 1 - 10_i128.pow(38), 0, 1, -1, 5 * 10_i128.pow(37)];
    let small = [1_i128, 2, -2, 9_999_999_999, -9_999_999_999];
    // Some batches have only few kinds of values, so that groups of nothing but infinities, zeros or NaNs occur.
    let kinds = 1 + rng.below(doubles.len());
    let nullable = |rng: &mut Random| rng.below(5) > 0;
    let d: Vec<_> = (0..rows).map(|_| nullable(rng).then(|| rng.one_of(&doubles[..kinds]))).collect();
    #[allow(clippy::cast_possible_truncation)]
    let f: Vec<_> = d.iter().map(|v| v.map(|v| v as f32)).collect();
    let l: Vec<_> = (0..rows).map(|_| nullable(rng).then(|| rng.one_of(&bigints))).collect();
    let m: Vec<_> = (0..rows).map(|_| nullable(rng).then(|| rng.one_of(&decimals))).collect();
    let s: Vec<_> = (0..rows).map(|_| nullable(rng).then(|| rng.one_of(&small))).collect();
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(d)),
        Arc::new(Float32Array::from(f)),
        Arc::new(Int64Array::from(l)),
        decimal(m, 38, 18),
        decimal(s, 10, 2),
        Arc::new(TimestampMicrosecondArray::from(vec![0; rows]).with_timezone("UTC")),
    ];
    let schema = schema_of(&[
        ("d", "double"),
        ("f", "float"),
        ("l", "bigint"),
        ("m", "decimal(38,18)"),
        ("s", "decimal(10,2)"),
        ("_event_time", "timestamp"),
    ]);
    RecordBatch::try_new(schema, columns).unwrap()
}

fn of_rows(call: &Call, rows: &RecordBatch) -> Box<dyn Accumulator> {
    let mut accumulator = call.accumulator().unwrap();
    let values: Vec<_> = call.args.iter().map(|a| a.evaluate(rows).unwrap()).collect();
    accumulator.update_batch(&values, &vec![0; rows.num_rows()], None, 1).unwrap();
    accumulator
}

/// The value, and the groups whose type can't hold theirs.
fn ended(mut accumulator: Box<dyn Accumulator>) -> (ArrayRef, Vec<usize>) {
    let beyond = accumulator.beyond_type();
    (accumulator.evaluate(EmitTo::All).unwrap(), beyond)
}

/// Cuts the rows at random places and merges the parts in a random order, some of them with each other first.
fn in_pieces(call: &Call, rows: &RecordBatch, rng: &mut Random) -> (ArrayRef, Vec<usize>) {
    let (mut parts, mut from) = (Vec::new(), 0);
    while from < rows.num_rows() {
        let length = 1 + rng.below(rows.num_rows() - from);
        parts.push(of_rows(call, &rows.slice(from, length)));
        from += length;
    }
    while parts.len() > 1 {
        let (left, right) = (rng.below(parts.len()), rng.below(parts.len() - 1));
        let mut one = parts.swap_remove(left);
        let other = &mut parts[right];
        other.merge_batch(&one.state(EmitTo::All).unwrap(), &[0], 1).unwrap();
    }
    ended(parts.remove(0))
}

#[test]
fn nothing_depends_on_the_order_in_which_partials_merge() {
    // Sums of doubles are left out: their rounding depends on the order.
    let expressions = [
        "min(d)", "max(d)", "min(f)", "max(f)", "sum(l)", "min(l)", "max(l)", "count(d)", "sum(m)", "avg(m)", "sum(s)",
        "avg(s)",
    ];
    let calls: Vec<_> = expressions.into_iter().map(call).collect();
    for seed in 0..400 {
        let mut rng = Random(seed);
        let count = 1 + rng.below(12);
        let rows = batch(&mut rng, count);
        for call in &calls {
            let whole = ended(of_rows(call, &rows));
            assert_eq!(in_pieces(call, &rows, &mut rng), whole, "seed {seed}: {}", call.name);
        }
    }
}

/// Spark's order, case by case.
fn naive_order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap(),
    }
}

#[test]
fn extremes_and_sums_are_what_a_naive_reader_computes() {
    for seed in 0..200 {
        let mut rng = Random(seed);
        let rows = batch(&mut rng, 6);
        let doubles: Vec<f64> = rows.column(0).as_primitive::<Float64Type>().iter().flatten().collect();
        for (expr, expected) in [
            ("min(d)", doubles.iter().copied().min_by(|a, b| naive_order(*a, *b))),
            ("max(d)", doubles.iter().copied().max_by(|a, b| naive_order(*a, *b))),
        ] {
            let (found, _) = ended(of_rows(&call(expr), &rows));
            let found = found.as_primitive::<Float64Type>().iter().next().unwrap();
            // Equal values get equal bits: one NaN, and 0.0 for both zeros.
            let shown = expected.map(|x| if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() });
            assert_eq!(found.map(f64::to_bits), shown, "seed {seed}: {expr}");
        }
        let bigints: Vec<i128> = rows.column(2).as_primitive::<Int64Type>().iter().flatten().map(i128::from).collect();
        let (found, beyond) = ended(of_rows(&call("sum(l)"), &rows));
        let exact = (!bigints.is_empty()).then(|| bigints.iter().sum::<i128>());
        let fits = exact.and_then(|sum| i64::try_from(sum).ok());
        assert_eq!(found.as_primitive::<Int64Type>().iter().next().unwrap(), fits, "seed {seed}");
        assert_eq!(beyond.len(), usize::from(exact.is_some() && fits.is_none()), "seed {seed}");
    }
}

fn decimals(expr: &str, unscaled: &[i128]) -> (Option<i128>, usize) {
    let call = call(expr);
    let mut accumulator = call.accumulator().unwrap();
    let values: ArrayRef =
        Arc::new(Decimal128Array::from(unscaled.to_vec()).with_data_type(call.args[0].field.data_type().clone()));
    accumulator.update_batch(&[values], &vec![0; unscaled.len()], None, 1).unwrap();
    let (value, beyond) = ended(accumulator);
    (value.as_primitive::<Decimal128Type>().iter().next().unwrap(), beyond.len())
}

#[test]
fn decimals_that_outgrow_their_type_are_told_and_never_a_wrong_number() {
    let greatest = 10_i128.pow(38) - 1;
    assert_eq!(decimals("sum(m)", &[9 * 10_i128.pow(37), 9 * 10_i128.pow(37)]), (None, 1), "9e19 twice");
    assert_eq!(decimals("sum(m)", &[greatest, 1, -1]), (Some(greatest), 0), "too large on the way only");
    assert_eq!(decimals("avg(m)", &[12_345_678_901_234_567 * 10_i128.pow(18)]), (None, 1), "17 digits and 22 of scale");
    assert_eq!(decimals("avg(m)", &[10_i128.pow(18), 2 * 10_i128.pow(18)]), (Some(15 * 10_i128.pow(21)), 0));
}

#[test]
fn averages_of_decimals_are_rounded_half_away_from_zero() {
    assert_eq!(decimals("avg(s)", &[100, 100, 0]).0, Some(666_667), "2/3 of 1.00");
    assert_eq!(decimals("avg(s)", &[-100, -100, 0]).0, Some(-666_667));
    assert_eq!(decimals("avg(s)", &[1, 0, 0]).0, Some(3_333));
}

#[test]
fn a_state_without_its_added_part_is_one_of_an_older_version() {
    let call = call("sum(l)");
    let state = of_rows(&call, &batch(&mut Random(7), 1)).state(EmitTo::All).unwrap();
    assert_eq!((state.len(), call.first_state().len()), (2, 1));
    for old in [-5, 5, i64::MIN, i64::MAX] {
        let low: ArrayRef = Arc::new(Int64Array::from(vec![old]));
        for state in [vec![Arc::clone(&low)], vec![low, Arc::new(Int64Array::from(vec![None]))]] {
            let mut accumulator = call.accumulator().unwrap();
            accumulator.merge_batch(&state, &[0], 1).unwrap();
            assert_eq!(ended(accumulator).0.as_primitive::<Int64Type>().value(0), old);
        }
    }
}
