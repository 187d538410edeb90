//! An estimate, made before planning, of how long the planner would take for an expression.
//!
//! The planner passes over an expression many times and visits all that lies below each operator, so an operator's cost
//! is its depth. A function call costs as much as several operators, since the planner tries its signature with other
//! types. A choice ([`super::parse::is_choice`]) contains one of its values twice once it is planned. Measured in the
//! dev profile over sums, chains of calls, lists and nested choices, a unit takes at most 14 µs; in a release build it
//! takes a quarter of that or less (sums of 60 and 120 terms: 1 µs).

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Visit, Visitor};

use super::parse::{is_choice, parse};
use super::stack::with_room;

/// The base cost of every expression, however short: a thread, and a catalogue of functions.
const EXPRESSION: u64 = 50;
const CALL: u64 = 8;

/// The weight of all these expressions together. A text that does not parse weighs nothing: it is refused before
/// planning.
#[must_use]
pub fn weight<'a>(expressions: impl Iterator<Item = &'a str> + Send) -> u64 {
    with_room(|| expressions.map(|sql| parse(sql).map_or(0, |expr| EXPRESSION + weight_of(&expr))).sum())
        .unwrap_or(u64::MAX)
}

fn weight_of(expr: &Expr) -> u64 {
    let mut scales = Scales { depth: 0, choices: 0, weight: 0 };
    let _ = Visit::visit(expr, &mut scales);
    scales.weight
}

struct Scales {
    depth: u64,
    choices: u32,
    weight: u64,
}

impl Visitor for Scales {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        self.choices += u32::from(is_choice(expr));
        let one = if is_call(expr) { CALL } else { 1 };
        // Each choice around the operator adds half to its weight, not all of it: only a part of a choice is planned
        // twice.
        self.weight += one * self.depth * 3_u64.pow(self.choices) / 2_u64.pow(self.choices);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.depth -= 1;
        self.choices -= u32::from(is_choice(expr));
        ControlFlow::Continue(())
    }
}

fn is_call(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Function(_)
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
            | Expr::TypedString(_)
    )
}
