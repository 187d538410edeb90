//! Casts as Spark has them, where Arrow's do something else: texts to dates, timestamps, booleans, doubles and decimals
//! (`cast(text as date)` reads what `to_date(text)` reads), doubles to decimals, and doubles, timestamps, arrays and
//! structs to texts.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::{Cast, ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF};

use super::context::CONTEXT;
use crate::functions::cast_function;
use crate::types::timestamp_type;

/// The coerced expression with functions in place of such casts, also of those that the planner added. Constants are
/// cast at once, so that a wrong one is refused whatever is around it.
pub(super) fn read(coerced: Expr, schema: &DFSchema) -> Result<Expr> {
    let read = coerced.transform_up(|e| {
        let (value, target, is_try) = match &e {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), false),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), true),
            _ => return Ok(Transformed::no(e)),
        };
        let found = value.get_type(schema)?;
        let Some(function) = cast_function(&found, target, is_try) else { return Ok(Transformed::no(e)) };
        let result = match value.as_ref() {
            Expr::Literal(constant, _) => Expr::Literal(of_constant(&function, constant)?, None),
            text if !found.is_string() || found == DataType::Utf8 => function.call(vec![text.clone()]),
            text => function.call(vec![Expr::Cast(Cast::new(Box::new(text.clone()), DataType::Utf8))]),
        };
        // The planner compares some times in other units, and has several types for texts.
        let is_as_wanted = match target {
            DataType::Timestamp(..) => *target == timestamp_type(),
            target if target.is_string() => *target == DataType::Utf8,
            _ => true,
        };
        Ok(Transformed::yes(if is_as_wanted {
            result
        } else {
            Expr::Cast(Cast::new(Box::new(result), target.clone()))
        }))
    })?;
    Ok(read.data)
}

fn of_constant(function: &ScalarUDF, value: &ScalarValue) -> Result<ScalarValue> {
    let value = if value.data_type().is_string() { value.cast_to(&DataType::Utf8)? } else { value.clone() };
    let found = value.data_type();
    let args = ScalarFunctionArgs {
        args: vec![ColumnarValue::Scalar(value)],
        arg_fields: vec![Arc::new(Field::new("value", found.clone(), true))],
        number_rows: 1,
        return_field: Arc::new(Field::new("cast", function.return_type(&[found])?, true)),
        config_options: Arc::clone(&CONTEXT.options),
    };
    match function.inner().invoke_with_args(args)? {
        ColumnarValue::Scalar(cast) => Ok(cast),
        ColumnarValue::Array(cast) => ScalarValue::try_from_array(&cast, 0),
    }
}
