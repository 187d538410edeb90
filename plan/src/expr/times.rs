//! Sums of dates as Spark has them: a date and an interval of hours, minutes or seconds are a timestamp, and a date and
//! a number of days are a date. DataFusion would leave the hours out. And a time or a boolean is joined to a text.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Cast, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use super::context::CONTEXT;
use super::operands::is_interval;
use crate::types::timestamp_type;

/// The expression with such sums in Spark's types.
pub(super) fn added(expr: Expr, simplifier: &ExprSimplifier, schema: &DFSchema) -> Result<Expr> {
    let added = expr.transform_up(|e| {
        let Expr::BinaryExpr(mut binary) = e else { return Ok(Transformed::no(e)) };
        if binary.op == Operator::StringConcat {
            let is = |e: &Expr, wanted: fn(&DataType) -> bool| e.get_type(schema).is_ok_and(|found| wanted(&found));
            let has_text = is(&binary.left, DataType::is_string) || is(&binary.right, DataType::is_string);
            let is_joined =
                |found: &DataType| matches!(found, DataType::Date32 | DataType::Timestamp(..) | DataType::Boolean);
            for operand in [&mut binary.left, &mut binary.right] {
                if has_text && is(operand, is_joined) {
                    **operand = Expr::Cast(Cast::new(Box::new(std::mem::take(operand)), DataType::Utf8));
                }
            }
            return Ok(Transformed::yes(Expr::BinaryExpr(binary)));
        }
        if !matches!(binary.op, Operator::Plus | Operator::Minus) {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        }
        let of = |e: &Expr| e.get_type(schema).unwrap_or(DataType::Null);
        let is_turned = of(&binary.right) == DataType::Date32 && binary.op == Operator::Plus;
        let (day, other) =
            if is_turned { (&mut binary.right, &mut binary.left) } else { (&mut binary.left, &mut binary.right) };
        let (found, added) = (of(day), of(other));
        if found != DataType::Date32 {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        }
        if added.is_integer() {
            let name = if binary.op == Operator::Plus { "date_add" } else { "date_sub" };
            let Some(function) = CONTEXT.get_function_meta(name) else {
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            };
            return Ok(Transformed::yes(function.call(vec![std::mem::take(day), std::mem::take(other)])));
        }
        if !is_interval(&added) || !has_time(other, simplifier) {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        }
        **day = Expr::Cast(Cast::new(Box::new(std::mem::take(day)), timestamp_type()));
        Ok(Transformed::yes(Expr::BinaryExpr(binary)))
    })?;
    Ok(added.data)
}

/// Whether the interval has hours, minutes or seconds. One that is no constant may have them.
fn has_time(interval: &Expr, simplifier: &ExprSimplifier) -> bool {
    match simplifier.simplify(interval.clone()) {
        Ok(Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _)) => interval.nanoseconds != 0,
        Ok(Expr::Literal(ScalarValue::IntervalYearMonth(_), _)) => false,
        _ => true,
    }
}
