//! What to write where an operator can't take its operands: the expression with the operand that is meant, as far as
//! the types and the operands say.

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, Operator};

use super::message::type_name;
use super::parse::parse;
use crate::quote::quoted;

/// Numbers below this count seconds since 1970 rather than milliseconds: it is the year 5138 in seconds, and 1973 in
/// milliseconds.
const SECONDS_MAX: i64 = 100_000_000_000;
/// The same for milliseconds and microseconds.
const MILLIS_MAX: i64 = 100_000_000_000_000;

/// Advice about operands that can't be compared with each other, as the end of a sentence.
pub(super) fn compared(operands: &[&Expr], schema: &DFSchema) -> String {
    let found: Vec<_> = operands.iter().map(|e| (*e, e.get_type(schema).unwrap_or(ArrowType::Null))).collect();
    let first = |wanted: &dyn Fn(&ArrowType) -> bool| found.iter().find(|(_, t)| wanted(t));
    if let Some((_, ArrowType::Struct(fields))) = first(&|t| matches!(t, ArrowType::Struct(_))) {
        let field = fields.first().map_or("a", |field| field.name());
        return format!(": name a field of the struct, as in {}", quoted(format_args!("….{field}")));
    }
    if first(&|t| matches!(t, ArrowType::List(_))).is_some() {
        return ": an array has no single value: write `array_contains(…, …)`, or an item, as in `tags[0]`".to_owned();
    }
    if first(&is_interval).is_some() {
        return ": write an interval, as in `interval '5 minutes'`".to_owned();
    }
    let number = first(&ArrowType::is_numeric);
    if let (Some(_), Some((number, _))) = (first(&|t| matches!(t, ArrowType::Timestamp(..))), number) {
        return format!(": make a time of the number, {}", time_of(number));
    }
    if let (Some(_), Some((number, _))) = (first(&|t| matches!(t, ArrowType::Date32)), number) {
        return format!(": write a date, as in {}", quoted(date_of(number)));
    }
    if let (Some(_), Some((Expr::Literal(ScalarValue::Utf8(Some(text)), _), _))) =
        (first(&|t| matches!(t, ArrowType::Boolean)), first(&ArrowType::is_string))
        && ["true", "false"].contains(&&*text.to_lowercase())
    {
        return format!(": a boolean stands without quotes, so write {}", quoted(text.to_lowercase()));
    }
    if let Some((condition, _)) = first(&|t| matches!(t, ArrowType::Boolean)) {
        return match written(condition) {
            Some(column) => format!(
                ": a boolean is a condition by itself, so write {} or {}",
                quoted(&column),
                quoted(format_args!("not {column}"))
            ),
            None => ": write two comparisons joined by `and`, as in `1 < price and price < 5`".to_owned(),
        };
    }
    let text = found.iter().find(|(e, t)| t.is_string() && !matches!(e, Expr::Literal(..)));
    if let (Some((text, _)), Some((_, other))) = (text, first(&|t| !t.is_string() && !t.is_null())) {
        let text = written(text).unwrap_or_else(|| "…".to_owned());
        return format!(": cast the text, as in {}", quoted(format_args!("cast({text} as {})", type_name(other))));
    }
    "; cast them to one type".to_owned()
}

/// Advice about operands of `+`, `-`, `*`, `/` and `%`, as the end of a sentence; empty if there is none.
pub(super) fn computed(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> String {
    let of = |e: &Expr| e.get_type(schema).unwrap_or(ArrowType::Null);
    let (l, r) = (of(left), of(right));
    let is_time = |t: &ArrowType| matches!(t, ArrowType::Timestamp(..));
    let either = |wanted: &dyn Fn(&ArrowType) -> bool| wanted(&l) || wanted(&r);
    let sides = || written(left).zip(written(right));
    match op {
        Operator::Plus | Operator::Minus if either(&is_time) && either(&|t| t.is_numeric() || t.is_string()) => {
            let time = if is_time(&l) { written(left) } else { written(right) };
            let time = time.unwrap_or_else(|| "…".to_owned());
            format!(": write an interval, as in {}", quoted(format_args!("{time} {op} interval '5 minutes'")))
        }
        Operator::Plus if l.is_string() && r.is_string() => match sides() {
            Some((l, r)) => format!(": texts are joined by `||`, as in {}", quoted(format_args!("{l} || {r}"))),
            None => ": texts are joined by `||`".to_owned(),
        },
        _ if either(&ArrowType::is_string) && either(&ArrowType::is_numeric) => {
            let (text, other) = if l.is_string() { (left, &r) } else { (right, &l) };
            let join = if op == Operator::Plus { ", or `||` to join texts" } else { "" };
            let text = written(text).unwrap_or_else(|| "…".to_owned());
            let cast = quoted(format_args!("cast({text} as {})", type_name(other)));
            format!(": write {cast} for the number in the text{join}")
        }
        _ => String::new(),
    }
}

/// The call that makes a time of a number, whose size says which unit it likely counts.
fn time_of(number: &Expr) -> String {
    let literal = match number {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(*value),
        _ => None,
    };
    let value = written(number).unwrap_or_else(|| "…".to_owned());
    match literal.map(i64::abs) {
        Some(seconds) if seconds < SECONDS_MAX => {
            format!("as in {} if it counts seconds", quoted(format_args!("to_timestamp_seconds({value})")))
        }
        Some(millis) if millis < MILLIS_MAX => {
            format!("as in {} if it counts milliseconds", quoted(format_args!("to_timestamp_millis({value})")))
        }
        Some(_) => format!("as in {} if it counts microseconds", quoted(format_args!("to_timestamp_micros({value})"))),
        None => format!(
            "by its unit: {}, {} or {}",
            quoted(format_args!("to_timestamp_seconds({value})")),
            quoted(format_args!("to_timestamp_millis({value})")),
            quoted(format_args!("to_timestamp_micros({value})"))
        ),
    }
}

/// The date that a number such as 20240131 means.
fn date_of(number: &Expr) -> String {
    match number {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if (10_101..=99_991_231).contains(value) => {
            format!("date '{:04}-{:02}-{:02}'", value / 10_000, value / 100 % 100, value % 100)
        }
        _ => "date '2024-01-31'".to_owned(),
    }
}

pub(super) fn is_interval(found: &ArrowType) -> bool {
    matches!(found, ArrowType::Interval(_) | ArrowType::Duration(_))
}

/// A column or a constant as users write it.
pub(super) fn written(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(column) if is_plain(&column.name) || is_call(&column.name) => Some(column.name.clone()),
        Expr::Column(column) => Some(format!("\"{}\"", column.name.replace('"', "\"\""))),
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(format!("'{}'", text.replace('\'', "''"))),
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether this is the name that an aggregate's result has, which is the call itself.
fn is_call(name: &str) -> bool {
    name.ends_with(')') && parse(name).is_ok()
}

fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || c == '_') && parse(name).is_ok()
}
