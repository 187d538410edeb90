//! Regular expressions as the planner may not rewrite them. It makes `like` of `a ~ 'x'`, and equality of `a ~ '^x$'`;
//! but a backslash means another thing in a `like`, and letters of other alphabets are compared in other ways.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Expr, ExprSchemable, Operator, lit};

use super::context::CONTEXT;

/// The coerced expression with the function `regexp_like` in place of the operators `~`, `~*`, `!~` and `!~*`.
pub(super) fn matched(coerced: Expr, schema: &DFSchema) -> Result<Expr> {
    let Some(function) = CONTEXT.get_function_meta("regexp_like") else { return Ok(coerced) };
    let matched = coerced.transform_up(|e| {
        let Expr::BinaryExpr(binary) = e else { return Ok(Transformed::no(e)) };
        let (is_negated, ignores_case) = match binary.op {
            Operator::RegexMatch => (false, false),
            Operator::RegexIMatch => (false, true),
            Operator::RegexNotMatch => (true, false),
            Operator::RegexNotIMatch => (true, true),
            _ => return Ok(Transformed::no(Expr::BinaryExpr(binary))),
        };
        let (text, pattern) = (*binary.left, *binary.right);
        if ![&text, &pattern].into_iter().all(|e| e.get_type(schema).is_ok_and(|found| found.is_string())) {
            let unlike = datafusion_expr::binary_expr(text, binary.op, pattern);
            return Ok(Transformed::no(unlike));
        }
        let mut args = vec![text, pattern];
        if ignores_case {
            args.push(lit("i"));
        }
        let call = function.call(args);
        Ok(Transformed::yes(if is_negated { Expr::Not(Box::new(call)) } else { call }))
    })?;
    Ok(matched.data)
}
