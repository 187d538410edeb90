//! `date_part(field, time)` with Spark's fields and types, and the functions that are named as a field: `year(time)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::date_trunc::{in_us, rows_of};
use super::simple::Takes::Time;
use super::simple::{Computes, Gives, of, simple};
use crate::calendar::Civil;

const NAME: &str = "date_part";

const INT: Gives = |_| Ok(DataType::Int32);

/// The type of seconds with their fraction.
const SECONDS: DataType = DataType::Decimal128(8, 6);

pub(super) fn all() -> Vec<ScalarUDF> {
    let by_name: [(&'static str, &[&str], Computes); 11] = [
        ("year", &[], |args| parts(args, Part::Year)),
        ("quarter", &[], |args| parts(args, Part::Quarter)),
        ("month", &[], |args| parts(args, Part::Month)),
        ("day", &["dayofmonth"], |args| parts(args, Part::Day)),
        ("dayofweek", &[], |args| parts(args, Part::DayOfWeek)),
        ("weekday", &[], |args| parts(args, Part::Weekday)),
        ("dayofyear", &[], |args| parts(args, Part::DayOfYear)),
        ("weekofyear", &[], |args| parts(args, Part::Week)),
        ("hour", &[], |args| parts(args, Part::Hour)),
        ("minute", &[], |args| parts(args, Part::Minute)),
        ("second", &[], |args| parts(args, Part::Second)),
    ];
    let mut all = vec![ScalarUDF::from(DatePart::new())];
    all.extend(by_name.into_iter().map(|(name, aliases, computes)| {
        let function = simple(name, &[&[Time]], INT, computes);
        aliases.iter().fold(function, |function, alias| function.also(alias)).into()
    }));
    let text: Gives = |_| Ok(DataType::Utf8);
    all.push(simple("dayname", &[&[Time]], text, |args| names(args, |at| DAYS[at.weekday as usize])).into());
    all.push(simple("monthname", &[&[Time]], text, |args| names(args, |at| MONTHS[at.month as usize - 1])).into());
    all
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn names(args: &[ArrayRef], name: fn(Civil) -> &'static str) -> Result<ArrayRef> {
    let times = of::<TimestampMicrosecondType>(args, 0)?;
    Ok(Arc::new(times.iter().map(|time| Some(name(Civil::from_us(time?)))).collect::<StringArray>()))
}

fn parts(args: &[ArrayRef], part: Part) -> Result<ArrayRef> {
    let times = of::<TimestampMicrosecondType>(args, 0)?;
    Ok(Arc::new(times.iter().map(|time| Some(part.of(Civil::from_us(time?)))).collect::<Int32Array>()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    YearOfWeek,
    Quarter,
    Month,
    Week,
    Day,
    /// From 1, which is Sunday.
    DayOfWeek,
    /// From 1, which is Monday.
    IsoDayOfWeek,
    /// From 0, which is Monday.
    Weekday,
    DayOfYear,
    Hour,
    Minute,
    Second,
    SecondWithFraction,
}

impl Part {
    /// The part by Spark's name of the field.
    fn named(name: &str) -> Result<Self, String> {
        Ok(match name.to_lowercase().as_str() {
            "year" | "y" | "years" | "yr" | "yrs" => Self::Year,
            "yearofweek" => Self::YearOfWeek,
            "quarter" | "qtr" => Self::Quarter,
            "month" | "mon" | "mons" | "months" => Self::Month,
            "week" | "w" | "weeks" => Self::Week,
            "day" | "d" | "days" => Self::Day,
            "dayofweek" | "dow" => Self::DayOfWeek,
            "dayofweek_iso" | "dow_iso" => Self::IsoDayOfWeek,
            "doy" => Self::DayOfYear,
            "hour" | "h" | "hours" | "hr" | "hrs" => Self::Hour,
            "minute" | "m" | "min" | "mins" | "minutes" => Self::Minute,
            "second" | "s" | "sec" | "seconds" | "secs" => Self::SecondWithFraction,
            _ => return Err(Self::unknown(name)),
        })
    }

    /// Why there is no part of this name.
    fn unknown(name: &str) -> String {
        let instead = match name.to_lowercase().as_str() {
            "epoch" => "write `to_unixtime(…)`",
            "isodow" => "write `dayofweek_iso`",
            "isoyear" => "write `yearofweek`",
            "millisecond" | "milliseconds" | "microsecond" | "microseconds" | "nanosecond" | "nanoseconds" => {
                "write `second`, which has the fraction"
            }
            _ => {
                "write year, yearofweek, quarter, month, week, day, dayofweek, dayofweek_iso, doy, hour, minute or \
                 second"
            }
        };
        format!("a time has no part {}: {instead}", crate::quote::quoted(name))
    }

    fn of(self, at: Civil) -> i32 {
        let small = |n: u32| n.cast_signed();
        let year = |n: i64| i32::try_from(n).unwrap_or_default();
        match self {
            Self::Year => year(at.year),
            Self::YearOfWeek => year(iso_week(at).0),
            Self::Quarter => small((at.month - 1) / 3 + 1),
            Self::Month => small(at.month),
            Self::Week => iso_week(at).1,
            Self::Day => small(at.day),
            Self::DayOfWeek => small((at.weekday + 1) % 7 + 1),
            Self::IsoDayOfWeek => small(at.weekday + 1),
            Self::Weekday => small(at.weekday),
            Self::DayOfYear => small(at.day_of_year),
            Self::Hour => small(at.hour),
            Self::Minute => small(at.minute),
            Self::Second | Self::SecondWithFraction => small(at.second),
        }
    }
}

/// The year and the number of the week that a day is in, by ISO 8601: the first week has the year's first Thursday.
fn iso_week(at: Civil) -> (i64, i32) {
    let days_of = |year: i64| 337 + crate::calendar::days_in_month(year, 2).cast_signed();
    // The day of the year of this week's Thursday.
    let thursday = at.day_of_year.cast_signed() - at.weekday.cast_signed() + 3;
    let (year, thursday) = match thursday {
        ..=0 => (at.year - 1, thursday + days_of(at.year - 1)),
        day if day > days_of(at.year) => (at.year + 1, day - days_of(at.year)),
        day => (at.year, day),
    };
    (year, (thursday - 1) / 7 + 1)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    signature: Signature,
    aliases: Vec<String>,
}

impl DatePart {
    fn new() -> Self {
        let signature = datafusion_expr::Signature::coercible(
            vec![
                datafusion_expr::Coercion::new_exact(datafusion_expr::TypeSignatureClass::Native(
                    datafusion_common::types::logical_string(),
                )),
                super::date_trunc::a_time(),
            ],
            Volatility::Immutable,
        );
        Self { signature, aliases: vec!["datepart".to_owned()] }
    }
}

/// Why a time has no part of this name; `None` if it has one.
pub(crate) fn unknown_part(name: &str) -> Option<String> {
    Part::named(name).err()
}

/// The field that a call names.
fn part(name: Option<&ScalarValue>) -> Result<Part> {
    match name.and_then(|name| name.try_as_str().flatten()) {
        Some(name) => Part::named(name).or_else(|why| plan_err!("{why}")),
        None => plan_err!("{NAME} takes a part that is written out, as in date_part('hour', ts)"),
    }
}

impl ScalarUDFImpl for DatePart {
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
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let part = part(args.scalar_arguments.first().copied().flatten())?;
        let of = if part == Part::SecondWithFraction { SECONDS } else { DataType::Int32 };
        Ok(Arc::new(Field::new(NAME, of, args.arg_fields.iter().any(|field| field.is_nullable()))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [name, time] = &args.args[..] else { return plan_err!("{NAME} takes a part and a time") };
        let part = match name {
            ColumnarValue::Scalar(name) => part(Some(name))?,
            ColumnarValue::Array(_) => part(None)?,
        };
        let times = in_us(time, rows_of(time, args.number_rows))?;
        let values: ArrayRef = if part == Part::SecondWithFraction {
            let seconds = |at: Civil| i128::from(at.second) * 1_000_000 + i128::from(at.microsecond);
            let seconds: Decimal128Array = times.iter().map(|time| Some(seconds(Civil::from_us(time?)))).collect();
            Arc::new(seconds.with_precision_and_scale(8, 6)?)
        } else {
            Arc::new(times.iter().map(|time| Some(part.of(Civil::from_us(time?)))).collect::<Int32Array>())
        };
        Ok(match time {
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?),
            ColumnarValue::Array(_) => ColumnarValue::Array(values),
        })
    }
}
