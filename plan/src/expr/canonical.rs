//! An expression's text as saved state names it.
//!
//! Checkpoints store this text, so this module writes it: an upgrade of the planner must not change it. It does not
//! depend on the spaces, the case of keywords or the superfluous parentheses that the user wrote. Every operation has
//! its own parentheses, so that two different meanings never have the same text.

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::ScalarValue;
use datafusion_expr::{Case, Expr};

use crate::types::DataType;

/// The canonical text of a planned expression, before its types are coerced.
pub(crate) fn canonical(planned: &Expr) -> String {
    match planned {
        Expr::Alias(alias) => canonical(&alias.expr),
        Expr::Column(column) => quoted(&column.name, '"'),
        Expr::Literal(value, _) => literal(value),
        Expr::BinaryExpr(binary) => format!("({} {} {})", canonical(&binary.left), binary.op, canonical(&binary.right)),
        Expr::Not(inner) => format!("(NOT {})", canonical(inner)),
        Expr::Negative(inner) => format!("(- {})", canonical(inner)),
        Expr::IsNull(inner) => format!("({} IS NULL)", canonical(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", canonical(inner)),
        Expr::IsTrue(inner) => format!("({} IS TRUE)", canonical(inner)),
        Expr::IsNotTrue(inner) => format!("({} IS NOT TRUE)", canonical(inner)),
        Expr::IsFalse(inner) => format!("({} IS FALSE)", canonical(inner)),
        Expr::IsNotFalse(inner) => format!("({} IS NOT FALSE)", canonical(inner)),
        Expr::IsUnknown(inner) => format!("({} IS UNKNOWN)", canonical(inner)),
        Expr::IsNotUnknown(inner) => format!("({} IS NOT UNKNOWN)", canonical(inner)),
        Expr::Like(like) => {
            let operator = if like.case_insensitive { "ILIKE" } else { "LIKE" };
            let escape =
                like.escape_char.map(|c| format!(" ESCAPE {}", quoted(&c.to_string(), '\''))).unwrap_or_default();
            format!("({} {}{operator} {}{escape})", canonical(&like.expr), not(like.negated), canonical(&like.pattern))
        }
        Expr::Between(between) => {
            let (low, high) = (canonical(&between.low), canonical(&between.high));
            format!("({} {}BETWEEN {low} AND {high})", canonical(&between.expr), not(between.negated))
        }
        Expr::InList(list) => format!("({} {}IN ({}))", canonical(&list.expr), not(list.negated), listed(&list.list)),
        Expr::Case(case) => case_text(case),
        Expr::Cast(cast) => format!("cast({} as {})", canonical(&cast.expr), stored_type(cast.field.data_type())),
        Expr::TryCast(cast) => {
            format!("try_cast({} as {})", canonical(&cast.expr), stored_type(cast.field.data_type()))
        }
        Expr::ScalarFunction(call) => format!("{}({})", call.func.name(), listed(&call.args)),
        Expr::AggregateFunction(call) => format!("{}({})", call.func.name(), listed(&call.params.args)),
        // The parser and the binder refuse every other node in a scalar expression.
        other => other.to_string(),
    }
}

/// A type's name in saved state: ours, or Arrow's for a type that only partial states have.
pub(crate) fn stored_type(arrow: &ArrowType) -> String {
    match (DataType::from_arrow(arrow), arrow) {
        (Some(ours), _) => ours.to_string(),
        (None, ArrowType::UInt64) => "unsigned bigint".to_owned(),
        (None, other) => format!("{other:?}"),
    }
}

fn literal(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            quoted(text, '\'')
        }
        ScalarValue::Boolean(Some(flag)) => flag.to_string(),
        ScalarValue::Int64(Some(number)) => number.to_string(),
        ScalarValue::UInt64(Some(number)) => number.to_string(),
        ScalarValue::Decimal128(Some(digits), _, scale) => format!("decimal({digits}e-{scale})"),
        null if null.is_null() => "null".to_owned(),
        other => format!("{} {}", stored_type(&other.data_type()), quoted(&other.to_string(), '\'')),
    }
}

fn case_text(case: &Case) -> String {
    let mut text = "(CASE".to_owned();
    if let Some(subject) = &case.expr {
        text += &format!(" {}", canonical(subject));
    }
    for (when, then) in &case.when_then_expr {
        text += &format!(" WHEN {} THEN {}", canonical(when), canonical(then));
    }
    if let Some(otherwise) = &case.else_expr {
        text += &format!(" ELSE {}", canonical(otherwise));
    }
    text + " END)"
}

fn listed(expressions: &[Expr]) -> String {
    expressions.iter().map(canonical).collect::<Vec<_>>().join(", ")
}

/// The text without quotes if it is a plain name and `quote` is the quote of names; otherwise quoted, with inner quotes
/// doubled.
fn quoted(text: &str, quote: char) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain && quote == '"' {
        text.to_owned()
    } else {
        format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::expr::Binder;

    fn text(sql: &str) -> String {
        let column = |name: &str, data_type: DataType| Field::new(name, data_type.to_arrow(), true);
        let columns =
            vec![column("price", DataType::Double), column("city", DataType::String), column("n", DataType::Bigint)];
        canonical(&Binder::new(&Arc::new(Schema::new(columns))).unwrap().plan(sql).unwrap())
    }

    /// These texts are in users' checkpoints: if one changes, saved state no longer fits.
    #[test]
    fn texts_are_as_checkpoints_have_them() {
        let texts = [
            ("price", "price"),
            ("1 + n*2", "(1 + (n * 2))"),
            ("0.10", "decimal(10e-2)"),
            ("1e-1", "cast('1e-1' as double)"),
            ("'it''s'", "'it''s'"),
            ("upper(city)", "upper(city)"),
            ("cast(n as decimal(10,2))", "cast(n as decimal(10,2))"),
            ("try_cast(city as bigint)", "try_cast(city as bigint)"),
            ("not price > 0 and city is not null", "((NOT (price > 0)) AND (city IS NOT NULL))"),
            ("city like 'a%' or city not in ('x', 'y')", "((city LIKE 'a%') OR (city NOT IN ('x', 'y')))"),
            ("n between 1 and 2", "(n BETWEEN 1 AND 2)"),
            ("case when n = 1 then city else 'x' end", "(CASE WHEN (n = 1) THEN city ELSE 'x' END)"),
            ("-n", "(- n)"),
        ];
        for (sql, expected) in texts {
            assert_eq!(text(sql), expected, "{sql}");
        }
    }

    #[test]
    fn spelling_does_not_matter_and_meaning_does() {
        assert_eq!(text("UPPER( city )  ||  'x'"), text("upper((city))||'x'"));
        assert_ne!(text("(n - 1) - 2"), text("n - (1 - 2)"));
        assert_ne!(text("city = 'n'"), text("city = n"));
    }
}
