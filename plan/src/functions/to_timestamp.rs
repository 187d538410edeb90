//! `to_timestamp`, `to_timestamp_seconds`, `…_millis`, `…_micros` and `…_nanos`: read numbers of a unit, texts, and
//! texts by Spark's patterns, and return microseconds. DataFusion's functions of these names take chrono's formats,
//! read texts into nanoseconds, which end in 2262, and replace doubles out of range by the first or last time.
//! `try_to_timestamp` gives null for a text that does not fit. Casts of texts to timestamps are this function too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion_common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::by_pattern::{self, Misfit};
use super::datetime_text::time_us_of;
use crate::quote::quoted;
use crate::types::timestamp_type;

/// The end of the message for a number that no timestamp can hold. It names no time: a number that large has no year.
const OUT_OF_RANGE: &str = "is beyond the range of a timestamp";

pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    [
        ToTimestamp::of_seconds("to_timestamp"),
        ToTimestamp::of_seconds("to_timestamp_seconds"),
        ToTimestamp::of("to_timestamp_millis", Unit { us: 1_000, of: 1 }),
        ToTimestamp::of("to_timestamp_micros", Unit { us: 1, of: 1 }),
        ToTimestamp::of("to_timestamp_nanos", Unit { us: 1, of: 1_000 }),
        ToTimestamp { misfit: Misfit::IsNull, ..ToTimestamp::of_seconds("try_to_timestamp") },
    ]
    .into_iter()
    .map(ScalarUDF::from)
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToTimestamp {
    name: &'static str,
    per_unit: Unit,
    misfit: Misfit,
    /// Whether it stands for a cast, which is null only where its text is, or where a `try_cast` fails.
    is_cast: bool,
    signature: Signature,
}

/// The unit of a number: `of` units are `us` microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Unit {
    us: i64,
    of: i64,
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((first, patterns)) = arg_types.split_first() else {
            return plan_err!("{} takes a number or a text", self.name);
        };
        if !patterns.iter().all(|t| t.is_string() || t.is_null())
            || !(patterns.is_empty() || first.is_string() || first.is_null())
        {
            return plan_err!("{} takes a text and its patterns, or one number", self.name);
        }
        let first = match first {
            t if t.is_string() => DataType::Utf8,
            DataType::Null if !patterns.is_empty() => DataType::Utf8,
            t if self.misfit == Misfit::IsNull && t.is_numeric() => {
                return plan_err!("{} takes a text and its patterns, and found {t}", self.name);
            }
            t if t.is_integer() => DataType::Int64,
            t if t.is_floating() => DataType::Float64,
            DataType::Decimal128(..) => first.clone(),
            DataType::Null | DataType::Timestamp(..) | DataType::Date32 => timestamp_type(),
            other => return plan_err!("{} takes a number or a text, and found {other}", self.name),
        };
        Ok(std::iter::once(first).chain(patterns.iter().map(|_| DataType::Utf8)).collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        by_pattern::check_constant_patterns(self.name, &args)?;
        let nullable = by_pattern::is_nullable(self.is_cast, self.misfit, &args);
        Ok(Arc::new(Field::new(self.name, timestamp_type(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let Some((first, patterns)) = arrays.split_first() else {
            return exec_err!("{} takes a number or a text", self.name);
        };
        let times = self.times(first, patterns)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?)
        } else {
            ColumnarValue::Array(times)
        })
    }
}

impl ToTimestamp {
    fn of(name: &'static str, per_unit: Unit) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name, per_unit, misfit: Misfit::Fails, is_cast: false, signature }
    }

    /// The function for `cast(text as timestamp)`.
    pub fn cast(misfit: Misfit) -> Self {
        Self { misfit, is_cast: true, ..Self::of_seconds("to_timestamp") }
    }

    /// A function of this name that reads numbers as seconds.
    pub fn of_seconds(name: &'static str) -> Self {
        Self::of(name, Unit { us: 1_000_000, of: 1 })
    }

    fn times(&self, first: &ArrayRef, patterns: &[ArrayRef]) -> Result<ArrayRef> {
        let Unit { us, of } = self.per_unit;
        let refused = |value: &dyn std::fmt::Display| exec_datafusion_err!("`{value}` {OUT_OF_RANGE}");
        let times: TimestampMicrosecondArray = match first.data_type() {
            DataType::Int64 => first
                .as_primitive::<Int64Type>()
                .try_unary(|value| value.checked_mul(us).map(|us| us.div_euclid(of)).ok_or_else(|| refused(&value)))?,
            DataType::Float64 => first.as_primitive::<Float64Type>().try_unary(|value| {
                let us = value * us as f64 / of as f64;
                // 2^63 is a double and too large; the next smaller double fits.
                let fits = us >= -(2_f64.powi(63)) && us < 2_f64.powi(63);
                if fits { Ok(us as i64) } else { Err(refused(&value)) }
            })?,
            DataType::Decimal128(_, scale) => {
                let units = 10_i128.checked_pow(u32::from(scale.unsigned_abs()));
                let (scale, times_units) = (*scale, *scale < 0);
                first.as_primitive::<Decimal128Type>().try_unary(|value| {
                    let us = value.checked_mul(i128::from(us)).zip(units).and_then(|(us, units)| {
                        if times_units { us.checked_mul(units) } else { Some(us.div_euclid(units)) }
                    });
                    let us = us.and_then(|us| i64::try_from(us.div_euclid(i128::from(of))).ok());
                    us.ok_or_else(|| {
                        exec_datafusion_err!(
                            "`{value}` of a decimal with {scale} digits after the point {OUT_OF_RANGE}"
                        )
                    })
                })?
            }
            DataType::Utf8 if !patterns.is_empty() => by_pattern::times(self.name, self.misfit, first, patterns)?,
            DataType::Utf8 => self.of_texts(first)?,
            _ => return Ok(cast(first, &timestamp_type())?),
        };
        Ok(Arc::new(times.with_data_type(timestamp_type())))
    }

    /// Reads texts without a pattern: ISO 8601 as Arrow's cast does, and the other forms that Spark reads.
    fn of_texts(&self, texts: &ArrayRef) -> Result<TimestampMicrosecondArray> {
        let times = cast(texts, &timestamp_type())?;
        let read = times.as_primitive::<TimestampMicrosecondType>();
        if read.null_count() == texts.null_count() {
            return Ok(read.clone());
        }
        let rows = texts.as_string::<i32>().iter().zip(read).map(|(text, time_us)| match (text, time_us) {
            (Some(text), None) => match (time_us_of(text), self.misfit) {
                (None, Misfit::Fails) => exec_err!(
                    "{} is no timestamp: write it as in `2024-01-31 10:20:30`, or read it by its pattern, as in \
                     `to_timestamp(…, 'dd/MM/yyyy HH:mm:ss')`",
                    quoted(text)
                ),
                (time_us, _) => Ok(time_us),
            },
            (_, time_us) => Ok(time_us),
        });
        rows.collect()
    }
}
