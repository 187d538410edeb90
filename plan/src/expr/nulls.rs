//! Comparisons with a literal null, and conditions that a null makes null for every row. SQL gives null for them,
//! whatever the row holds, so a `where` would silently drop every row. Spark accepts them; here they are refused, since
//! nobody wants that.

use datafusion_expr::{BinaryExpr, Expr as Planned, Operator};
use datafusion_sql::sqlparser::ast::{BinaryOperator, Expr, Value};

use crate::quote::quoted;

/// Why this comparison is refused and what to write instead, if one of its operands is a literal `null`.
pub(super) fn compared_with_null(expr: &Expr) -> Option<String> {
    let (instead, or) = match expr {
        Expr::BinaryOp { left, op, right } => {
            let value = match (is_null(left), is_null(right)) {
                (_, true) => left,
                (true, false) => right,
                (false, false) => return None,
            };
            match op {
                BinaryOperator::Eq => (format!("{value} is null"), None),
                BinaryOperator::NotEq => (format!("{value} is not null"), None),
                BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
                    (format!("{value} is null"), Some(format!("{value} is not null")))
                }
                _ => return None,
            }
        }
        // `in (1, null)` is true for 1, but `not in (1, null)` is never true.
        Expr::InList { expr: value, list, negated } => {
            let nulls = list.iter().filter(|item| is_null(item)).count();
            if nulls == 0 || nulls < list.len() && !negated {
                return None;
            }
            let others: Vec<_> = list.iter().filter(|item| !is_null(item)).map(ToString::to_string).collect();
            match (others.is_empty(), negated) {
                (true, false) => (format!("{value} is null"), None),
                (true, true) => (format!("{value} is not null"), None),
                (false, _) => (format!("{value} not in ({})", others.join(", ")), None),
            }
        }
        Expr::Between { expr: value, low, high, .. } if is_null(low) || is_null(high) => {
            (format!("{value} is null"), Some(format!("{value} is not null")))
        }
        Expr::Case { operand: Some(value), conditions, .. }
            if conditions.iter().any(|when| is_null(&when.condition)) =>
        {
            return Some(format!(
                "`when null` in a `case` over {} is never true: write {}",
                quoted(value),
                quoted(format_args!("case when {value} is null then …"))
            ));
        }
        _ => return None,
    };
    let or = or.map(|other: String| format!(" or {}", quoted(other))).unwrap_or_default();
    Some(format!("{} is never true: write {}{or}", quoted(expr), quoted(instead)))
}

/// The message about a condition that [`is_never_true`].
pub(super) const NEVER_TRUE: &str = "this condition is never true, because of the null in it: write `… is null` or \
    `… is not null` to test a column for null, or leave the null out";

/// Whether a null in it keeps this simplified condition from being true for any row. A condition that is plainly
/// `false` says what it does.
pub(super) fn is_never_true(simplified: &Planned) -> bool {
    match simplified {
        Planned::Literal(value, _) => value.is_null(),
        Planned::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            is_never_true(left) || is_never_true(right)
        }
        Planned::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            is_never_true(left) && is_never_true(right)
        }
        _ => false,
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_null(inner),
        Expr::Value(value) => matches!(value.value, Value::Null),
        _ => false,
    }
}
