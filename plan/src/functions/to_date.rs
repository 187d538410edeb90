//! `to_date(text)`, `to_date(timestamp | date)` and `to_date(text, pattern, …)` with Spark's patterns, and
//! `try_to_date`, which gives null for a text that does not fit. DataFusion's function takes chrono's patterns, and
//! reads numbers as days.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::util::display::FormatOptions;
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::by_pattern::{self, Misfit};
use crate::calendar::US_PER_DAY;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToDate {
    name: &'static str,
    misfit: Misfit,
    signature: Signature,
    /// The function that reads arguments without a pattern.
    function: Arc<ScalarUDF>,
}

impl ToDate {
    pub fn failing() -> Self {
        Self::of("to_date", Misfit::Fails)
    }

    pub fn trying() -> Self {
        Self::of("try_to_date", Misfit::IsNull)
    }

    fn of(name: &'static str, misfit: Misfit) -> Self {
        Self {
            name,
            misfit,
            signature: Signature::user_defined(Volatility::Immutable),
            function: datafusion_functions::datetime::to_date(),
        }
    }
}

impl ScalarUDFImpl for ToDate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((first, patterns)) = arg_types.split_first() else {
            return plan_err!("{} takes a text, a timestamp or a date", self.name);
        };
        if !patterns.iter().all(|t| t.is_string() || t.is_null()) {
            return plan_err!("{} takes a text and its patterns", self.name);
        }
        let first = match first {
            t if t.is_string() => DataType::Utf8,
            DataType::Null if !patterns.is_empty() => DataType::Utf8,
            DataType::Null | DataType::Date32 | DataType::Timestamp(..) if patterns.is_empty() => first.clone(),
            other => return plan_err!("{} takes a text and its patterns, and found {other}", self.name),
        };
        Ok(std::iter::once(first).chain(patterns.iter().map(|_| DataType::Utf8)).collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        by_pattern::check_constant_patterns(self.name, &args)?;
        Ok(Arc::new(Field::new(self.name, DataType::Date32, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [only] = &args.args[..] {
            let safe = CastOptions { safe: true, format_options: FormatOptions::default() };
            return match self.misfit {
                Misfit::IsNull => only.cast_to(&DataType::Date32, Some(&safe)),
                Misfit::Fails => self.function.inner().invoke_with_args(args),
            };
        }
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let Some((texts, patterns)) = arrays.split_first() else {
            return exec_err!("{} takes a text, a timestamp or a date", self.name);
        };
        // The years 1 to 9999 have fewer days than an i32 can count.
        let days: Date32Array = by_pattern::times(self.name, self.misfit, texts, patterns)?
            .unary(|time_us| i32::try_from(time_us.div_euclid(US_PER_DAY)).unwrap_or_default());
        let days: ArrayRef = Arc::new(days);
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&days, 0)?)
        } else {
            ColumnarValue::Array(days)
        })
    }
}
