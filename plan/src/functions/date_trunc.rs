//! `date_trunc(unit, timestamp | date)`, in microseconds and UTC. DataFusion's function of this name computes in
//! nanoseconds, which end in 2262.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion_common::types::{NativeType, logical_date, logical_string};
use datafusion_common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion_expr::{
    Coercion, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignatureClass,
    Volatility,
};

use crate::calendar::{Civil, US_PER_DAY, US_PER_SECOND, midnight_us};
use crate::types::timestamp_type;

const NAME: &str = "date_trunc";

/// The coercion of a time argument: a timestamp, or a date or literal string that becomes one.
pub(super) fn a_time() -> Coercion {
    Coercion::new_implicit(
        TypeSignatureClass::Timestamp,
        vec![TypeSignatureClass::Native(logical_string()), TypeSignatureClass::Native(logical_date())],
        NativeType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    )
}

/// The times in microseconds, whatever the argument's unit.
pub(super) fn in_us(time: &ColumnarValue, rows: usize) -> Result<TimestampMicrosecondArray> {
    let time = time.cast_to(&timestamp_type(), None)?.into_array(rows)?;
    Ok(time.as_primitive::<TimestampMicrosecondType>().clone())
}

/// The result as a constant if the argument `time` is a constant.
pub(super) fn like(time: &ColumnarValue, times: TimestampMicrosecondArray) -> Result<ColumnarValue> {
    let times: ArrayRef = Arc::new(times.with_data_type(timestamp_type()));
    Ok(match time {
        ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?),
        ColumnarValue::Array(_) => ColumnarValue::Array(times),
    })
}

/// The number of rows to compute: one if `time` is a constant.
pub(super) fn rows_of(time: &ColumnarValue, rows: usize) -> usize {
    if matches!(time, ColumnarValue::Scalar(_)) { 1 } else { rows }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateTrunc {
    signature: Signature,
    aliases: Vec<String>,
}

impl DateTrunc {
    pub fn new() -> Self {
        let unit = Coercion::new_exact(TypeSignatureClass::Native(logical_string()));
        Self {
            signature: Signature::coercible(vec![unit, a_time()], Volatility::Immutable),
            aliases: vec!["datetrunc".to_owned()],
        }
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        NAME
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(NAME, timestamp_type(), args.arg_fields.iter().any(|f| f.is_nullable()))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [unit, time] = &args.args[..] else { return exec_err!("{NAME} takes a unit and a time") };
        let unit = match unit {
            ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten(),
            ColumnarValue::Array(_) => None,
        };
        let Some(unit) = unit else {
            return exec_err!("{NAME} takes a unit that is written out, as in date_trunc('hour', ts)");
        };
        let unit = Unit::named(unit)?;
        let times = in_us(time, rows_of(time, args.number_rows))?;
        let floored = times.try_unary::<_, TimestampMicrosecondType, _>(|time_us| {
            unit.floor(time_us).ok_or_else(|| {
                exec_datafusion_err!("{NAME}: what the time is cut to lies before the first timestamp that there is")
            })
        })?;
        like(time, floored)
    }
}

#[derive(Clone, Copy)]
enum Unit {
    /// A length in µs; bounds are multiples of it, counted from 1970-01-01T00:00:00Z.
    Fixed(i64),
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// The unit by its name in DataFusion or Spark.
    fn named(name: &str) -> Result<Self> {
        Ok(match name.to_lowercase().as_str() {
            "microsecond" => Self::Fixed(1),
            "millisecond" => Self::Fixed(1_000),
            "second" => Self::Fixed(US_PER_SECOND),
            "minute" => Self::Fixed(60 * US_PER_SECOND),
            "hour" => Self::Fixed(3_600 * US_PER_SECOND),
            "day" | "dd" => Self::Fixed(US_PER_DAY),
            "week" => Self::Week,
            "month" | "mm" | "mon" => Self::Month,
            "quarter" => Self::Quarter,
            "year" | "yyyy" | "yy" => Self::Year,
            _ => {
                return exec_err!(
                    "{NAME}: `{name}` is no granularity: write microsecond, millisecond, second, minute, hour, day, \
                     week, month, quarter or year"
                );
            }
        })
    }

    /// The start of the unit that the time lies in, in µs; `None` if i64 can't hold it.
    fn floor(self, time_us: i64) -> Option<i64> {
        let civil = || Civil::from_us(time_us);
        match self {
            Self::Fixed(unit_us) => time_us.checked_sub(time_us.rem_euclid(unit_us)),
            Self::Week => {
                let days = time_us.div_euclid(US_PER_DAY);
                // 1970 began on a Thursday; weeks begin on Monday.
                (days - (days + 3).rem_euclid(7)).checked_mul(US_PER_DAY)
            }
            Self::Month => midnight_us(civil().year, civil().month, 1),
            Self::Quarter => midnight_us(civil().year, (civil().month - 1) / 3 * 3 + 1, 1),
            Self::Year => midnight_us(civil().year, 1, 1),
        }
    }
}
