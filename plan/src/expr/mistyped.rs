//! Says in one sentence where the types of an expression do not go together: what was found, and what would be right.
//!
//! DataFusion refuses such an expression as a whole and in its own words. So once it has, the innermost part that it refuses is looked for:
//! one whose operands are right by themselves.

use std::ops::ControlFlow;

use arrow::compute::can_cast_types;
use arrow::datatypes::DataType as ArrowType;
use datafusion_common::DFSchema;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use super::message::{type_name, with_article};
use super::signature::forms;
use crate::quote::quoted;

/// The sentence, if the types are to blame.
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
    let is_right = typed.is_ok() && castable(expr, schema) && !is_senseless(expr, schema);
    if is_right { ControlFlow::Continue(()) } else { ControlFlow::Break(sentence(expr, schema)) }
}

/// Whether this is no cast, or one between types that can be cast. The planner asks later, with the types that it has made of them.
fn castable(expr: &Expr, schema: &DFSchema) -> bool {
    match cast_of(expr) {
        Some((inner, to)) => inner.get_type(schema).is_ok_and(|from| can_cast_types(&from, to)),
        None => true,
    }
}

/// What the planner lets pass: minus before a time fails at every row, and bit operations cut doubles off to whole numbers without a word
/// (`price ^ 2` is no power).
pub(super) fn is_senseless(expr: &Expr, schema: &DFSchema) -> bool {
    let found = |e: &Expr| e.get_type(schema).unwrap_or(ArrowType::Null);
    match expr {
        Expr::Negative(inner) => matches!(found(inner), ArrowType::Timestamp(..)),
        Expr::BinaryExpr(binary) if bit_operator(binary.op).is_some() => {
            [&binary.left, &binary.right].into_iter().map(|e| found(e)).any(|t| t.is_floating() || t.is_decimal())
        }
        _ => false,
    }
}

/// As it is written; some dialects have other signs, and the planner words.
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
    let all = |operands: &[&Expr]| and_list(&operands.iter().map(|o| operand(o, schema)).collect::<Vec<_>>());
    // Lists may be long; what is said twice helps nobody.
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
        return Some(format!("{} can't be cast to {}", operand(inner, schema), a_type(to)));
    }
    Some(match expr {
        Expr::BinaryExpr(binary) => binary_sentence(binary, &all(&[&binary.left, &binary.right])),
        Expr::Negative(inner) => format!("`-` takes a number or an interval, and found {}", all(&[inner])),
        Expr::IsTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotTrue(inner) | Expr::IsNotFalse(inner) => {
            format!("`is true` and `is false` take a boolean, and found {}", all(&[inner]))
        }
        Expr::Like(like) | Expr::SimilarTo(like) => format!("`like` takes two strings, and found {}", all(&[&like.expr, &like.pattern])),
        Expr::Between(b) => format!("`between` can't compare {}; cast them to one type", all(&[&b.expr, &b.low, &b.high])),
        Expr::InList(list) => {
            format!("`in` can't compare {}; cast them to one type", different(&mut std::iter::once(list.expr.as_ref()).chain(&list.list)))
        }
        Expr::Case(case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
            let compared = case
                .expr
                .iter()
                .flat_map(|operand| std::iter::once(operand.as_ref()).chain(case.when_then_expr.iter().map(|(when, _)| when.as_ref())));
            let found = different(&mut thens.chain(compared));
            format!("`case` has {found}; cast them, so that what is compared has one type and what it gives has one")
        }
        Expr::ScalarFunction(call) => return call_sentence(call, &all(&call.args.iter().collect::<Vec<_>>())),
        _ => return None,
    })
}

fn binary_sentence(binary: &BinaryExpr, found: &str) -> String {
    use Operator::{And, Or, RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch, StringConcat};
    if let Some(sign) = bit_operator(binary.op) {
        return format!("`{sign}` takes two whole numbers, and found {found}");
    }
    match binary.op {
        And | Or => format!("`{}` takes two booleans, and found {found}", binary.op.to_string().to_lowercase()),
        StringConcat | RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch => {
            format!("`{}` takes two strings, and found {found}", binary.op)
        }
        op if op.is_numerical_operators() => format!("`{op}` takes two numbers, or a time and an interval, and found {found}"),
        op if op.supports_propagation() || op.negate().is_some() => format!("`{op}` can't compare {found}; cast them to one type"),
        op => format!("`{op}` does not take {found}"),
    }
}

/// Functions whose own message says more than their signature does.
const SAYING_IT_THEMSELVES: [&str; 3] = ["date_format", "get_field", "arrow_cast"];

fn call_sentence(call: &ScalarFunction, found: &str) -> Option<String> {
    let name = call.func.name();
    if SAYING_IT_THEMSELVES.contains(&name) {
        return None;
    }
    let found = if call.args.is_empty() { "nothing" } else { found };
    let forms = forms(&call.func.signature().type_signature);
    Some(match &forms[..] {
        [] if call.args.is_empty() => format!("{} takes something, and found nothing", quoted(name)),
        [] => format!("{} does not take {found}", quoted(name)),
        forms => format!("{} takes {}, and found {found}", quoted(name), forms.join(" or ")),
    })
}

/// `a string (`city`)`, or the type alone of what has no name.
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
