//! `to_date(text)`, `to_date(timestamp | date)` and `to_date(text, pattern, …)` with Spark's patterns, and
//! `try_to_date`, which gives null for a text that does not fit. DataFusion's function takes chrono's patterns, reads
//! numbers as days, and refuses texts that Spark reads. Casts of texts to dates are this function too.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::by_pattern::{self, Misfit};
use super::datetime_text::day_of;
use crate::calendar::US_PER_DAY;
use crate::quote::quoted;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToDate {
    name: &'static str,
    misfit: Misfit,
    /// Whether it stands for a cast, which is null only where its text is, or where a `try_cast` fails.
    is_cast: bool,
    signature: Signature,
}

impl ToDate {
    pub fn failing() -> Self {
        Self::of("to_date", Misfit::Fails)
    }

    pub fn trying() -> Self {
        Self::of("try_to_date", Misfit::IsNull)
    }

    /// The function for `cast(text as date)`.
    pub fn cast(misfit: Misfit) -> Self {
        Self { is_cast: true, ..Self::of("to_date", misfit) }
    }

    fn of(name: &'static str, misfit: Misfit) -> Self {
        Self { name, misfit, is_cast: false, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn days(&self, first: &ArrayRef, patterns: &[ArrayRef]) -> Result<ArrayRef> {
        let days: Date32Array = match first.as_string_opt::<i32>() {
            // A time or a date, which takes no pattern.
            None => return Ok(cast(first, &DataType::Date32)?),
            Some(texts) if patterns.is_empty() => {
                texts.iter().map(|text| text.map_or(Ok(None), |text| self.day(text))).collect::<Result<_>>()?
            }
            // The years 1 to 9999 have fewer days than an i32 can count.
            Some(_) => by_pattern::times(self.name, self.misfit, first, patterns)?
                .unary(|time_us| i32::try_from(time_us.div_euclid(US_PER_DAY)).unwrap_or_default()),
        };
        Ok(Arc::new(days))
    }

    fn day(&self, text: &str) -> Result<Option<i32>> {
        match (day_of(text), self.misfit) {
            (None, Misfit::Fails) => exec_err!(
                "{} is no date: write it as in `2024-01-31`, or read it by its pattern, as in `to_date(…, \
                 'dd/MM/yyyy')`",
                quoted(text)
            ),
            (day, _) => Ok(day),
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
        let nullable = by_pattern::is_nullable(self.is_cast, self.misfit, &args);
        Ok(Arc::new(Field::new(self.name, DataType::Date32, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let Some((first, patterns)) = arrays.split_first() else {
            return exec_err!("{} takes a text, a timestamp or a date", self.name);
        };
        let days = self.days(first, patterns)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&days, 0)?)
        } else {
            ColumnarValue::Array(days)
        })
    }
}
