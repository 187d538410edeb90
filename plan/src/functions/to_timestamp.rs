//! `to_timestamp`, `to_timestamp_seconds`, `…_millis`, `…_micros` and `…_nanos`: from numbers of a unit, from text, and
//! from text by chrono's formats, to microseconds. DataFusion's functions of these names read text into nanoseconds,
//! which end in 2262, and cut doubles that are out of range to the ends of time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::util::display::FormatOptions;
use chrono::format::{Parsed, StrftimeItems, parse};
use datafusion_common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::types::timestamp_type;

/// What is more is said wrongly: a number of seconds beyond these has no year.
const OUT_OF_RANGE: &str = "is beyond the range of a timestamp";

pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    [
        ToTimestamp::of_seconds("to_timestamp"),
        ToTimestamp::of_seconds("to_timestamp_seconds"),
        ToTimestamp::of("to_timestamp_millis", Unit { us: 1_000, of: 1 }),
        ToTimestamp::of("to_timestamp_micros", Unit { us: 1, of: 1 }),
        ToTimestamp::of("to_timestamp_nanos", Unit { us: 1, of: 1_000 }),
    ]
    .into_iter()
    .map(ScalarUDF::from)
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToTimestamp {
    name: &'static str,
    per_unit: Unit,
    signature: Signature,
}

/// `of` numbers are `us` microseconds.
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
        let Some((first, formats)) = arg_types.split_first() else {
            return plan_err!("{} takes a number or a text", self.name);
        };
        if !formats.iter().all(DataType::is_string) || !(formats.is_empty() || first.is_string() || first.is_null()) {
            return plan_err!("{} takes a text and its formats, or one number", self.name);
        }
        let first = match first {
            t if t.is_string() => DataType::Utf8,
            t if t.is_integer() => DataType::Int64,
            t if t.is_floating() => DataType::Float64,
            DataType::Decimal128(..) => first.clone(),
            DataType::Null | DataType::Timestamp(..) | DataType::Date32 => timestamp_type(),
            other => return plan_err!("{} takes a number or a text, and found {other}", self.name),
        };
        Ok(std::iter::once(first).chain(formats.iter().map(|_| DataType::Utf8)).collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let Some((first, formats)) = arrays.split_first() else {
            return exec_err!("{} takes a number or a text", self.name);
        };
        let times = self.times(first, formats)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?)
        } else {
            ColumnarValue::Array(times)
        })
    }
}

impl ToTimestamp {
    fn of(name: &'static str, per_unit: Unit) -> Self {
        Self { name, per_unit, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// A function of this name, to which a number is one of seconds.
    pub fn of_seconds(name: &'static str) -> Self {
        Self::of(name, Unit { us: 1_000_000, of: 1 })
    }

    fn times(&self, first: &ArrayRef, formats: &[ArrayRef]) -> Result<ArrayRef> {
        let Unit { us, of } = self.per_unit;
        let refused = |value: &dyn std::fmt::Display| exec_datafusion_err!("`{value}` {OUT_OF_RANGE}");
        let times: TimestampMicrosecondArray = match first.data_type() {
            DataType::Int64 => first
                .as_primitive::<Int64Type>()
                .try_unary(|value| value.checked_mul(us).map(|us| us.div_euclid(of)).ok_or_else(|| refused(&value)))?,
            DataType::Float64 => first.as_primitive::<Float64Type>().try_unary(|value| {
                let us = value * us as f64 / of as f64;
                // 2^63 is a double, and the greatest below it is a time.
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
            DataType::Utf8 if !formats.is_empty() => {
                let formats: Vec<_> = formats.iter().map(|f| f.as_string::<i32>()).collect();
                let texts = first.as_string::<i32>().iter().enumerate();
                texts
                    .map(|(row, text)| text.map(|text| by_formats(text, row, &formats)).transpose())
                    .collect::<Result<_>>()?
            }
            _ => {
                let options = CastOptions { safe: false, format_options: FormatOptions::default() };
                return Ok(cast_with_options(first, &timestamp_type(), &options)?);
            }
        };
        Ok(Arc::new(times.with_data_type(timestamp_type())))
    }
}

/// By the first format that fits.
fn by_formats(text: &str, row: usize, formats: &[&arrow::array::StringArray]) -> Result<i64> {
    let mut why = String::new();
    for format in formats.iter().filter(|f| !f.is_null(row)).map(|f| f.value(row)) {
        let mut parsed = Parsed::new();
        let time = parse(&mut parsed, text, StrftimeItems::new(format)).and_then(|()| {
            let zoned = parsed.to_datetime().map(|t| t.naive_utc());
            zoned
                .or_else(|_| parsed.to_naive_datetime_with_offset(0))
                .or_else(|_| parsed.to_naive_date().map(Into::into))
        });
        match time {
            Ok(time) => return Ok(time.and_utc().timestamp_micros()),
            Err(e) => why = format!("`{text}` is not a time as `{format}` describes it: {e}"),
        }
    }
    exec_err!("{why}")
}
