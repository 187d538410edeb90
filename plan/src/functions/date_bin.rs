//! `date_bin(interval, timestamp | date[, origin])`, in microseconds and UTC. DataFusion's function of this name
//! computes in nanoseconds, which end in 2262, and gives null beyond.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNanoType, IntervalUnit, TimestampMicrosecondType};
use datafusion_common::{Result, exec_datafusion_err, exec_err};
use datafusion_expr::{
    Coercion, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature,
    TypeSignatureClass, Volatility,
};

use super::date_trunc::{a_time, in_us, like, rows_of};
use crate::calendar::{Civil, US_PER_DAY, days_in_month, midnight_us};
use crate::types::timestamp_type;

const NAME: &str = "date_bin";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateBin {
    signature: Signature,
}

impl DateBin {
    pub fn new() -> Self {
        let interval = || Coercion::new_exact(TypeSignatureClass::Interval);
        let forms = vec![
            TypeSignature::Coercible(vec![interval(), a_time()]),
            TypeSignature::Coercible(vec![interval(), a_time(), a_time()]),
        ];
        Self { signature: Signature::one_of(forms, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DateBin {
    fn name(&self) -> &str {
        NAME
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
        let (width, time, origin) = match &args.args[..] {
            [width, time] => (width, time, None),
            [width, time, origin] => (width, time, Some(origin)),
            other => return exec_err!("{NAME} takes an interval, a time and an origin, not {} arguments", other.len()),
        };
        let width = Width::of(width)?;
        let origin_us = match origin {
            None => 0,
            Some(ColumnarValue::Array(_)) => return exec_err!("{NAME} takes an origin that is written out"),
            Some(origin) => {
                let origin = in_us(origin, 1)?;
                if origin.is_null(0) {
                    return exec_err!("{NAME} takes an origin that is not null");
                }
                origin.value(0)
            }
        };
        let times = in_us(time, rows_of(time, args.number_rows))?;
        let binned = times.try_unary::<_, TimestampMicrosecondType, _>(|time_us| {
            width.floor(time_us, origin_us).ok_or_else(|| {
                exec_datafusion_err!(
                    "{NAME}: the interval that the time is in begins before the first timestamp that there is"
                )
            })
        })?;
        like(time, binned)
    }
}

#[derive(Debug, Clone, Copy)]
enum Width {
    Us(i64),
    Months(i64),
}

impl Width {
    fn of(interval: &ColumnarValue) -> Result<Self> {
        let ColumnarValue::Scalar(scalar) = interval else {
            return exec_err!("{NAME} takes an interval that is written out");
        };
        let interval = arrow::compute::cast(&scalar.to_array()?, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let interval = interval.as_primitive::<IntervalMonthDayNanoType>();
        if interval.is_null(0) {
            return exec_err!("{NAME} takes an interval that is not null");
        }
        let (months, days, ns) = IntervalMonthDayNanoType::to_parts(interval.value(0));
        let width = if months == 0 {
            let us = i64::from(days).checked_mul(US_PER_DAY).and_then(|us| us.checked_add(ns / 1_000));
            us.filter(|us| *us > 0 && ns % 1_000 == 0).map(Self::Us)
        } else {
            Some(Self::Months(i64::from(months))).filter(|_| months > 0 && days == 0 && ns == 0)
        };
        match width {
            Some(width) => Ok(width),
            None => {
                exec_err!("{NAME} takes an interval of whole microseconds, or one of months, that is greater than 0")
            }
        }
    }

    /// The last bound at or before the time, in µs; `None` if i64 can't hold it.
    fn floor(self, time_us: i64, origin_us: i64) -> Option<i64> {
        match self {
            Self::Us(width_us) => {
                let since = i128::from(time_us) - i128::from(origin_us);
                i64::try_from(i128::from(time_us) - since.rem_euclid(i128::from(width_us))).ok()
            }
            Self::Months(width) => {
                let (time, origin) = (Civil::from_us(time_us), Civil::from_us(origin_us));
                let months = (time.year - origin.year) * 12 + i64::from(time.month) - i64::from(origin.month);
                let bin = months - months.rem_euclid(width);
                let bound_us = later_by(origin_us, bin)?;
                if bound_us > time_us { later_by(origin_us, bin - width) } else { Some(bound_us) }
            }
        }
    }
}

/// The time `months` later, on the same day of the month or, if there is none, on the month's last day.
fn later_by(origin_us: i64, months: i64) -> Option<i64> {
    let origin = Civil::from_us(origin_us);
    let months = origin.year * 12 + i64::from(origin.month) - 1 + months;
    let (year, month) = (months.div_euclid(12), u32::try_from(months.rem_euclid(12)).ok()? + 1);
    midnight_us(year, month, origin.day.min(days_in_month(year, month)))?.checked_add(origin_us.rem_euclid(US_PER_DAY))
}
