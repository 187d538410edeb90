//! The common type of two types that meet: a double wins over a decimal, as in Spark and in standard SQL ("approximate"
//! beats "exact"), and a timestamp wins over a date.
//!
//! DataFusion does this in arithmetic. But it compares and unites doubles and decimals as `decimal(30,15)`:
//! `coalesce(price, 0.0)` would no longer be a double, and a price of 1e20 would fail. And it compares dates and
//! strings with timestamps in nanoseconds, which end in 2262. (Only literal strings matter here; a column of strings is
//! refused.)

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::{Cast, Expr, ExprSchemable};

use crate::types::timestamp_type;

/// Functions that cast their arguments to one common type.
pub(super) const UNITING: [&str; 6] = ["coalesce", "nvl", "nvl2", "nullif", "greatest", "least"];

pub(super) fn united(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expr.transform_up(|mut e| {
        let changed = match &mut e {
            Expr::BinaryExpr(binary) => unite(vec![binary.left.as_mut(), binary.right.as_mut()], schema),
            Expr::Between(between) => {
                unite(vec![between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema)
            }
            Expr::InList(list) => unite(std::iter::once(list.expr.as_mut()).chain(&mut list.list).collect(), schema),
            Expr::ScalarFunction(f) if UNITING.contains(&f.func.name()) => unite(f.args.iter_mut().collect(), schema),
            Expr::Case(case) => {
                let (mut compared, mut results) = (Vec::new(), Vec::new());
                for (when, then) in &mut case.when_then_expr {
                    compared.push(when.as_mut());
                    results.push(then.as_mut());
                }
                results.extend(case.else_expr.as_deref_mut());
                let operand = case.expr.as_deref_mut();
                let results_changed = unite(results, schema);
                operand.is_some_and(|operand| unite(std::iter::once(operand).chain(compared).collect(), schema))
                    || results_changed
            }
            _ => false,
        };
        Ok(if changed { Transformed::yes(e) } else { Transformed::no(e) })
    })?;
    Ok(rewritten.data)
}

/// Casts operands to the winning type. Returns whether it changed any.
fn unite(operands: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    // An operand that does not type yet counts as null; coercion later reports why.
    let types: Vec<_> = operands.iter().map(|e| e.get_type(schema).unwrap_or(DataType::Null)).collect();
    let Some(winner) = Winner::among(&types) else { return false };
    let mut changed = false;
    for (operand, _) in operands.into_iter().zip(&types).filter(|(operand, t)| winner.beats(operand, t)) {
        *operand = winner.cast(std::mem::take(operand));
        changed = true;
    }
    changed
}

#[derive(Clone, Copy)]
enum Winner {
    Double,
    Timestamp,
}

impl Winner {
    fn among(types: &[DataType]) -> Option<Self> {
        if types.iter().any(DataType::is_floating) {
            return Some(Self::Double);
        }
        types.iter().any(|t| matches!(t, DataType::Timestamp(..))).then_some(Self::Timestamp)
    }

    fn beats(self, operand: &Expr, found: &DataType) -> bool {
        match self {
            Self::Double => found.is_decimal(),
            Self::Timestamp => {
                matches!(found, DataType::Date32) || found.is_string() && matches!(operand, Expr::Literal(..))
            }
        }
    }

    fn cast(self, loser: Expr) -> Expr {
        match self {
            Self::Double => to_double(loser),
            Self::Timestamp => Expr::Cast(Cast::new(Box::new(loser), timestamp_type())),
        }
    }
}

fn to_double(decimal: Expr) -> Expr {
    if let Expr::Literal(ScalarValue::Decimal128(Some(digits), _, scale), _) = &decimal {
        // The double nearest to the text. With more than 15 digits, a cast would round twice.
        if let Ok(double) = format!("{digits}e{}", -i16::from(*scale)).parse::<f64>() {
            return Expr::Literal(ScalarValue::Float64(Some(double)), None);
        }
    }
    Expr::Cast(Cast::new(Box::new(decimal), DataType::Float64))
}
