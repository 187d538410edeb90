//! The scalar expressions of test pipelines, as SQL text for the engine and evaluated for the oracle. Nulls behave as
//! in SQL.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::time;
use super::value::Value;

/// A row: values by column.
pub type Row = BTreeMap<String, Value>;

/// An expression has no value for a row, or an aggregate none for a group: an overflow, or a division by zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoValue;

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Column(String),
    Int(i64),
    Double(f64),
    Text(String),
    Upper(Box<Expr>),
    Negate(Box<Expr>),
    Add(Box<Expr>, Box<Expr>),
    Subtract(Box<Expr>, Box<Expr>),
    Multiply(Box<Expr>, Box<Expr>),
    /// For integers, rounds towards zero.
    Divide(Box<Expr>, Box<Expr>),
    /// For integers, has the sign of the first operand.
    Modulo(Box<Expr>, Box<Expr>),
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
            Self::Negate(e) => format!("(- {})", e.sql()),
            Self::Add(a, b) => format!("({} + {})", a.sql(), b.sql()),
            Self::Subtract(a, b) => format!("({} - {})", a.sql(), b.sql()),
            Self::Multiply(a, b) => format!("({} * {})", a.sql(), b.sql()),
            Self::Divide(a, b) => format!("({} / {})", a.sql(), b.sql()),
            Self::Modulo(a, b) => format!("({} % {})", a.sql(), b.sql()),
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

    /// Evaluates from left to right, and only as far as the value needs: operands after the deciding one are not
    /// evaluated, so their errors do not count.
    ///
    /// # Errors
    /// If the row has no value: an integer that overflows, a division by zero.
    ///
    /// # Panics
    /// If types do not fit, which validation refuses.
    pub fn eval(&self, row: &Row) -> Result<Value, NoValue> {
        Ok(match self {
            Self::Column(name) => row.get(name).unwrap_or_else(|| panic!("no column {name} in {row:?}")).clone(),
            Self::Int(i) => Value::Int(*i),
            Self::Double(d) => Value::Double(*d),
            Self::Text(s) => Value::Text(s.clone()),
            Self::Upper(e) => match e.eval(row)? {
                Value::Null => Value::Null,
                Value::Text(s) => Value::Text(s.to_uppercase()),
                other => panic!("upper({other:?})"),
            },
            Self::Negate(e) => arithmetic(&Value::Int(0), &e.eval(row)?, |x, y| x - y, |_, y| -y)?,
            Self::Add(a, b) => arithmetic(&a.eval(row)?, &b.eval(row)?, |x, y| x + y, |x, y| x + y)?,
            Self::Subtract(a, b) => arithmetic(&a.eval(row)?, &b.eval(row)?, |x, y| x - y, |x, y| x - y)?,
            Self::Multiply(a, b) => arithmetic(&a.eval(row)?, &b.eval(row)?, |x, y| x * y, |x, y| x * y)?,
            Self::Divide(a, b) => by_divisor(&a.eval(row)?, &b.eval(row)?, |x, y| x / y, |x, y| x / y)?,
            Self::Modulo(a, b) => by_divisor(&a.eval(row)?, &b.eval(row)?, |x, y| x % y, |x, y| x % y)?,
            Self::Compare(a, op, b) => {
                a.eval(row)?.compare(&b.eval(row)?).map_or(Value::Null, |o| Value::Bool(op.holds(o)))
            }
            Self::And(a, b) => match truth(&a.eval(row)?) {
                Some(false) => Value::Bool(false),
                left => match (left, truth(&b.eval(row)?)) {
                    (_, Some(false)) => Value::Bool(false),
                    (Some(true), Some(true)) => Value::Bool(true),
                    _ => Value::Null,
                },
            },
            Self::Or(a, b) => match truth(&a.eval(row)?) {
                Some(true) => Value::Bool(true),
                left => match (left, truth(&b.eval(row)?)) {
                    (_, Some(true)) => Value::Bool(true),
                    (Some(false), Some(false)) => Value::Bool(false),
                    _ => Value::Null,
                },
            },
            Self::Not(e) => truth(&e.eval(row)?).map_or(Value::Null, |b| Value::Bool(!b)),
            Self::IsNull(e) => Value::Bool(e.eval(row)? == Value::Null),
            Self::Coalesce(a, b) => match a.eval(row)? {
                Value::Null => b.eval(row)?,
                value => value,
            },
            Self::DateOf(e) => match e.eval(row)? {
                Value::Null => Value::Null,
                Value::Time(t) => Value::Date(t.div_euclid(86_400_000_000)),
                other => panic!("cast({other:?} as date)"),
            },
            Self::Formatted(e) => match e.eval(row)? {
                Value::Null => Value::Null,
                Value::Time(t) => Value::Text(time::format_spark(t)),
                other => panic!("date_format({other:?})"),
            },
        })
    }

    /// Whether a `where` lets the row through: null does not.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub fn lets_through(&self, row: &Row) -> Result<bool, NoValue> {
        Ok(truth(&self.eval(row)?) == Some(true))
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

/// Computes with integers of 128 bits, which operations on 64-bit values can't overflow. A result that does not fit
/// into 64 bits is no value.
fn arithmetic(
    a: &Value,
    b: &Value,
    ints: fn(i128, i128) -> i128,
    doubles: fn(f64, f64) -> f64,
) -> Result<Value, NoValue> {
    Ok(match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (Value::Int(x), Value::Int(y)) => Value::Int(ints((*x).into(), (*y).into()).try_into().map_err(|_| NoValue)?),
        _ => Value::Double(doubles(a.number().expect("a number"), b.number().expect("a number"))),
    })
}

/// Divides. An integer divided by 0 has no value; doubles give infinities and NaN.
fn by_divisor(
    a: &Value,
    b: &Value,
    ints: fn(i128, i128) -> i128,
    doubles: fn(f64, f64) -> f64,
) -> Result<Value, NoValue> {
    match (a, b) {
        (Value::Int(_), Value::Int(0)) => Err(NoValue),
        _ => arithmetic(a, b, ints, doubles),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_neither_true_nor_false() {
        let row: Row = [("n".to_owned(), Value::Null), ("t".to_owned(), Value::Bool(true))].into();
        let positive = Expr::Compare(column("n"), Op::Greater, Box::new(Expr::Int(0)));
        assert_eq!(positive.lets_through(&row), Ok(false));
        assert_eq!(Expr::Not(Box::new(positive.clone())).lets_through(&row), Ok(false));
        assert_eq!(Expr::Or(Box::new(positive.clone()), column("t")).lets_through(&row), Ok(true));
        assert_eq!(Expr::And(Box::new(positive), column("t")).lets_through(&row), Ok(false));
        assert_eq!(Expr::IsNull(column("n")).lets_through(&row), Ok(true));
    }

    #[test]
    fn what_an_integer_can_not_hold_has_no_value() {
        let row: Row = [("least", i64::MIN), ("most", i64::MAX), ("zero", 0), ("m", -1)]
            .map(|(n, i)| (n.to_owned(), Value::Int(i)))
            .into();
        let of = |e: Expr| e.eval(&row);
        assert_eq!(of(Expr::Negate(column("least"))), Err(NoValue));
        assert_eq!(of(Expr::Negate(column("most"))), Ok(Value::Int(-i64::MAX)));
        assert_eq!(of(Expr::Add(column("most"), column("m"))), Ok(Value::Int(i64::MAX - 1)));
        assert_eq!(of(Expr::Subtract(column("most"), column("m"))), Err(NoValue));
        assert_eq!(of(Expr::Multiply(column("least"), column("m"))), Err(NoValue));
        assert_eq!(of(Expr::Divide(column("least"), column("m"))), Err(NoValue));
        assert_eq!(of(Expr::Modulo(column("least"), column("m"))), Ok(Value::Int(0)));
        assert_eq!(of(Expr::Divide(column("m"), column("zero"))), Err(NoValue));
        assert_eq!(of(Expr::Divide(Box::new(Expr::Int(-7)), Box::new(Expr::Int(2)))), Ok(Value::Int(-3)));
        assert_eq!(of(Expr::Modulo(Box::new(Expr::Int(-7)), Box::new(Expr::Int(2)))), Ok(Value::Int(-1)));
        assert_eq!(
            of(Expr::Divide(Box::new(Expr::Double(-1.0)), column("zero"))),
            Ok(Value::Double(f64::NEG_INFINITY))
        );
    }

    #[test]
    fn what_decides_already_spares_the_rest_its_errors() {
        let row = Row::new();
        let compare = |op: Op| Box::new(Expr::Compare(Box::new(Expr::Int(1)), op, Box::new(Expr::Int(0))));
        let broken = || {
            let quotient = Expr::Divide(Box::new(Expr::Int(1)), Box::new(Expr::Int(0)));
            Box::new(Expr::Compare(Box::new(quotient), Op::Equal, Box::new(Expr::Int(1))))
        };
        assert_eq!(Expr::And(compare(Op::Less), broken()).eval(&row), Ok(Value::Bool(false)));
        assert_eq!(Expr::Or(compare(Op::Greater), broken()).eval(&row), Ok(Value::Bool(true)));
        assert_eq!(Expr::And(compare(Op::Greater), broken()).eval(&row), Err(NoValue));
        assert_eq!(Expr::And(broken(), compare(Op::Less)).eval(&row), Err(NoValue));
        assert_eq!(Expr::Coalesce(compare(Op::Less), broken()).eval(&row), Ok(Value::Bool(false)));
    }
}
