//! Says in one sentence where the types of an expression do not go together: what was found, and what to write instead.
//!
//! DataFusion refuses such an expression as a whole and in its own words. This module then searches for the innermost
//! part that DataFusion refuses although the part's operands are right by themselves.

use std::ops::ControlFlow;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DataFusionError, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Case, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use super::message::{type_name, with_article};
use super::operands;
use super::signature::forms;
use super::unite::{UNITING, are_nested_alike, unites_unlike};
use crate::functions::{refused_pattern, unknown_part};
use crate::quote::quoted;
use crate::types::has_map;

/// The sentence, or `None` if the types are not the cause. Values that get one type have it already.
pub(super) fn mistyped(expr: &Expr, simplifier: &ExprSimplifier, schema: &DFSchema) -> Option<String> {
    match innermost(expr, simplifier, schema) {
        ControlFlow::Break(sentence) => sentence,
        ControlFlow::Continue(()) => None,
    }
}

fn innermost(expr: &Expr, simplifier: &ExprSimplifier, schema: &DFSchema) -> ControlFlow<Option<String>> {
    let mut found = ControlFlow::Continue(());
    let _ = expr.apply_children(|child| {
        found = innermost(child, simplifier, schema);
        Ok(if found.is_break() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    if found.is_break() {
        return found;
    }
    let typed = simplifier.coerce(expr.clone(), schema).and_then(|coerced| coerced.get_type(schema));
    let is_right = typed.is_ok() && castable(expr, schema) && !is_senseless(expr, simplifier, schema);
    if is_right { ControlFlow::Continue(()) } else { ControlFlow::Break(sentence(expr, schema)) }
}

/// Whether this is not a cast, or a cast between types that can be cast. The planner checks this only later, with the
/// types that it has made of them.
fn castable(expr: &Expr, schema: &DFSchema) -> bool {
    match cast_of(expr) {
        Some((inner, to)) => inner.get_type(schema).is_ok_and(|from| can_cast_types(&from, to)),
        None => true,
    }
}

/// Whether this is an expression that the planner accepts although it makes no sense: minus before a time fails for
/// every row, bit operations silently cut doubles off to whole numbers (`price ^ 2` is no power), a number is taken for
/// a condition, a date is compared with a number, maps are compared or cast to other keys, values of unlike types get
/// one type, and a string is cast until a row comes whose string can't be cast.
pub(super) fn is_senseless(expr: &Expr, simplifier: &ExprSimplifier, schema: &DFSchema) -> bool {
    let found = |e: &Expr| e.get_type(schema).unwrap_or(ArrowType::Null);
    let meaningless = match expr {
        Expr::Negative(inner) => matches!(found(inner), ArrowType::Timestamp(..)),
        Expr::BinaryExpr(binary) if bit_operator(binary.op).is_some() => {
            [&binary.left, &binary.right].into_iter().map(|e| found(e)).any(|t| t.is_floating() || t.is_decimal())
        }
        Expr::BinaryExpr(binary) if divides_by_zero(binary) => !found(&binary.left).is_floating(),
        Expr::Case(case) => {
            case_conditions(case).any(|when| !matches!(found(when), ArrowType::Boolean | ArrowType::Null))
        }
        Expr::BinaryExpr(binary) if binary.op.supports_propagation() => {
            compares_a_date_with_a_number(&[found(&binary.left), found(&binary.right)])
        }
        Expr::Between(b) => compares_a_date_with_a_number(&[found(&b.expr), found(&b.low), found(&b.high)]),
        Expr::InList(list) => compares_a_date_with_a_number(
            &std::iter::once(list.expr.as_ref()).chain(&list.list).map(found).collect::<Vec<_>>(),
        ),
        _ => false,
    };
    meaningless
        || compared_maps(expr, schema).is_some()
        || loses_keys(expr, schema)
        || unit_is_unknown(expr, schema)
        || unites_unlike(expr, schema)
        || casts_unasked(expr, simplifier, schema)
}

/// Whether this is a cast after which a map could lack a key or have one twice.
fn loses_keys(expr: &Expr, schema: &DFSchema) -> bool {
    fn loses(from: &ArrowType, to: &ArrowType) -> bool {
        match (from, to) {
            (ArrowType::Map(from, _), ArrowType::Map(to, _)) => match (from.data_type(), to.data_type()) {
                (ArrowType::Struct(from), ArrowType::Struct(to)) if from.len() == 2 && to.len() == 2 => {
                    let (key, to_key) = (from[0].data_type(), to[0].data_type());
                    let is_kept = key == to_key
                        || key.is_integer() && *to_key == ArrowType::Int64
                        || to_key.is_string() && (key.is_integer() || matches!(key, ArrowType::Date32));
                    !is_kept || loses(from[1].data_type(), to[1].data_type())
                }
                _ => false,
            },
            (ArrowType::List(from), ArrowType::List(to)) => loses(from.data_type(), to.data_type()),
            (ArrowType::Struct(from), ArrowType::Struct(to)) => {
                from.iter().zip(to).any(|(from, to)| loses(from.data_type(), to.data_type()))
            }
            _ => false,
        }
    }
    cast_of(expr).is_some_and(|(inner, to)| inner.get_type(schema).is_ok_and(|from| loses(&from, to)))
}

/// The sentence about maps that this expression compares, if it does. As in Spark, maps have no order and no equality:
/// the same keys with the same values may stand in any order.
fn compared_maps(expr: &Expr, schema: &DFSchema) -> Option<String> {
    let (by, compared): (String, Vec<&Expr>) = match expr {
        Expr::BinaryExpr(binary) if binary.op.supports_propagation() => {
            (quoted(binary.op.to_string().to_lowercase()), vec![&binary.left, &binary.right])
        }
        Expr::Between(b) => ("`between`".to_owned(), vec![&b.expr, &b.low, &b.high]),
        Expr::InList(list) => ("`in`".to_owned(), std::iter::once(list.expr.as_ref()).chain(&list.list).collect()),
        Expr::Case(case) => {
            let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
            (
                "`case`".to_owned(),
                case.expr.as_deref().into_iter().chain(whens).filter(|_| case.expr.is_some()).collect(),
            )
        }
        Expr::ScalarFunction(call) if ["greatest", "least", "nullif"].contains(&call.func.name()) => {
            (quoted(call.func.name()), call.args.iter().collect())
        }
        _ => return None,
    };
    let map = compared.iter().find(|e| e.get_type(schema).is_ok_and(|found| has_map(&found)))?;
    Some(format!(
        "{by} can't compare {}: a map has no order and no equality, so compare one of its values, as in `m['a']`",
        operand(map, schema)
    ))
}

/// Whether a number would be taken for days since 1970: `day > 20240131` is false for every day.
fn compares_a_date_with_a_number(types: &[ArrowType]) -> bool {
    types.contains(&ArrowType::Date32) && types.iter().any(ArrowType::is_numeric)
}

/// Whether a number is cast to a time or a time to a number: the expression does not say whether the number counts
/// seconds, milliseconds or microseconds. (Spark takes seconds, DataFusion microseconds.)
fn unit_is_unknown(expr: &Expr, schema: &DFSchema) -> bool {
    let Some((inner, to)) = cast_of(expr) else { return false };
    let Ok(from) = inner.get_type(schema) else { return false };
    match to {
        ArrowType::Timestamp(..) | ArrowType::Date32 => from.is_numeric(),
        // Spark refuses bytes of a number too: nothing says in which order they would be.
        to if to.is_binary() => from.is_numeric(),
        _ => to.is_numeric() && matches!(from, ArrowType::Timestamp(..) | ArrowType::Date32),
    }
}

fn unit_sentence(inner: &Expr, to: &ArrowType, schema: &DFSchema) -> String {
    if to.is_binary() {
        let cast = operands::written(inner).unwrap_or_else(|| "…".to_owned());
        let text = quoted(format_args!("cast(cast({cast} as string) as binary)"));
        return format!("{} can't be cast to a binary: write {text} for its digits", operand(inner, schema));
    }
    if inner.get_type(schema).is_ok_and(|found| found == ArrowType::Date32) {
        let day = operands::written(inner).unwrap_or_else(|| "…".to_owned());
        let days = quoted(format_args!("unix_date({day})"));
        return format!(
            "{} can't be cast to {}: write {days} for the days since 1970",
            operand(inner, schema),
            a_type(to)
        );
    }
    let refused =
        format!("{} can't be cast to {}, since nothing says which unit it counts", operand(inner, schema), a_type(to));
    let instead = match to {
        ArrowType::Timestamp(..) => "to_timestamp_seconds(…), to_timestamp_millis(…) or to_timestamp_micros(…)",
        ArrowType::Date32 => "cast(to_timestamp_seconds(…) as date), with …_millis or …_micros for other units",
        _ => "to_unixtime(…) for seconds, or arrow_cast(…, 'Int64') for microseconds",
    };
    format!("{refused}: write {instead}")
}

fn divides_by_zero(binary: &BinaryExpr) -> bool {
    let is_zero = |value: &ScalarValue| ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value);
    matches!(binary.op, Operator::Divide | Operator::Modulo)
        && matches!(&*binary.right, Expr::Literal(value, _) if is_zero(value))
}

fn case_conditions(case: &Case) -> impl Iterator<Item = &Expr> {
    case.when_then_expr.iter().filter(|_| case.expr.is_none()).map(|(when, _)| when.as_ref())
}

/// Whether the planner would cast an operand that only the user may cast.
///
/// A string that is cast to another type: a literal is cast at once, and refused if that fails; a column would be cast
/// row by row, and the first value that can't be cast would end the pipeline. An array or a struct that is cast to a
/// text, or to one of unlike items: it has no text that Spark and others would agree about.
fn casts_unasked(expr: &Expr, simplifier: &ExprSimplifier, schema: &DFSchema) -> bool {
    if cast_of(expr).is_some() {
        return false;
    }
    let written = operands(expr);
    let is_such =
        |e: &Expr| e.get_type(schema).is_ok_and(|t| t.is_nested() || t.is_string() && !matches!(e, Expr::Literal(..)));
    if !written.iter().any(|e| is_such(e)) {
        return false;
    }
    let Ok((alone, types)) = alone(expr, schema) else { return false };
    let Ok(coerced) = simplifier.coerce(alone, &types) else { return false };
    let is_cast = |(before, after): (&&Expr, &&Expr)| {
        let (Ok(from), Ok(to)) = (before.get_type(schema), after.get_type(&types)) else { return false };
        // Every string can be read as binary, so a cast to binary is harmless.
        if from.is_string() { !(to.is_string() || to.is_binary()) } else { !are_nested_alike(&from, &to) }
    };
    written.iter().zip(&operands(&coerced)).filter(|(before, _)| is_such(before)).any(is_cast)
}

/// The expression with columns of the same types in place of its operands. The operands were checked by themselves
/// already; coercing them again for each enclosing expression would take time that grows with the cube of the depth.
fn alone(expr: &Expr, schema: &DFSchema) -> Result<(Expr, DFSchema), DataFusionError> {
    let mut fields = Vec::new();
    let alone = expr.clone().map_children(|operand| {
        if matches!(operand, Expr::Literal(..)) {
            return Ok(Transformed::no(operand));
        }
        let name = format!("operand {}", fields.len());
        fields.push(Field::new(&name, operand.get_type(schema)?, true));
        Ok(Transformed::yes(Expr::Column(Column::new_unqualified(name))))
    })?;
    Ok((alone.data, DFSchema::try_from(Schema::new(fields))?))
}

fn operands(expr: &Expr) -> Vec<&Expr> {
    let mut operands = Vec::new();
    let _ = expr.apply_children(|child| {
        operands.push(child);
        Ok(TreeNodeRecursion::Continue)
    });
    operands
}

/// The operator as users write it. Some dialects have other signs, and the planner has words for them.
fn bit_operator(op: Operator) -> Option<&'static str> {
    Some(match op {
        Operator::BitwiseAnd => "&",
        Operator::BitwiseOr => "|",
        Operator::BitwiseXor => "^",
        Operator::BitwiseShiftLeft => "<<",
        Operator::BitwiseShiftRight => ">>",
        _ => return None,
    })
}

fn cast_of(expr: &Expr) -> Option<(&Expr, &ArrowType)> {
    match expr {
        Expr::Cast(cast) => Some((&cast.expr, cast.field.data_type())),
        Expr::TryCast(cast) => Some((&cast.expr, cast.field.data_type())),
        _ => None,
    }
}

fn sentence(expr: &Expr, schema: &DFSchema) -> Option<String> {
    if let Some(sentence) = compared_maps(expr, schema) {
        return Some(sentence);
    }
    let all = |operands: &[&Expr]| and_list(&operands.iter().map(|o| operand(o, schema)).collect::<Vec<_>>());
    // Lists may be long, so each type is named once.
    let different = |operands: &mut dyn Iterator<Item = &Expr>| {
        let mut parts: Vec<String> = Vec::new();
        for part in operands.map(|o| operand(o, schema)) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        and_list(&parts)
    };
    if let Some((inner, to)) = cast_of(expr) {
        if unit_is_unknown(expr, schema) {
            return Some(unit_sentence(inner, to, schema));
        }
        let keys = match loses_keys(expr, schema) {
            true => ", since keys could become null or equal: write `map_from_arrays(…, …)` of keys and values",
            false => "",
        };
        return Some(format!("{} can't be cast to {}{keys}", operand(inner, schema), a_type(to)));
    }
    Some(match expr {
        Expr::BinaryExpr(binary) => binary_sentence(binary, &all(&[&binary.left, &binary.right]), schema),
        Expr::Negative(inner) => format!("`-` takes a number or an interval, and found {}", all(&[inner])),
        Expr::IsTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotTrue(inner) | Expr::IsNotFalse(inner) => {
            format!("`is true` and `is false` take a boolean, and found {}", all(&[inner]))
        }
        Expr::Like(like) | Expr::SimilarTo(like) => {
            format!("`like` takes two strings, and found {}", all(&[&like.expr, &like.pattern]))
        }
        Expr::Between(b) => {
            let operands: [&Expr; 3] = [&b.expr, &b.low, &b.high];
            format!("`between` can't compare {}{}", all(&operands), operands::compared(&operands, schema))
        }
        Expr::InList(list) => {
            let operands: Vec<_> = std::iter::once(list.expr.as_ref()).chain(&list.list).collect();
            format!(
                "`in` can't compare {}{}",
                different(&mut operands.iter().copied()),
                operands::compared(&operands, schema)
            )
        }
        Expr::Case(case)
            if case_conditions(case)
                .any(|when| !matches!(when.get_type(schema), Ok(ArrowType::Boolean | ArrowType::Null))) =>
        {
            format!("`when` takes a boolean, and found {}", different(&mut case_conditions(case)))
        }
        Expr::Case(case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
            let compared = case.expr.iter().flat_map(|operand| {
                std::iter::once(operand.as_ref()).chain(case.when_then_expr.iter().map(|(when, _)| when.as_ref()))
            });
            let found = different(&mut thens.chain(compared));
            format!("`case` has {found}; cast them, so that what is compared has one type and what it gives has one")
        }
        Expr::ScalarFunction(call) if unites_unlike(expr, schema) => {
            let united = if call.func.name() == "nvl2" { call.args.get(1..).unwrap_or_default() } else { &call.args };
            format!(
                "{} takes values of one type, and found {}: cast them to one type",
                quoted(call.func.name()),
                different(&mut united.iter())
            )
        }
        Expr::ScalarFunction(call) if takes_the_unit_last(call, schema) => {
            let mut written = call.args.iter().map(|arg| operands::written(arg).unwrap_or_else(|| "…".to_owned()));
            let (time, unit) = (written.next().unwrap_or_default(), written.next().unwrap_or_default());
            let name = call.func.name();
            format!("{} takes the unit first: write {}", quoted(name), quoted(format_args!("{name}({unit}, {time})")))
        }
        Expr::ScalarFunction(call) => {
            let types = call.args.iter().map(|arg| arg.get_type(schema)).collect::<Result<Vec<_>, _>>();
            // What the signature does not say, a function of arrays says itself.
            if let (true, Ok(types)) =
                (forms(&call.func.signature().type_signature).iter().any(|f| f.contains("any")), types)
                && let Err(DataFusionError::Plan(why)) = call.func.return_type(&types)
            {
                // The user writes no call of a function whose name has a space.
                let name = Some(call.func.name()).filter(|name| !name.contains(' '));
                return Some(name.map_or_else(|| why.clone(), |name| format!("{}: {why}", quoted(name))));
            }
            return call_sentence(call, &all(&call.args.iter().collect::<Vec<_>>()));
        }
        _ => return None,
    })
}

/// Whether a time and a unit have changed places.
fn takes_the_unit_last(call: &ScalarFunction, schema: &DFSchema) -> bool {
    let found = |e: &Expr| e.get_type(schema).unwrap_or(ArrowType::Null);
    matches!(&call.args[..], [time, unit] if ["date_trunc", "date_part"].contains(&call.func.name())
        && matches!(found(time), ArrowType::Timestamp(..) | ArrowType::Date32)
        && found(unit).is_string())
}

fn binary_sentence(binary: &BinaryExpr, found: &str, schema: &DFSchema) -> String {
    use Operator::{And, Or, RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch, StringConcat};
    let (left, right) = (&*binary.left, &*binary.right);
    let joins_text = [left, right].iter().any(|e| e.get_type(schema).is_ok_and(|t| t.is_string()));
    if let Some(sign) = bit_operator(binary.op) {
        let power = if sign == "^" { ": write `power(…, …)` for a power" } else { "" };
        return format!("`{sign}` takes two whole numbers, and found {found}{power}");
    }
    match binary.op {
        _ if divides_by_zero(binary) => format!("`{}` by zero has no result", binary.op),
        And | Or => {
            let op = binary.op.to_string().to_lowercase();
            format!(
                "`{op}` takes two booleans, and found {found}: write a whole comparison on both sides, as in `price > \
                 1 {op} price < 5`"
            )
        }
        StringConcat if !joins_text => {
            format!("`||` joins two strings, and found {found}: write `or` if one of two conditions is meant")
        }
        StringConcat | RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch => {
            format!("`{}` takes two strings, and found {found}", binary.op)
        }
        op if op.is_numerical_operators() => {
            let advice = operands::computed(left, op, right, schema);
            format!("`{op}` takes two numbers, or a time and an interval, and found {found}{advice}")
        }
        op if op.supports_propagation() || op.negate().is_some() => {
            format!("`{op}` can't compare {found}{}", operands::compared(&[left, right], schema))
        }
        op => format!("`{op}` does not take {found}"),
    }
}

/// Functions whose own error message is more helpful than their signature.
const SAYING_IT_THEMSELVES: [&str; 6] = ["date_format", "get_field", "arrow_cast", "from_json", "map", "map_concat"];

/// Why a call of `date_part` is refused whose first argument is no part of a time.
fn refused_part(call: &ScalarFunction) -> Option<String> {
    match &call.args[..] {
        [Expr::Literal(part, _), _] if call.func.name() == "date_part" => unknown_part(part.try_as_str().flatten()?),
        [_, _] if call.func.name() == "date_part" => {
            Some("`date_part` takes a part that is written out, as in `date_part('hour', ts)`".to_owned())
        }
        _ => None,
    }
}

fn call_sentence(call: &ScalarFunction, found: &str) -> Option<String> {
    let name = call.func.name();
    if let Some(why) = refused_pattern(name, &call.args) {
        return Some(why);
    }
    if let Some(why) = refused_part(call) {
        return Some(why);
    }
    if SAYING_IT_THEMSELVES.contains(&name) {
        return None;
    }
    let found = if call.args.is_empty() { "nothing" } else { found };
    let forms = forms(&call.func.signature().type_signature);
    Some(match &forms[..] {
        _ if name == "trunc" && call.args.len() == 2 => {
            format!("`trunc` takes numbers, and found {found}: write `date_trunc('month', …)` for a time")
        }
        _ if name == "decode" && call.args.len() > 2 => "`decode` takes (binary, string): write a `case`, with a \
            `when` for each value"
            .to_owned(),
        [] if call.args.is_empty() => format!("{} takes something, and found nothing", quoted(name)),
        [] if UNITING.contains(&name) => {
            format!("{} takes values of one type, and found {found}: cast them to one type", quoted(name))
        }
        [] => format!("{} does not take {found}", quoted(name)),
        forms => format!("{} takes {}, and found {found}", quoted(name), forms.join(" or ")),
    })
}

/// An operand in words: `a string (`city`)`, or only its type if it has no name.
fn operand(expr: &Expr, schema: &DFSchema) -> String {
    let found = expr.get_type(schema).map_or_else(|_| "what has no type".to_owned(), |t| a_type(&t));
    match expr {
        Expr::Column(column) => format!("{found} ({})", quoted(&column.name)),
        _ => found,
    }
}

fn a_type(found: &ArrowType) -> String {
    match found {
        ArrowType::Interval(_) => "an interval".to_owned(),
        ArrowType::Null => "null".to_owned(),
        other => with_article(&type_name(other)),
    }
}

fn and_list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
