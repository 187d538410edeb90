//! Finds calls of functions that do not exist, without the columns of the rows. When the columns are known, the planner
//! finds such calls itself.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Visit, Visitor};

use super::ExprError;
use super::context::CONTEXT;
use super::habits;
use super::message::no_such_function;

pub(super) fn refuse_unknown_functions(parsed: &Expr) -> Result<(), ExprError> {
    match Visit::visit(parsed, &mut Calls) {
        ControlFlow::Break(why) => Err(ExprError(why)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Calls;

impl Visitor for Calls {
    type Break = String;

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let name = call.name.to_string().to_lowercase();
        if CONTEXT.has_function(&name) {
            return ControlFlow::Continue(());
        }
        let why = habits::no_such_function(&name, &arguments(call));
        ControlFlow::Break(why.unwrap_or_else(|| no_such_function(&name)))
    }
}

fn arguments(call: &Function) -> Vec<String> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let text = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.to_string()),
        _ => None,
    };
    list.args.iter().filter_map(text).collect()
}
