//! Aggregates of the columns `k`, a text, and `n`, a whole number.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use weir_tests::oracle::expr::{Expr, column};
use weir_tests::oracle::pipeline::{Aggregate, Nulls};

/// An aggregate that gives a whole number.
pub fn whole(rng: &mut ChaCha8Rng) -> Aggregate {
    let n = *column("n");
    match rng.random_range(0..12) {
        0 => Aggregate::Count(n),
        1 => Aggregate::Sum(n),
        2 => Aggregate::Min(n),
        3 => Aggregate::Max(n),
        4 => Aggregate::CountDistinct(n),
        5 => Aggregate::ApproxCountDistinct(Expr::Modulo(column("n"), Box::new(Expr::Int(4)))),
        6 => Aggregate::First(n, nulls(rng)),
        7 => Aggregate::Last(n, nulls(rng)),
        8 => Aggregate::MinBy(n, *column("k")),
        9 => Aggregate::MaxBy(n, *column("k")),
        // There is no value if n is 0.
        10 => Aggregate::CountDistinct(Expr::Divide(Box::new(Expr::Int(100)), column("n"))),
        _ => Aggregate::ApproxPercentile(Expr::Modulo(column("n"), Box::new(Expr::Int(128))), fraction(rng)),
    }
}

pub fn double(rng: &mut ChaCha8Rng) -> Aggregate {
    let n = *column("n");
    match rng.random_range(0..4) {
        0 => Aggregate::Avg(n),
        1 => Aggregate::Median(n),
        2 => Aggregate::Percentile(n, fraction(rng)),
        // The square of a large number has fewer digits than the comparison needs.
        _ => Aggregate::VarPop(Expr::Modulo(column("n"), Box::new(Expr::Int(100)))),
    }
}

pub fn text(rng: &mut ChaCha8Rng) -> Aggregate {
    let k = *column("k");
    match rng.random_range(0..4) {
        0 => Aggregate::Max(k),
        1 => Aggregate::Last(k, nulls(rng)),
        2 => Aggregate::MaxBy(k, *column("n")),
        _ => Aggregate::StringAgg(k, "/".into()),
    }
}

/// An aggregate that gives an array of whole numbers.
pub fn list(rng: &mut ChaCha8Rng) -> Aggregate {
    let n = *column("n");
    match rng.random_range(0..3) {
        0 => Aggregate::CollectList(n),
        1 => Aggregate::CollectSet(n),
        _ => Aggregate::Histogram(n, vec![-10.0, 0.0, 2.5]),
    }
}

fn nulls(rng: &mut ChaCha8Rng) -> Nulls {
    if rng.random() { Nulls::Respected } else { Nulls::Ignored }
}

fn fraction(rng: &mut ChaCha8Rng) -> f64 {
    *[0.0, 0.25, 0.5, 0.9, 1.0].choose(rng).unwrap()
}
