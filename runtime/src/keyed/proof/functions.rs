//! Aggregates of the steps that are proved, each with its naive meaning. All of them give a bigint of a bigint `x`, and
//! what they keep differs: sums, sets, sketches, lists.

use std::collections::BTreeSet;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

/// The time and the value of each row of a group.
type Rows<'a> = &'a [(i64, Option<i64>)];

#[derive(Clone, Copy)]
pub struct Function {
    /// The expression; `{}` is the column.
    pub sql: &'static str,
    pub naive: fn(Rows) -> Option<i64>,
}

pub const FUNCTIONS: [Function; 13] = [
    Function { sql: "sum({})", naive: |rows| values(rows).into_iter().reduce(|a, b| a + b) },
    Function { sql: "bit_xor({})", naive: |rows| values(rows).into_iter().reduce(|a, b| a ^ b) },
    Function { sql: "count(distinct {})", naive: |rows| distinct(&values(rows)) },
    // The hashes of so few values lie in as many registers.
    Function {
        sql: "approx_count_distinct({} % 4)",
        naive: |rows| distinct(&values(rows).iter().map(|x| x % 4).collect::<Vec<_>>()),
    },
    Function { sql: "first({})", naive: |rows| rows.iter().min().and_then(|row| row.1) },
    Function { sql: "last({})", naive: |rows| rows.iter().max().and_then(|row| row.1) },
    Function {
        sql: "first({}) ignore nulls",
        naive: |rows| rows.iter().filter(|row| row.1.is_some()).min().and_then(|row| row.1),
    },
    Function { sql: "min_by({}, {} % 3)", naive: |rows| values(rows).into_iter().min_by_key(|x| (x % 3, *x)) },
    Function { sql: "max_by({}, {} % 3)", naive: |rows| values(rows).into_iter().max_by_key(|x| (x % 3, *x)) },
    // The sketch is exact for whole numbers below 128.
    Function {
        sql: "percentile_approx({} % 128, 0.5)",
        naive: |rows| {
            let mut sorted: Vec<_> = values(rows).iter().map(|x| x % 128).collect();
            sorted.sort_unstable();
            sorted.get(sorted.len().div_ceil(2).saturating_sub(1)).copied()
        },
    },
    Function {
        sql: "cast(round(median({} % 100) * 2) as bigint)",
        naive: |rows| {
            let mut sorted: Vec<_> = values(rows).iter().map(|x| x % 100).collect();
            sorted.sort_unstable();
            let middle = sorted.len().checked_sub(1)?;
            Some(sorted[middle / 2] + sorted[middle.div_ceil(2)])
        },
    },
    Function {
        sql: "cast(round(stddev_pop({} % 100) * 1000) as bigint)",
        naive: |rows| {
            let x: Vec<f64> = values(rows).iter().map(|x| f64::from(i32::try_from(x % 100).unwrap())).collect();
            let n = f64::from(u32::try_from(x.len()).unwrap());
            let mean = x.iter().sum::<f64>() / n;
            let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            #[allow(clippy::cast_possible_truncation)]
            (n > 0.0).then_some((deviation * 1000.0).round() as i64)
        },
    },
    // The first digits of all values in order. They are never negative.
    Function {
        sql: "cast(left(string_agg(cast({} as string)), 15) as bigint)",
        naive: |rows| {
            let mut rows: Vec<_> = rows.iter().filter_map(|(time, x)| Some((*time, x.as_ref()?.to_string()))).collect();
            rows.sort();
            rows.iter().flat_map(|(_, text)| text.chars()).take(15).collect::<String>().parse().ok()
        },
    },
];

pub fn any(rng: &mut SmallRng) -> Function {
    *FUNCTIONS.choose(rng).unwrap()
}

fn values(rows: Rows) -> Vec<i64> {
    rows.iter().filter_map(|row| row.1).collect()
}

fn distinct(values: &[i64]) -> Option<i64> {
    Some(i64::try_from(values.iter().collect::<BTreeSet<_>>().len()).unwrap())
}
