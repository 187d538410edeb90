//! The scalar expressions that test pipelines use, as SQL text for the engine and as an evaluation for the oracle. Nulls as SQL has them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::time;
use super::value::Value;

/// A row: values by column.
pub type Row = BTreeMap<String, Value>;

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Column(String),
    Int(i64),
    Double(f64),
    Text(String),
    Upper(Box<Expr>),
    Add(Box<Expr>, Box<Expr>),
    Multiply(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Op, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    Coalesce(Box<Expr>, Box<Expr>),
    /// `cast(… as date)` of a timestamp.
    DateOf(Box<Expr>),
    /// `date_format(…, 'yyyy-MM-dd HH:mm:ss')` of a timestamp.
    Formatted(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[must_use]
pub fn column(name: &str) -> Box<Expr> {
    Box::new(Expr::Column(name.to_owned()))
}

impl Expr {
    #[must_use]
    pub fn sql(&self) -> String {
        match self {
            Self::Column(name) => name.clone(),
            Self::Int(i) => i.to_string(),
            Self::Double(d) => format!("{d:?}"),
            Self::Text(s) => format!("'{}'", s.replace('\'', "''")),
            Self::Upper(e) => format!("upper({})", e.sql()),
            Self::Add(a, b) => format!("({} + {})", a.sql(), b.sql()),
            Self::Multiply(a, b) => format!("({} * {})", a.sql(), b.sql()),
            Self::Compare(a, op, b) => format!("({} {} {})", a.sql(), op.sql(), b.sql()),
            Self::And(a, b) => format!("({} and {})", a.sql(), b.sql()),
            Self::Or(a, b) => format!("({} or {})", a.sql(), b.sql()),
            Self::Not(e) => format!("(not {})", e.sql()),
            Self::IsNull(e) => format!("({} is null)", e.sql()),
            Self::Coalesce(a, b) => format!("coalesce({}, {})", a.sql(), b.sql()),
            Self::DateOf(e) => format!("cast({} as date)", e.sql()),
            Self::Formatted(e) => format!("date_format({}, 'yyyy-MM-dd HH:mm:ss')", e.sql()),
        }
    }

    /// # Panics
    /// With types that don't fit: validation has refused such a pipeline.
    #[must_use]
    pub fn eval(&self, row: &Row) -> Value {
        match self {
            Self::Column(name) => row.get(name).unwrap_or_else(|| panic!("no column {name} in {row:?}")).clone(),
            Self::Int(i) => Value::Int(*i),
            Self::Double(d) => Value::Double(*d),
            Self::Text(s) => Value::Text(s.clone()),
            Self::Upper(e) => match e.eval(row) {
                Value::Null => Value::Null,
                Value::Text(s) => Value::Text(s.to_uppercase()),
                other => panic!("upper({other:?})"),
            },
            Self::Add(a, b) => arithmetic(a.eval(row), b.eval(row), i64::checked_add, |x, y| x + y),
            Self::Multiply(a, b) => arithmetic(a.eval(row), b.eval(row), i64::checked_mul, |x, y| x * y),
            Self::Compare(a, op, b) => a.eval(row).compare(&b.eval(row)).map_or(Value::Null, |o| Value::Bool(op.holds(o))),
            Self::And(a, b) => match (truth(&a.eval(row)), truth(&b.eval(row))) {
                (Some(false), _) | (_, Some(false)) => Value::Bool(false),
                (Some(true), Some(true)) => Value::Bool(true),
                _ => Value::Null,
            },
            Self::Or(a, b) => match (truth(&a.eval(row)), truth(&b.eval(row))) {
                (Some(true), _) | (_, Some(true)) => Value::Bool(true),
                (Some(false), Some(false)) => Value::Bool(false),
                _ => Value::Null,
            },
            Self::Not(e) => truth(&e.eval(row)).map_or(Value::Null, |b| Value::Bool(!b)),
            Self::IsNull(e) => Value::Bool(e.eval(row) == Value::Null),
            Self::Coalesce(a, b) => match a.eval(row) {
                Value::Null => b.eval(row),
                value => value,
            },
            Self::DateOf(e) => match e.eval(row) {
                Value::Null => Value::Null,
                Value::Time(t) => Value::Date(t.div_euclid(86_400_000_000)),
                other => panic!("cast({other:?} as date)"),
            },
            Self::Formatted(e) => match e.eval(row) {
                Value::Null => Value::Null,
                Value::Time(t) => Value::Text(time::format_spark(t)),
                other => panic!("date_format({other:?})"),
            },
        }
    }

    /// Whether a `where` lets the row through: null does not.
    #[must_use]
    pub fn lets_through(&self, row: &Row) -> bool {
        truth(&self.eval(row)) == Some(true)
    }
}

impl Op {
    fn sql(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Null => None,
        Value::Bool(b) => Some(*b),
        other => panic!("{other:?} is no truth value"),
    }
}

fn arithmetic(a: Value, b: Value, ints: fn(i64, i64) -> Option<i64>, doubles: fn(f64, f64) -> f64) -> Value {
    match (&a, &b) {
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (Value::Int(x), Value::Int(y)) => Value::Int(ints(*x, *y).expect("test data does not overflow")),
        _ => Value::Double(doubles(a.number().expect("a number"), b.number().expect("a number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_neither_true_nor_false() {
        let row: Row = [("n".to_owned(), Value::Null), ("t".to_owned(), Value::Bool(true))].into();
        let positive = Expr::Compare(column("n"), Op::Greater, Box::new(Expr::Int(0)));
        assert!(!positive.lets_through(&row));
        assert!(!Expr::Not(Box::new(positive.clone())).lets_through(&row));
        assert!(Expr::Or(Box::new(positive.clone()), column("t")).lets_through(&row));
        assert!(!Expr::And(Box::new(positive), column("t")).lets_through(&row));
        assert!(Expr::IsNull(column("n")).lets_through(&row));
    }
}
