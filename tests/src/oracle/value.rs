//! The oracle's values and types, and how it reads them from JSON.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::time;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// Days since 1970-01-01.
    Date(i64),
    /// Units of `10^-scale`.
    Decimal {
        units: i128,
        scale: u32,
    },
    List(Vec<Value>),
}

/// A column's type, by Spark's DDL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Bigint,
    Double,
    String,
    Boolean,
    Timestamp,
    Date,
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// A list of values of one type.
    List(&'static Type),
}

impl Type {
    /// The type as a document writes it.
    #[must_use]
    pub fn ddl(self) -> String {
        match self {
            Self::Bigint => "bigint".into(),
            Self::Double => "double".into(),
            Self::String => "string".into(),
            Self::Boolean => "boolean".into(),
            Self::Timestamp => "timestamp".into(),
            Self::Date => "date".into(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::List(of) => format!("array<{}>", of.ddl()),
        }
    }

    /// The value of a field; `None` if it does not fit the type. Null fits every type here.
    #[must_use]
    pub fn read(self, json: &Json) -> Option<Value> {
        match (self, json) {
            (_, Json::Null) => Some(Value::Null),
            (Self::Bigint, Json::Number(n)) => n.as_i64().map(Value::Int),
            (Self::Double, Json::Number(n)) => n.as_f64().map(Value::Double),
            (Self::String, Json::String(s)) => Some(Value::Text(s.clone())),
            (Self::Boolean, Json::Bool(b)) => Some(Value::Bool(*b)),
            (Self::Timestamp, Json::String(s)) => time::parse_timestamp(s).map(Value::Time),
            (Self::Date, Json::String(s)) => time::parse_date(s).map(Value::Date),
            (Self::Decimal { precision, scale }, Json::Number(n)) => decimal(&n.to_string(), precision, scale),
            (Self::List(of), Json::Array(all)) => {
                all.iter().map(|one| of.read(one)).collect::<Option<_>>().map(Value::List)
            }
            _ => None,
        }
    }
}

impl Value {
    /// The value as the readers in `tests/readers` print it. A double stays a double: `3.0`, not `3`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::from(*b),
            Self::Int(i) => Json::from(*i),
            Self::Double(d) if d.is_nan() => Json::from("NaN"),
            Self::Double(d) if d.is_infinite() => Json::from(if *d > 0.0 { "Infinity" } else { "-Infinity" }),
            Self::Double(d) => serde_json::Number::from_f64(*d).map_or(Json::Null, Json::Number),
            Self::Text(s) => Json::from(s.clone()),
            Self::Time(t) => Json::from(time::format_micros(*t)),
            Self::Date(d) => Json::from(time::format_date(*d)),
            Self::List(all) => all.iter().map(Self::to_json).collect(),
            Self::Decimal { units, scale: 0 } => Json::from(units.to_string()),
            Self::Decimal { units, scale } => {
                let digits = format!("{:0>width$}", units.unsigned_abs(), width = *scale as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
                Json::from(format!("{}{whole}.{fraction}", if *units < 0 { "-" } else { "" }))
            }
        }
    }

    /// SQL's comparison; `None` with a null on either side. An integer and a double compare as doubles: a NaN is equal
    /// to itself and greater than every other value, and 0.0 equals -0.0.
    ///
    /// # Panics
    /// If the types can't be compared, which validation refuses.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) | (Self::Time(a), Self::Time(b)) | (Self::Date(a), Self::Date(b)) => {
                Some(a.cmp(b))
            }
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Decimal { units: a, scale: s }, Self::Decimal { units: b, scale: t }) if s == t => Some(a.cmp(b)),
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) if a.is_nan() || b.is_nan() => Some(a.is_nan().cmp(&b.is_nan())),
                (Some(a), Some(b)) => a.partial_cmp(&b),
                _ => panic!("{a:?} and {b:?} don't compare"),
            },
        }
    }

    /// A total order of the values of one type: nulls first, else [`Self::compare`]. Lists go by their first
    /// difference.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::List(a), Self::List(b)) => {
                let first = a.iter().zip(b).map(|(a, b)| a.order(b)).find(|order| order.is_ne());
                first.unwrap_or(a.len().cmp(&b.len()))
            }
            (a, b) => a.compare(b).unwrap_or((*a != Self::Null).cmp(&(*b != Self::Null))),
        }
    }

    /// The value that represents all values equal to it in groups, minima and maxima.
    #[must_use]
    pub fn shown(self) -> Self {
        match self {
            Self::Double(d) if d.is_nan() => Self::Double(f64::NAN),
            Self::Double(0.0) => Self::Double(0.0),
            other => other,
        }
    }

    /// The number as a double, for an integer or a double.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Double(d) => Some(*d),
            _ => None,
        }
    }
}

/// Reads the digits of a JSON number, which may have a point but no exponent.
fn decimal(text: &str, precision: u32, scale: u32) -> Option<Value> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |d| (-1, d));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > scale as usize {
        return None;
    }
    let units: i128 = format!("{whole}{fraction:0<width$}", width = scale as usize).parse().ok()?;
    (units < 10_i128.pow(precision)).then_some(Value::Decimal { units: sign * units, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        let two = Type::Decimal { precision: 5, scale: 2 };
        let read = |t: &str| two.read(&serde_json::from_str(t).unwrap()).map(|v| v.to_json());
        assert_eq!(read("12.5"), Some("12.50".into()));
        assert_eq!(read("-0.05"), Some("-0.05".into()));
        assert_eq!(read("7"), Some("7.00".into()));
        assert_eq!(read("1000"), None);
        assert_eq!(read("0.125"), None);
    }

    #[test]
    fn doubles_have_one_total_order() {
        use Ordering::{Equal, Greater, Less};
        let order = |a: f64, b: f64| Value::Double(a).compare(&Value::Double(b));
        assert_eq!(order(f64::NAN, f64::INFINITY), Some(Greater));
        assert_eq!((order(-f64::NAN, f64::NAN), order(-0.0, 0.0)), (Some(Equal), Some(Equal)));
        assert_eq!(order(f64::NEG_INFINITY, f64::MIN), Some(Less));
        assert_eq!(Value::Double(-f64::INFINITY).to_json(), "-Infinity");
    }

    #[test]
    fn nulls_are_first_and_lists_go_by_their_first_difference() {
        let list = |all: &[Option<i64>]| Value::List(all.iter().map(|v| v.map_or(Value::Null, Value::Int)).collect());
        let least_first = [Value::Null, list(&[]), list(&[None]), list(&[None, Some(1)]), list(&[Some(0)])];
        for (a, place) in least_first.iter().zip(0..) {
            for (b, other) in least_first.iter().zip(0..) {
                assert_eq!(a.order(b), place.cmp(&other), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_field_of_another_type_does_not_fit() {
        assert_eq!(Type::Bigint.read(&Json::from(1.5)), None);
        assert_eq!(Type::String.read(&Json::from(1)), None);
        assert_eq!(Type::Double.read(&Json::from(1)), Some(Value::Double(1.0)));
    }
}
