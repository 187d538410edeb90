//! Aggregates, computed over all rows of a group at once.

mod values;

use std::cmp::Ordering;

use super::expr::{Expr, NoValue, Row, column};
use super::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    CountAll,
    Count(Expr),
    Sum(Expr),
    Avg(Expr),
    Min(Expr),
    Max(Expr),
    CountDistinct(Expr),
    /// Of so few distinct values that the engine's estimate is exact.
    ApproxCountDistinct(Expr),
    /// The value at this fraction of the way through all values, as a double.
    Percentile(Expr, f64),
    Median(Expr),
    /// Of numbers that the engine's sketch knows exactly: whole numbers between -128 and 128.
    ApproxPercentile(Expr, f64),
    VarPop(Expr),
    /// By event time.
    First(Expr, Nulls),
    Last(Expr, Nulls),
    /// The first expression where the second one is least.
    MinBy(Expr, Expr),
    MaxBy(Expr, Expr),
    CollectList(Expr),
    CollectSet(Expr),
    /// The texts with this between them.
    StringAgg(Expr, String),
    /// How many values lie between these bounds.
    Histogram(Expr, Vec<f64>),
    /// Of the rows for which the expression is true.
    Filtered(Box<Aggregate>, Expr),
}

/// Whether rows whose value is null count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    Respected,
    Ignored,
}

impl Aggregate {
    #[must_use]
    pub fn sql(&self) -> String {
        match self {
            Self::CountAll => "count(*)".into(),
            Self::Count(e) => format!("count({})", e.sql()),
            Self::Sum(e) => format!("sum({})", e.sql()),
            Self::Avg(e) => format!("avg({})", e.sql()),
            Self::Min(e) => format!("min({})", e.sql()),
            Self::Max(e) => format!("max({})", e.sql()),
            Self::CountDistinct(e) => format!("count(distinct {})", e.sql()),
            Self::ApproxCountDistinct(e) => format!("approx_count_distinct({})", e.sql()),
            Self::Percentile(e, p) => format!("percentile({}, {p:?})", e.sql()),
            Self::Median(e) => format!("median({})", e.sql()),
            Self::ApproxPercentile(e, p) => format!("approx_percentile({}, {p:?})", e.sql()),
            Self::VarPop(e) => format!("var_pop({})", e.sql()),
            Self::First(e, Nulls::Respected) => format!("first({})", e.sql()),
            Self::First(e, Nulls::Ignored) => format!("first({}, true)", e.sql()),
            Self::Last(e, Nulls::Respected) => format!("last_value({})", e.sql()),
            Self::Last(e, Nulls::Ignored) => format!("last_value({}) ignore nulls", e.sql()),
            Self::MinBy(e, by) => format!("min_by({}, {})", e.sql(), by.sql()),
            Self::MaxBy(e, by) => format!("max_by({}, {})", e.sql(), by.sql()),
            Self::CollectList(e) => format!("collect_list({})", e.sql()),
            Self::CollectSet(e) => format!("collect_set({})", e.sql()),
            Self::StringAgg(e, between) => format!("string_agg({}, '{between}')", e.sql()),
            Self::Histogram(e, bounds) => {
                let bounds: Vec<_> = bounds.iter().map(|bound| format!("{bound:?}")).collect();
                format!("histogram({}, {})", e.sql(), bounds.join(", "))
            }
            Self::Filtered(of, filter) => {
                let (sql, ignored) = (of.sql(), " ignore nulls");
                let (call, nulls) = sql.strip_suffix(ignored).map_or((&*sql, ""), |call| (call, ignored));
                format!("{call} filter (where {}){nulls}", filter.sql())
            }
        }
    }

    /// The expressions that are aggregated.
    fn arguments(&self) -> Vec<&Expr> {
        match self {
            Self::CountAll => vec![],
            Self::MinBy(e, by) | Self::MaxBy(e, by) => vec![e, by],
            Self::Filtered(of, _) => of.arguments(),
            Self::Count(e)
            | Self::Sum(e)
            | Self::Avg(e)
            | Self::Min(e)
            | Self::Max(e)
            | Self::CountDistinct(e)
            | Self::ApproxCountDistinct(e)
            | Self::Percentile(e, _)
            | Self::Median(e)
            | Self::ApproxPercentile(e, _)
            | Self::VarPop(e)
            | Self::First(e, _)
            | Self::Last(e, _)
            | Self::CollectList(e)
            | Self::CollectSet(e)
            | Self::StringAgg(e, _)
            | Self::Histogram(e, _) => vec![e],
        }
    }

    /// Whether the row can be taken in. A row that the filter leaves out needs no arguments.
    pub(super) fn evaluates(&self, row: &Row) -> bool {
        match self {
            Self::Filtered(of, filter) => filter.lets_through(row).is_ok_and(|counts| !counts || of.evaluates(row)),
            _ => self.arguments().iter().all(|e| e.eval(row).is_ok()),
        }
    }

    /// The aggregate over all rows of one group, as in SQL: nulls are left out, and the result over no values is null
    /// (for a count, 0; for a collection, empty).
    ///
    /// # Errors
    /// If a sum of integers does not fit its type.
    ///
    /// # Panics
    /// If an argument fails on a row: such a record is bad.
    #[allow(clippy::cast_precision_loss)]
    pub fn of(&self, rows: &[Row]) -> Result<Value, NoValue> {
        let values_of = |e: &Expr| -> Vec<Value> {
            rows.iter().map(|row| e.eval(row).unwrap()).filter(|value| *value != Value::Null).collect()
        };
        Ok(match self {
            Self::Filtered(of, filter) => {
                let counts = |row: &&Row| filter.lets_through(row).unwrap();
                return of.of(&rows.iter().filter(counts).cloned().collect::<Vec<_>>());
            }
            Self::CountAll => count(rows.len()),
            Self::Count(e) => count(values_of(e).len()),
            Self::CountDistinct(e) | Self::ApproxCountDistinct(e) => count(values::distinct(values_of(e)).len()),
            Self::Histogram(e, bounds) => {
                Value::List(values::between(&values_of(e), bounds).into_iter().map(count).collect())
            }
            Self::CollectSet(e) => Value::List(values::distinct(values_of(e))),
            Self::CollectList(e) => Value::List(in_order(rows, &column("_event_time"), e, Nulls::Ignored)),
            Self::StringAgg(e, between) => {
                values::joined(&in_order(rows, &column("_event_time"), e, Nulls::Ignored), between)
            }
            Self::First(e, nulls) => first(in_order(rows, &column("_event_time"), e, *nulls)),
            Self::Last(e, nulls) => last(in_order(rows, &column("_event_time"), e, *nulls)),
            Self::MinBy(e, by) => first(in_order(rows, by, e, Nulls::Respected)),
            Self::MaxBy(e, by) => last(in_order(rows, by, e, Nulls::Respected)),
            Self::Sum(e) | Self::Avg(e) | Self::VarPop(e) if values_of(e).is_empty() => Value::Null,
            Self::Sum(e) => return sum(&values_of(e)),
            Self::Avg(e) => Value::Double(values::mean(&values_of(e))),
            Self::VarPop(e) => Value::Double(values::variance(&values_of(e))),
            Self::Min(e) => first(values::sorted(values_of(e))).shown(),
            Self::Max(e) => last(values::sorted(values_of(e))).shown(),
            Self::Percentile(e, p) => values::between_two(&values::sorted(values_of(e)), *p),
            Self::Median(e) => values::between_two(&values::sorted(values_of(e)), 0.5),
            Self::ApproxPercentile(e, p) => values::at_rank(&values::sorted(values_of(e)), *p),
        })
    }
}

fn count(n: usize) -> Value {
    Value::Int(n.try_into().unwrap())
}

fn first(values: Vec<Value>) -> Value {
    values.into_iter().next().unwrap_or(Value::Null)
}

fn last(values: Vec<Value>) -> Value {
    values.into_iter().next_back().unwrap_or(Value::Null)
}

/// The values of `e` in the order of `by`; those of equal rank in their own order, nulls first. Rows whose rank is null
/// don't count.
fn in_order(rows: &[Row], by: &Expr, e: &Expr, nulls: Nulls) -> Vec<Value> {
    let pairs = rows.iter().map(|row| (by.eval(row).unwrap(), e.eval(row).unwrap()));
    let counts =
        |(rank, value): &(Value, Value)| *rank != Value::Null && (nulls == Nulls::Respected || *value != Value::Null);
    let mut pairs: Vec<_> = pairs.filter(counts).collect();
    let order = |a: &(Value, Value), b: &(Value, Value)| -> Ordering { a.0.order(&b.0).then_with(|| a.1.order(&b.1)) };
    pairs.sort_by(order);
    pairs.into_iter().map(|(_, value)| value.shown()).collect()
}

/// The exact sum must fit its type; intermediate sums need not.
fn sum(values: &[Value]) -> Result<Value, NoValue> {
    let ints: Option<i128> =
        values.iter().map(|v| if let Value::Int(i) = v { Some(i128::from(*i)) } else { None }).sum();
    match ints {
        Some(sum) => i64::try_from(sum).map(Value::Int).map_err(|_| NoValue),
        None => Ok(values.iter().cloned().reduce(add).unwrap()),
    }
}

fn add(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => Value::Double(a + b),
        (Value::Decimal { units: a, scale }, Value::Decimal { units: b, .. }) => Value::Decimal { units: a + b, scale },
        (a, b) => panic!("sum of {a:?} and {b:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::expr::Op;

    fn rows(values: &[Value]) -> Vec<Row> {
        values.iter().map(|v| Row::from([("x".to_owned(), v.clone())])).collect()
    }

    #[test]
    fn aggregates_leave_nulls_out() {
        let x = *column("x");
        let some = rows(&[Value::Int(3), Value::Null, Value::Int(5)]);
        assert_eq!(Aggregate::CountAll.of(&some), Ok(Value::Int(3)));
        assert_eq!(Aggregate::Count(x.clone()).of(&some), Ok(Value::Int(2)));
        assert_eq!(Aggregate::Sum(x.clone()).of(&some), Ok(Value::Int(8)));
        assert_eq!(Aggregate::Avg(x.clone()).of(&some), Ok(Value::Double(4.0)));
        assert_eq!(Aggregate::Min(x.clone()).of(&some), Ok(Value::Int(3)));
        assert_eq!(Aggregate::Max(x).of(&some), Ok(Value::Int(5)));
    }

    #[test]
    fn aggregates_of_nothing_but_nulls_are_null_and_counts_zero() {
        let none = rows(&[Value::Null]);
        assert_eq!(Aggregate::Sum(*column("x")).of(&none), Ok(Value::Null));
        assert_eq!(Aggregate::Count(*column("x")).of(&none), Ok(Value::Int(0)));
        assert_eq!(Aggregate::CountAll.of(&none), Ok(Value::Int(1)));
    }

    #[test]
    fn a_sum_of_integers_fits_or_fails_as_a_whole() {
        let sum = Aggregate::Sum(*column("x"));
        let [most, one, minus] = [i64::MAX, 1, -1].map(Value::Int);
        assert_eq!(sum.of(&rows(&[most.clone(), one.clone()])), Err(NoValue));
        assert_eq!(sum.of(&rows(&[most.clone(), one, minus])), Ok(most));
    }

    /// Rows of `x` and `y`, whose event time is their order.
    fn pairs(all: &[(Option<i64>, Option<&str>)]) -> Vec<Row> {
        let row = |((x, y), at): (&(Option<i64>, Option<&str>), i64)| {
            Row::from([
                ("x".to_owned(), x.map_or(Value::Null, Value::Int)),
                ("y".to_owned(), y.map_or(Value::Null, |y| Value::Text(y.into()))),
                ("_event_time".to_owned(), Value::Time(at)),
            ])
        };
        all.iter().zip(0..).map(row).collect()
    }

    #[test]
    fn what_goes_by_an_order_has_equal_ranks_in_the_order_of_their_values() {
        let rows = pairs(&[(None, Some("b")), (Some(2), Some("b")), (Some(1), Some("a")), (Some(4), Some("a"))]);
        let of = |aggregate: Aggregate| aggregate.of(&rows).unwrap();
        let (x, y) = (|| *column("x"), || *column("y"));
        assert_eq!(of(Aggregate::First(x(), Nulls::Respected)), Value::Null);
        assert_eq!(of(Aggregate::First(x(), Nulls::Ignored)), Value::Int(2));
        assert_eq!(of(Aggregate::Last(x(), Nulls::Respected)), Value::Int(4));
        assert_eq!(of(Aggregate::MinBy(x(), y())), Value::Int(1));
        assert_eq!(of(Aggregate::MaxBy(x(), y())), Value::Int(2));
        assert_eq!(of(Aggregate::MinBy(y(), x())), Value::Text("a".into()));
        assert_eq!(of(Aggregate::CollectList(x())), Value::List([2, 1, 4].map(Value::Int).into()));
        assert_eq!(of(Aggregate::CollectSet(y())), Value::List(["a", "b"].map(|y| Value::Text(y.into())).into()));
        assert_eq!(of(Aggregate::StringAgg(y(), "/".into())), Value::Text("b/b/a/a".into()));
    }

    #[test]
    fn only_rows_that_the_filter_lets_through_count_and_need_arguments() {
        let rows = pairs(&[(Some(1), Some("a")), (Some(2), None), (Some(0), Some("b"))]);
        let is_a = Expr::Compare(column("y"), Op::Equal, Box::new(Expr::Text("a".into())));
        let quotient = Expr::Divide(Box::new(Expr::Int(1)), column("x"));
        let filtered = Aggregate::Filtered(Box::new(Aggregate::Sum(quotient.clone())), is_a);
        assert_eq!(filtered.of(&rows), Ok(Value::Int(1)));
        assert!(filtered.evaluates(&rows[2]) && !Aggregate::Sum(quotient).evaluates(&rows[2]));
        assert_eq!(filtered.sql(), "sum((1 / x)) filter (where (y = 'a'))");
        let last = Aggregate::Last(*column("x"), Nulls::Ignored);
        let filtered = Aggregate::Filtered(Box::new(last), *column("y"));
        assert_eq!(filtered.sql(), "last_value(x) filter (where y) ignore nulls");
    }

    #[test]
    fn percentiles_lie_between_two_values_or_at_a_rank() {
        let rows = pairs(&[4, 1, 3, 2, 10].map(|x| (Some(x), None)));
        let of = |aggregate: Aggregate| aggregate.of(&rows).unwrap();
        let x = || *column("x");
        assert_eq!(of(Aggregate::Median(x())), Value::Double(3.0));
        assert_eq!(of(Aggregate::Percentile(x(), 0.375)), Value::Double(2.5));
        assert_eq!(of(Aggregate::Percentile(x(), 1.0)), Value::Double(10.0));
        assert_eq!(of(Aggregate::ApproxPercentile(x(), 0.375)), Value::Int(2));
        assert_eq!(of(Aggregate::ApproxPercentile(x(), 0.0)), Value::Int(1));
        assert_eq!(of(Aggregate::Histogram(x(), vec![2.0, 5.0])), Value::List([1, 3, 1].map(Value::Int).into()));
        assert_eq!(of(Aggregate::VarPop(x())), Value::Double(10.0));
        let nothing = Aggregate::Median(x()).of(&pairs(&[(None, None)]));
        assert_eq!(nothing, Ok(Value::Null));
    }
}
