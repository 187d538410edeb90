//! Finds calls of functions that do not exist, without the columns of the rows. When the columns are known, the planner
//! finds such calls itself. Functions that people know from other languages are refused by the parser.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Visit, Visitor};

use super::ExprError;
use super::context::CONTEXT;
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
        ControlFlow::Break(no_such_function(&name))
    }
}
