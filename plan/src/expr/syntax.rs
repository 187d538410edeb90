//! The syntax that an expression may have. The parser reads the syntax of many dialects; the planner supports some of
//! it, ignores some, and reports the rest in Rust's debug format. So this module lists what is allowed and refuses all
//! else with a message that says what to write.

use datafusion_sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CeilFloorKind, DateTimeField, Expr, FunctionArguments, Interval, Subscript,
    UnaryOperator, Value,
};

use super::habits::operand;
use super::methods;
use super::nulls::compared_with_null;
use crate::functions::is_unit;
use crate::quote::quoted;

/// The most digits of a decimal.
const DIGITS_MAX: usize = 38;
/// What to write in place of `tags[1:2]`.
pub(super) const RANGES: &str = "a range of an array's items is written `slice(tags, 1, 2)`";
const PARTS_OF_JSON: &str =
    "declare what is inside as a column of the source, such as `s` of the type `struct<a: int>`, and write `s.a`";

/// Refuses calls whose two arguments stand in another order in Spark than in other systems. One of the two orders would
/// give a wrong value without a word; the form with a keyword has one meaning.
pub(super) fn refused_order(name: &str, args: &[String]) -> Option<String> {
    let name = name.to_lowercase();
    let [first, second] = args else { return None };
    let right = match name.as_str() {
        "ltrim" => format!("trim(leading {first} from {second})"),
        "rtrim" => format!("trim(trailing {first} from {second})"),
        "trim" => format!("trim(both {first} from {second})"),
        "position" => format!("position({first} in {second})"),
        _ => return None,
    };
    Some(format!(
        "`{name}` of two arguments takes them in one order in Spark and in the other elsewhere: write {}",
        quoted(right)
    ))
}

/// Refuses units of time that there are not in `timestampadd(HOUR, 3, ts)` and the like.
pub(super) fn refused_unit(name: &str, args: &[String]) -> Option<String> {
    let takes_a_unit = ["timestampadd", "dateadd", "date_add", "timestampdiff", "datediff", "date_diff"];
    let [unit, _, _] = args else { return None };
    let unit = unit.trim_matches('\'');
    let is_named = unit.chars().all(|c| c.is_alphanumeric() || c == '_');
    (takes_a_unit.contains(&&*name.to_lowercase()) && is_named && !is_unit(unit)).then(|| {
        format!(
            "{} is no unit of time: write microsecond, millisecond, second, minute, hour, day, week, month, quarter or \
             year",
            quoted(unit)
        )
    })
}

/// Why this node is refused, whatever its operands are. Functions have their own rules.
pub(super) fn refused(expr: &Expr) -> Option<String> {
    if let Some(why) = compared_with_null(expr) {
        return Some(why);
    }
    Some(match expr {
        Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => {
            format!("`{name}` is a variable, and there are none: name a column")
        }
        Expr::Value(value) => return refused_value(&value.value),
        Expr::BinaryOp { left, op, right } => return refused_operator(left, op, right),
        Expr::UnaryOp { op, expr } => return refused_sign(*op, expr),
        Expr::CompoundFieldAccess { root, access_chain } => {
            return methods::refused_access(root, access_chain)
                .or_else(|| access_chain.iter().find_map(refused_access));
        }
        Expr::Cast { array: true, .. } => format!("{}: an array is no type of a cast here", quoted(expr)),
        Expr::Cast { format: Some(_), .. } => {
            format!("{}: a cast has no format; write `to_timestamp(…, …)` or `date_format(…, …)`", quoted(expr))
        }
        Expr::Ceil { expr: number, field: CeilFloorKind::Scale(digits) } => with_digits("ceil", number, digits),
        Expr::Floor { expr: number, field: CeilFloorKind::Scale(digits) } => with_digits("floor", number, digits),
        Expr::Ceil { field, .. } | Expr::Floor { field, .. } if has_field(field) => {
            format!("{}: `ceil` and `floor` take a number; write `date_trunc('hour', ts)` for a time", quoted(expr))
        }
        Expr::Interval(interval) if !is_written_out(interval) => {
            format!("{}: an interval is a text or a number, as in `interval '3 days 2 hours'`", quoted(expr))
        }
        Expr::Interval(interval) if has_no_unit(interval) => {
            let value = interval.value.to_string();
            let with_unit = quoted(format_args!("interval '{} seconds'", value.trim_matches('\'')));
            format!("{} has no unit: write {with_unit}, or another unit", quoted(expr))
        }
        Expr::Like { escape_char: Some(escape), .. } | Expr::ILike { escape_char: Some(escape), .. }
            if escape.clone().into_string().is_none_or(|text| text.chars().count() != 1) =>
        {
            "`escape` takes one sign in single quotes, as in `city like 'x#%' escape '#'`".to_owned()
        }
        Expr::Like { pattern, escape_char: Some(_), .. } | Expr::ILike { pattern, escape_char: Some(_), .. }
            if !matches!(**pattern, Expr::Value(_)) =>
        {
            "`escape` needs a pattern that is written out: leave it out, and escape by a backslash".to_owned()
        }
        Expr::Like { any: true, .. } | Expr::ILike { any: true, .. } => {
            format!("{}: `like any` is not supported; write one `like` for each pattern, joined by `or`", quoted(expr))
        }
        Expr::Trim { expr, trim_characters: Some(rest), .. } => {
            let args: Vec<_> = std::iter::once(expr.as_ref()).chain(rest).map(ToString::to_string).collect();
            return refused_order("trim", &args);
        }
        // The planner would take its pattern, which is like that of a `like`, for a regular expression.
        Expr::SimilarTo { negated, expr, .. } => {
            let not = if *negated { "not " } else { "" };
            format!("`similar to` is not supported: write {} with a regular expression, or `like`",
                    quoted(format_args!("{not}regexp_like({expr}, …)")))
        }
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(_, _)
        | Expr::IsNotDistinctFrom(_, _)
        | Expr::InList { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::RLike { .. }
        | Expr::AtTimeZone { .. }
        | Expr::Cast { .. }
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Overlay { .. }
        | Expr::Nested(_)
        | Expr::TypedString(_)
        | Expr::Function(_)
        | Expr::Case { .. }
        | Expr::Struct { .. }
        | Expr::Named { .. }
        | Expr::Interval(_)
        // Another check refuses queries, with its own message.
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::InSubquery { .. } => return None,
        Expr::Array(_) => format!("{} is an array: write it by `array`, as in `array(1, 2)`", quoted(expr)),
        Expr::Map(_) | Expr::Dictionary(_) => {
            format!("{} is a map: write it by `map`, as in `map('a', 1, 'b', 2)`", quoted(expr))
        }
        Expr::Wildcard(_) | Expr::QualifiedWildcard(_, _) => "`*` stands for no value: name a column".to_owned(),
        Expr::Collate { .. } => "`COLLATE` is not supported: strings are compared by their characters' \
                                 codes".to_owned(),
        Expr::Convert { expr: value, data_type: Some(data_type), .. } => {
            let data_type = data_type.to_string().to_lowercase();
            format!("there is no `convert`: write {}", quoted(format_args!("cast({value} as {data_type})")))
        }
        Expr::Convert { .. } => "there is no `convert`: write `cast(… as …)`".to_owned(),
        Expr::AnyOp { .. } | Expr::AllOp { .. } => {
            format!("{}: `any` and `all` are not supported; write `in (…)`, or comparisons joined by `or` and \
                     `and`", quoted(expr))
        }
        Expr::JsonAccess { .. } => format!("{} looks into text as JSON, which is not supported: \
                                            {PARTS_OF_JSON}", quoted(expr)),
        Expr::Tuple(_) => format!("{} is a list, which stands only after `in`", quoted(expr)),
        other => format!("{} is not supported in an expression", quoted(other)),
    })
}

/// Whether this is an interval such as `interval '3'`, which the planner would take for seconds.
fn has_no_unit(interval: &Interval) -> bool {
    let value = interval.value.to_string();
    interval.leading_field.is_none() && !value.contains(|c: char| c.is_alphabetic() || c == ':')
}

fn is_written_out(interval: &Interval) -> bool {
    let Interval { value, leading_precision, last_field, fractional_seconds_precision, .. } = interval;
    let value = match value.as_ref() {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => expr.as_ref(),
        other => other,
    };
    matches!(value, Expr::Value(_))
        && leading_precision.is_none()
        && last_field.is_none()
        && fractional_seconds_precision.is_none()
}

/// What to write in place of `ceil(number, digits)`.
fn with_digits(function: &str, number: &Expr, digits: &Value) -> String {
    let power = match digits {
        Value::Number(digits, _) => digits.parse().ok().and_then(|digits| 10_u64.checked_pow(digits)),
        _ => None,
    };
    let number = operand(&number.to_string());
    let instead = match power {
        Some(power) => format!("{function}({number} * {power}) / {power}.0"),
        None => format!("{function}({number})"),
    };
    format!("`{function}` takes no number of digits: write {}", quoted(instead))
}

fn has_field(field: &CeilFloorKind) -> bool {
    !matches!(field, CeilFloorKind::DateTimeField(DateTimeField::NoDateTime))
}

fn refused_value(value: &Value) -> Option<String> {
    match value {
        Value::Placeholder(name) => Some(format!("`{name}` is a parameter, and there are none: write the value")),
        Value::Number(digits, _) => refused_number(digits),
        Value::HexStringLiteral(digits) if digits.len() % 2 > 0 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(format!(
                "{} are no bytes: write two digits from 0 to 9 and A to F for each, as in `X'C3A9'`",
                quoted(format_args!("X'{digits}'"))
            ))
        }
        Value::SingleQuotedString(_)
        | Value::DoubleQuotedString(_)
        | Value::DollarQuotedString(_)
        | Value::EscapedStringLiteral(_)
        | Value::HexStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null => None,
        other => Some(format!("{} is a kind of text that is not supported: write it in single quotes", quoted(other))),
    }
}

fn refused_number(digits: &str) -> Option<String> {
    if digits.contains(['e', 'E']) {
        let is_beyond = digits.parse::<f64>().is_ok_and(f64::is_infinite);
        return is_beyond.then(|| {
            format!("{} is beyond the range of a double: write `cast('Infinity' as double)`", quoted(digits))
        });
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let count = whole.trim_start_matches('0').len() + fraction.len();
    (count > DIGITS_MAX).then(|| {
        format!(
            "{} has {count} digits, and a decimal has at most {DIGITS_MAX}: write a double, as in `1.5e40`",
            quoted(digits)
        )
    })
}

fn refused_sign(op: UnaryOperator, operand: &Expr) -> Option<String> {
    match op {
        UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => None,
        UnaryOperator::BangNot => {
            Some(format!("`!` is not supported: write {}", quoted(format_args!("not {operand}"))))
        }
        UnaryOperator::BitwiseNot if matches!(operand, Expr::Value(_)) => {
            Some("the operator `~` before a value is not supported: `regexp_like(…, …)` tests a text".to_owned())
        }
        UnaryOperator::BitwiseNot => Some(format!(
            "the operator `~` before a value is not supported: write {} for a whole number, and `regexp_like(…, …)` \
             for a text",
            quoted(format_args!("-{} - 1", super::habits::operand(&operand.to_string())))
        )),
        other => Some(format!("the operator {} is not supported", quoted(other))),
    }
}

fn refused_operator(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<String> {
    use BinaryOperator as Op;
    let instead = |with: &str| {
        format!("the operator {} is not supported: write {}", quoted(op), quoted(format_args!("{left} {with} {right}")))
    };
    Some(match op {
        Op::Plus
        | Op::Minus
        | Op::Multiply
        | Op::Divide
        | Op::Modulo
        | Op::Gt
        | Op::Lt
        | Op::GtEq
        | Op::LtEq
        | Op::Spaceship
        | Op::Eq
        | Op::NotEq
        | Op::And
        | Op::Or
        | Op::BitwiseOr
        | Op::BitwiseAnd
        | Op::BitwiseXor
        | Op::StringConcat
        | Op::PGBitwiseXor
        | Op::PGBitwiseShiftLeft
        | Op::PGBitwiseShiftRight
        | Op::PGRegexMatch
        | Op::PGRegexIMatch
        | Op::PGRegexNotMatch
        | Op::PGRegexNotIMatch
        | Op::PGLikeMatch
        | Op::PGILikeMatch
        | Op::PGNotLikeMatch
        | Op::PGNotILikeMatch => return None,
        Op::Xor => instead("<>"),
        // The message can't suggest the operands: `&&` binds more tightly than a comparison, so the parser may have
        // split them wrongly.
        Op::PGOverlap => "the operator `&&` is not supported: write `and`".to_owned(),
        // `/` between integers gives an integer already.
        Op::DuckIntegerDivide | Op::MyIntegerDivide => instead("/"),
        Op::Arrow | Op::LongArrow | Op::HashArrow | Op::HashLongArrow => {
            format!("the operator {} looks into JSON, which is not supported: {PARTS_OF_JSON}", quoted(op))
        }
        other => format!("the operator {} is not supported", quoted(other)),
    })
}

fn refused_access(access: &AccessExpr) -> Option<String> {
    match access {
        AccessExpr::Subscript(Subscript::Index { index: Expr::Identifier(name) }) if name.quote_style == Some('"') => {
            let field = quoted(format_args!("['{}']", name.value));
            Some(format!("`[{name}]` names a column; a field's name stands in single quotes: write {field}"))
        }
        AccessExpr::Dot(Expr::Identifier(_)) | AccessExpr::Subscript(Subscript::Index { .. }) => None,
        AccessExpr::Dot(Expr::Function(field)) if matches!(field.args, FunctionArguments::None) => None,
        AccessExpr::Dot(other) => Some(format!("{} is no field's name", quoted(other))),
        AccessExpr::Subscript(Subscript::Slice { .. }) => Some(RANGES.to_owned()),
    }
}
