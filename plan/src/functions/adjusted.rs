//! DataFusion's functions with Spark's nulls.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{cast, is_null, nullif, or};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::arguments::rows;

/// The function as it is here.
pub(super) fn adjusted(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let nulls = match function.name() {
        "concat" => Nulls::WhereOneIs,
        "ln" | "log2" | "log10" => Nulls::UnlessPositive,
        _ => return function,
    };
    Arc::new(ScalarUDF::from(Adjusted { function, nulls }))
}

/// Which results are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Nulls {
    /// Those with a null among their arguments. DataFusion's `concat` leaves nulls out.
    WhereOneIs,
    /// Those of numbers that are not above zero, which have no logarithm. DataFusion gives NaN or minus infinity.
    UnlessPositive,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Adjusted {
    function: Arc<ScalarUDF>,
    nulls: Nulls,
}

impl ScalarUDFImpl for Adjusted {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.function.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let nulls = match self.nulls {
            Nulls::WhereOneIs => args.args.iter().map(|arg| Ok(is_null(&rows(arg)?)?)).collect::<Result<_>>()?,
            Nulls::UnlessPositive => args.args.iter().map(not_positive).collect::<Result<Vec<_>>>()?,
        };
        let result = self.function.inner().invoke_with_args(args)?;
        nulls.iter().try_fold(result, without)
    }
}

/// The values with null in place of those that are to be null: one for all rows, or one for each row.
fn without(values: ColumnarValue, nulls: &BooleanArray) -> Result<ColumnarValue> {
    if !nulls.has_true() {
        return Ok(values);
    }
    match values {
        ColumnarValue::Scalar(value) if nulls.len() == 1 => {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from(value.data_type())?))
        }
        ColumnarValue::Scalar(value) => Ok(ColumnarValue::Array(nullif(&value.to_array_of_size(nulls.len())?, nulls)?)),
        ColumnarValue::Array(values) if nulls.len() == values.len() => {
            Ok(ColumnarValue::Array(nullif(&values, nulls)?))
        }
        // A constant that is to be null.
        ColumnarValue::Array(values) => Ok(ColumnarValue::Scalar(ScalarValue::try_from(values.data_type())?)),
    }
}

/// Which numbers are not above zero. NaN is neither.
fn not_positive(numbers: &ColumnarValue) -> Result<BooleanArray> {
    let numbers = cast(&rows(numbers)?, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let below = numbers.iter().map(|number| Some(number.is_some_and(|number| number <= 0.0))).collect();
    Ok(or(&below, &is_null(numbers)?)?)
}
