//! However rows are cut and in whatever order the parts merge, every aggregate gives the same, and what a naive reader
//! of all rows computes.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat;
use arrow::datatypes::{Float64Type, Int64Type, SchemaRef};
use datafusion_expr::EmitTo;

use super::schema_of;
use crate::aggregate::{Accumulator, AggregateColumn, Call, compile};
use crate::plan::Input;
use crate::window::Window;

/// A random generator: the same seed gives the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn schema() -> SchemaRef {
    schema_of(&[("d", "double"), ("l", "bigint"), ("s", "string"), ("b", "boolean"), ("_event_time", "timestamp")])
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    d: Option<f64>,
    l: Option<i64>,
    s: Option<String>,
    b: Option<bool>,
    at: i64,
}

/// Rows of few values, so that there are ties; a fifth of the values is null.
fn rows(rng: &mut Random, count: usize) -> Vec<Row> {
    let doubles = [f64::NAN, 0.0, -0.0, f64::INFINITY, -1.5, 2.25, 1e-3, 7e5, 1e300, -3e8];
    let kinds = 1 + rng.below(doubles.len());
    let texts = ["", "a", "b", "é", "aa"];
    let number = |rng: &mut Random| i64::try_from(rng.below(9)).unwrap() - 4;
    (0..count)
        .map(|_| Row {
            d: (rng.below(5) > 0).then(|| doubles[rng.below(kinds)]),
            l: (rng.below(5) > 0).then(|| number(rng)),
            s: (rng.below(5) > 0).then(|| texts[rng.below(texts.len())].to_owned()),
            b: (rng.below(5) > 0).then(|| rng.below(3) > 0),
            at: number(rng),
        })
        .collect()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.d).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.l).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.s.clone()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.b).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| Some(row.at)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn call(expr: &str) -> Call {
    let column = AggregateColumn { name: "x".into(), expr: expr.into(), filter: None };
    let step = compile(Input::Source(0), &schema(), Window::tumbling(5), &[], &[column]);
    step.unwrap_or_else(|e| panic!("{expr}: {e:?}")).calls.remove(0)
}

fn of_rows(call: &Call, rows: &[Row]) -> Box<dyn Accumulator> {
    let (mut accumulator, batch) = (call.accumulator().unwrap(), batch(rows));
    let values: Vec<_> = call.args.iter().map(|a| a.evaluate(&batch).unwrap()).collect();
    let filter = call.filter.as_ref().map(|f| f.evaluate(&batch).unwrap().as_boolean().clone());
    accumulator.update_batch(&values, &vec![0; rows.len()], filter.as_ref(), 1).unwrap();
    accumulator
}

fn ended(mut accumulator: Box<dyn Accumulator>) -> ArrayRef {
    accumulator.evaluate(EmitTo::All).unwrap()
}

/// Cuts the rows at random places and merges the parts in a random order, some of them with each other first.
fn in_pieces(call: &Call, rows: &[Row], rng: &mut Random) -> ArrayRef {
    let (mut parts, mut from) = (Vec::new(), 0);
    while from < rows.len() {
        let length = 1 + rng.below(rows.len() - from);
        parts.push(of_rows(call, &rows[from..from + length]));
        from += length;
    }
    while parts.len() > 1 {
        let (left, right) = (rng.below(parts.len()), rng.below(parts.len() - 1));
        let mut one = parts.swap_remove(left);
        parts[right].merge_batch(&one.state(EmitTo::All).unwrap(), &[0], 1).unwrap();
    }
    ended(parts.remove(0))
}

#[test]
fn nothing_depends_on_the_order_in_which_partials_merge() {
    let mut expressions: Vec<String> = Vec::new();
    for column in ["d", "l", "s", "b"] {
        let of_any = [
            "count_distinct(x)",
            "approx_count_distinct(x)",
            "first(x)",
            "last(x)",
            "first(x) ignore nulls",
            "last(x) filter (where l > 0)",
            "min_by(x, l)",
            "max_by(x, d)",
            "min_by(l, x)",
            "max_by(d, x) filter (where b)",
            "collect_list(x)",
            "collect_set(x) filter (where b)",
        ];
        let replaced = |expr: &str| expr.replace("(x", &format!("({column}")).replace(", x", &format!(", {column}"));
        expressions.extend(of_any.map(replaced));
    }
    for column in ["d", "l"] {
        let of_numbers =
            ["percentile(x, 0.3)", "median(x)", "percentile_approx(x, 0.3)", "histogram(x, -1, 0, 2.25, 1e6)"];
        expressions.extend(of_numbers.map(|expr| expr.replace("(x", &format!("({column}"))));
    }
    expressions.extend(["bool_and(b)", "bool_or(b)", "bit_and(l)", "bit_or(l)", "bit_xor(l)"].map(str::to_owned));
    expressions.extend(["string_agg(s)", "string_agg(s, ', ')"].map(str::to_owned));
    let calls: Vec<_> = expressions.iter().map(|expr| call(expr)).collect();
    for seed in 0..60 {
        let mut rng = Random(seed);
        let count = 1 + rng.below(30);
        let rows = rows(&mut rng, count);
        for call in &calls {
            let whole = ended(of_rows(call, &rows));
            assert_eq!(&in_pieces(call, &rows, &mut rng), &whole, "seed {seed}: {}: {rows:?}", call.name);
        }
    }
}

/// Values are in one group each, and two groups are taken at a time.
#[test]
fn groups_may_be_taken_one_part_after_the_other() {
    for expr in [
        "stddev_pop(l)",
        "first(s)",
        "count(distinct s)",
        "approx_count_distinct(s)",
        "median(l)",
        "percentile_approx(l, 0.5)",
        "collect_list(s)",
        "collect_set(s)",
        "string_agg(s, ',')",
        "histogram(l, 0)",
    ] {
        let call = call(expr);
        let rows = rows(&mut Random(5), 7);
        let taken = |sizes: &[EmitTo]| {
            let (mut accumulator, batch) = (call.accumulator().unwrap(), batch(&rows));
            let values: Vec<_> = call.args.iter().map(|a| a.evaluate(&batch).unwrap()).collect();
            accumulator.update_batch(&values, &(0..rows.len()).collect::<Vec<_>>(), None, rows.len()).unwrap();
            let parts: Vec<_> = sizes.iter().map(|size| accumulator.evaluate(*size).unwrap()).collect();
            // Vectors may keep their memory, but nothing that groups had.
            assert!(accumulator.size() <= 1024, "{expr}: {}", accumulator.size());
            concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
        };
        let (in_parts, at_once) = (taken(&[EmitTo::First(2), EmitTo::First(4), EmitTo::All]), taken(&[EmitTo::All]));
        assert_eq!(&in_parts, &at_once, "{expr}");
    }
}

fn doubles(rows: &[Row]) -> Vec<f64> {
    let mut all: Vec<f64> =
        rows.iter().filter_map(|row| row.d).map(|d| if d.is_nan() { f64::NAN } else { d + 0.0 }).collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
    all
}

#[test]
fn percentiles_are_near_the_value_of_their_rank() {
    for seed in 0..200 {
        let mut rng = Random(seed);
        let count = 1 + rng.below(60);
        let rows = rows(&mut rng, count);
        let sorted = doubles(&rows);
        for p in [0.0, 0.01, 0.5, 0.9, 1.0] {
            let found = ended(of_rows(&call(&format!("percentile_approx(d, {p})")), &rows));
            let found = found.as_primitive::<Float64Type>().iter().next().unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let rank = ((p * sorted.len() as f64).ceil() as usize).max(1);
            let exact = sorted.get(rank - 1).copied();
            let near = match (found, exact) {
                (Some(found), Some(exact)) if exact.is_nan() => found.is_nan(),
                (Some(found), Some(exact)) => found == exact || (found - exact).abs() <= 0.01 * exact.abs(),
                (found, exact) => found == exact,
            };
            assert!(near, "seed {seed}: {p} is {found:?}, exactly {exact:?}");
        }
    }
}

#[test]
fn every_double_is_within_one_percent_of_its_percentile() {
    let (call, mut rng) = (call("percentile_approx(d, 0.5)"), Random(1));
    for _ in 0..5_000 {
        let bits = (u64::try_from(rng.below(1 << 31)).unwrap() << 33) | u64::try_from(rng.below(1 << 31)).unwrap();
        let exact = f64::from_bits(bits);
        if !exact.is_normal() {
            continue;
        }
        // With a value on each side, the result is not one of the ends, which are exact.
        let row = |d| Row { d: Some(d), l: None, s: None, b: None, at: 0 };
        let found = ended(of_rows(&call, &[row(f64::NEG_INFINITY), row(exact), row(f64::INFINITY)]));
        let found = found.as_primitive::<Float64Type>().value(0);
        assert!((found - exact).abs() <= 0.01 * exact.abs(), "{exact:e} as {found:e}");
    }
}

#[test]
fn whole_numbers_below_128_are_their_own_percentiles() {
    let call = call("percentile_approx(l, 0.5)");
    for exact in -127..128 {
        let row = |l| Row { d: None, l: Some(l), s: None, b: None, at: 0 };
        let found = ended(of_rows(&call, &[row(-1_000), row(exact), row(1_000)]));
        assert_eq!(found.as_primitive::<Int64Type>().value(0), exact);
    }
}

#[test]
fn counts_of_distinct_values_are_near_those_of_a_set() {
    let (exact, about) = (call("count(distinct l)"), call("approx_count_distinct(l)"));
    let mut rng = Random(3);
    for count in [0, 1, 2, 10, 100, 500, 1_000, 2_000, 10_000, 100_000] {
        let row = |l| Row { d: None, l: Some(l), s: None, b: None, at: 0 };
        let rows: Vec<_> = (0..count).map(|_| row(i64::try_from(rng.below(1 << 30)).unwrap())).collect();
        let distinct: BTreeSet<_> = rows.iter().map(|row| row.l).collect();
        let of = |call: &Call| ended(of_rows(call, &rows)).as_primitive::<Int64Type>().value(0);
        let distinct = i64::try_from(distinct.len()).unwrap();
        if count == 0 {
            continue;
        }
        assert_eq!(of(&exact), distinct);
        let (found, of_pieces) = (of(&about), in_pieces(&about, &rows, &mut rng));
        assert_eq!(of_pieces.as_primitive::<Int64Type>().value(0), found, "of {distinct}");
        #[allow(clippy::cast_precision_loss)]
        let error = (found - distinct).abs() as f64 / distinct as f64;
        assert!(error < 0.05, "{found} of {distinct}");
    }
}

#[test]
fn collections_are_what_sorting_all_rows_gives() {
    for seed in 0..100 {
        let mut rng = Random(seed);
        let count = 1 + rng.below(20);
        let rows = rows(&mut rng, count);
        let mut by_time: Vec<(i64, String)> = rows.iter().filter_map(|row| Some((row.at, row.s.clone()?))).collect();
        by_time.sort();
        let texts: Vec<&str> = by_time.iter().map(|(_, text)| text.as_str()).collect();
        let list_of = |expr: &str| {
            let items = ended(of_rows(&call(expr), &rows)).as_list::<i32>().value(0);
            items.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list_of("collect_list(s)"), texts, "seed {seed}");
        let set: BTreeSet<&str> = texts.iter().copied().collect();
        assert_eq!(list_of("collect_set(s)"), set.into_iter().collect::<Vec<_>>(), "seed {seed}");
        let joined = ended(of_rows(&call("listagg(s, '/')"), &rows));
        let joined = joined.as_string::<i32>().iter().next().unwrap();
        assert_eq!(joined, (!texts.is_empty()).then(|| texts.join("/")).as_deref(), "seed {seed}");
        let mut counts = BTreeMap::from([(0, 0), (1, 0), (2, 0)]);
        for l in rows.iter().filter_map(|row| row.l) {
            *counts.get_mut(&(usize::from(l >= -1) + usize::from(l >= 2))).unwrap() += 1;
        }
        let histogram = ended(of_rows(&call("histogram(l, -1, 2)"), &rows)).as_list::<i32>().value(0);
        let found: Vec<i64> = histogram.as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(found, counts.into_values().collect::<Vec<i64>>(), "seed {seed}");
    }
}

#[test]
fn a_group_that_collects_too_much_is_told_in_whatever_order_its_parts_come() {
    for expr in ["collect_list(s)", "collect_set(s)", "string_agg(s, ',')"] {
        let call = call(expr);
        let row = |at: usize, length: usize| Row {
            d: None,
            l: None,
            s: Some(at.to_string() + &"x".repeat(length)),
            b: None,
            at: i64::try_from(at).unwrap(),
        };
        let most = call.collects_max().unwrap();
        let half: Vec<Row> = (0..4).map(|at| row(at, most / 10)).collect();
        let other_half: Vec<Row> = (4..8).map(|at| row(at, most / 10)).collect();
        let small = [row(9, 3 * most / 10)];
        let is_full = |parts: &[&[Row]]| {
            let mut merged = call.accumulator().unwrap();
            for part in parts {
                let state = of_rows(&call, part).state(EmitTo::All).unwrap();
                merged.merge_batch(&state, &[0], 1).unwrap();
                if !merged.beyond_type().is_empty() {
                    assert!(merged.size() < 1024, "{expr}: {}", merged.size());
                }
            }
            let beyond = merged.beyond_type();
            assert_eq!(merged.evaluate(EmitTo::All).unwrap().len(), 1);
            beyond == [0]
        };
        assert!(!is_full(&[&half, &other_half]), "{expr}");
        assert!(is_full(&[&half, &other_half, &small]), "{expr}");
        assert!(is_full(&[&small, &half, &other_half]), "{expr}");
        let at_once: Vec<Row> = [&half[..], &other_half, &small].concat();
        assert!(is_full(&[&at_once]) && is_full(&[&at_once, &small]) && is_full(&[&small, &at_once]), "{expr}");
    }
}
