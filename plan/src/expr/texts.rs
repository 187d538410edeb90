//! Casts of texts to dates and timestamps, in Spark's forms: `cast(text as date)` reads what `to_date(text)` reads.
//! Arrow reads ISO 8601 only.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::{Cast, ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF};

use super::context::CONTEXT;
use crate::functions::reading_cast;
use crate::types::timestamp_type;

/// The coerced expression with functions in place of such casts, also of those that the planner added. Constant texts
/// are read at once, so that a wrong one is refused whatever is around it.
pub(super) fn read(coerced: Expr, schema: &DFSchema) -> Result<Expr> {
    let read = coerced.transform_up(|e| {
        let (text, target, is_try) = match &e {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), false),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), true),
            _ => return Ok(Transformed::no(e)),
        };
        let found = text.get_type(schema)?;
        let Some(function) = reading_cast(target, is_try).filter(|_| found.is_string()) else {
            return Ok(Transformed::no(e));
        };
        let time = match text.as_ref() {
            Expr::Literal(constant, _) => Expr::Literal(read_constant(&function, constant)?, None),
            text if found == DataType::Utf8 => function.call(vec![text.clone()]),
            text => function.call(vec![Expr::Cast(Cast::new(Box::new(text.clone()), DataType::Utf8))]),
        };
        // The planner compares some times in other units.
        let is_stored = *target == DataType::Date32 || *target == timestamp_type();
        Ok(Transformed::yes(if is_stored { time } else { Expr::Cast(Cast::new(Box::new(time), target.clone())) }))
    })?;
    Ok(read.data)
}

fn read_constant(function: &ScalarUDF, text: &ScalarValue) -> Result<ScalarValue> {
    let text = text.cast_to(&DataType::Utf8)?;
    let arg = Arc::new(Field::new("text", DataType::Utf8, true));
    let args = ScalarFunctionArgs {
        args: vec![ColumnarValue::Scalar(text)],
        arg_fields: vec![arg],
        number_rows: 1,
        return_field: Arc::new(Field::new("time", function.return_type(&[DataType::Utf8])?, true)),
        config_options: Arc::clone(&CONTEXT.options),
    };
    match function.inner().invoke_with_args(args)? {
        ColumnarValue::Scalar(time) => Ok(time),
        ColumnarValue::Array(times) => ScalarValue::try_from_array(&times, 0),
    }
}
