//! Aggregates, computed over all rows of a group at once.

use super::expr::{Expr, NoValue, Row};
use super::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    CountAll,
    Count(Expr),
    Sum(Expr),
    Avg(Expr),
    Min(Expr),
    Max(Expr),
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
        }
    }

    /// The expression that is aggregated; `None` for `count(*)`.
    pub(super) fn argument(&self) -> Option<&Expr> {
        match self {
            Self::CountAll => None,
            Self::Count(e) | Self::Sum(e) | Self::Avg(e) | Self::Min(e) | Self::Max(e) => Some(e),
        }
    }

    /// The aggregate over all rows of one group, as in SQL: nulls are left out, and the result over no values is null
    /// (for a count, 0).
    ///
    /// # Errors
    /// If a sum of integers does not fit its type.
    ///
    /// # Panics
    /// If the argument fails on a row: such a record is bad.
    #[allow(clippy::cast_precision_loss)]
    pub fn of(&self, rows: &[Row]) -> Result<Value, NoValue> {
        let Some(e) = self.argument() else { return Ok(Value::Int(rows.len().try_into().unwrap())) };
        let values: Vec<Value> = rows.iter().map(|r| e.eval(r).unwrap()).filter(|v| *v != Value::Null).collect();
        let count = values.len();
        Ok(match self {
            Self::Count(_) => Value::Int(count.try_into().unwrap()),
            _ if count == 0 => Value::Null,
            Self::Sum(_) => return sum(&values),
            Self::Avg(_) => Value::Double(values.iter().map(|v| v.number().unwrap()).sum::<f64>() / count as f64),
            Self::Min(_) => {
                values.into_iter().reduce(|a, b| if b.compare(&a).unwrap().is_lt() { b } else { a }).unwrap().shown()
            }
            _ => values.into_iter().reduce(|a, b| if b.compare(&a).unwrap().is_gt() { b } else { a }).unwrap().shown(),
        })
    }
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
    use crate::oracle::expr::column;

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
}
