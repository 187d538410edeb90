//! Sums and differences of days and times, as Spark has them. What lies beyond the years 1 to 9999 fails where
//! expressions are checked.

use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{Array, ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;

use super::simple::Takes::{Bigint, Date, Int, Number, Text, Time};
use super::simple::{Gives, of, simple, texts};
use crate::calendar::{Civil, US_PER_DAY, US_PER_SECOND, days_in_month, midnight_us};
use crate::types::timestamp_type;

const DATE: Gives = |_| Ok(DataType::Date32);
const TIME: Gives = |_| Ok(timestamp_type());
const INT: Gives = |_| Ok(DataType::Int32);
const BIGINT: Gives = |_| Ok(DataType::Int64);
const DOUBLE: Gives = |_| Ok(DataType::Float64);

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple("date_add", &[&[Date, Int]], DATE, |args| days_of(args, |day, n| Some(i64::from(day) + i64::from(n)))),
        simple("date_sub", &[&[Date, Int]], DATE, |args| days_of(args, |day, n| Some(i64::from(day) - i64::from(n)))),
        simple("add_months", &[&[Date, Int]], DATE, |args| days_of(args, months_later)),
        simple("datediff", &[&[Date, Date]], INT, |args| {
            let pairs = of::<Date32Type>(args, 0)?.iter().zip(of::<Date32Type>(args, 1)?);
            Ok(Arc::new(pairs.map(|(end, start)| Some(end? - start?)).collect::<Int32Array>()))
        })
        .also("date_diff"),
        simple("last_day", &[&[Date]], DATE, |args| {
            let last = |day: i32| {
                let at = civil(day);
                i64::from(day) + i64::from(days_in_month(at.year, at.month) - at.day)
            };
            dates(of::<Date32Type>(args, 0)?.iter().map(|day| day.map(last)))
        }),
        simple("next_day", &[&[Date, Text]], DATE, next_day),
        simple("months_between", &[&[Time, Time]], DOUBLE, months_between),
        simple("unix_date", &[&[Date]], INT, |args| {
            Ok(Arc::new(of::<Date32Type>(args, 0)?.iter().collect::<Int32Array>()))
        }),
        simple("date_from_unix_date", &[&[Int]], DATE, |args| {
            dates(of::<Int32Type>(args, 0)?.iter().map(|day| day.map(i64::from)))
        }),
        simple("unix_seconds", &[&[Time]], BIGINT, |args| units(args, US_PER_SECOND)),
        simple("unix_millis", &[&[Time]], BIGINT, |args| units(args, 1000)),
        simple("unix_micros", &[&[Time]], BIGINT, |args| units(args, 1)),
        simple("timestamp_seconds", &[&[Bigint], &[Number]], TIME, timestamp_seconds),
        simple("timestamp_millis", &[&[Bigint]], TIME, |args| times(args, 1000)),
        simple("timestamp_micros", &[&[Bigint]], TIME, |args| times(args, 1)),
        simple("make_date", &[&[Int, Int, Int]], DATE, make_date),
        simple("make_timestamp", &[&[Int, Int, Int, Int, Int, Number]], TIME, |args| make_timestamp(args, true)),
        simple("try_make_timestamp", &[&[Int, Int, Int, Int, Int, Number]], TIME, |args| make_timestamp(args, false)),
        simple("timestampadd", &[&[Text, Bigint, Time]], TIME, timestampadd),
        simple("timestampdiff", &[&[Text, Time, Time]], BIGINT, timestampdiff),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

fn civil(day: i32) -> Civil {
    Civil::from_us(i64::from(day) * US_PER_DAY)
}

fn day_of(year: i64, month: u32, day: u32) -> Option<i64> {
    Some(midnight_us(year, month, day)?.div_euclid(US_PER_DAY))
}

fn beyond<T>(what: &str) -> Result<T> {
    exec_err!("{what} lies beyond the years 1 to 9999")
}

fn dates(days: impl Iterator<Item = Option<i64>>) -> Result<ArrayRef> {
    let dates = days.map(|day| match day.map(i32::try_from) {
        Some(Ok(day)) => Ok(Some(day)),
        Some(Err(_)) => beyond("the date"),
        None => Ok(None),
    });
    Ok(Arc::new(dates.collect::<Result<Date32Array>>()?))
}

fn days_of(args: &[ArrayRef], sum: fn(i32, i32) -> Option<i64>) -> Result<ArrayRef> {
    let pairs = of::<Date32Type>(args, 0)?.iter().zip(of::<Int32Type>(args, 1)?);
    let sums = pairs.map(|(day, n)| match day.zip(n) {
        Some((day, n)) => sum(day, n).map_or_else(|| beyond("the date"), |day| Ok(Some(day))),
        None => Ok(None),
    });
    dates(sums.collect::<Result<Vec<_>>>()?.into_iter())
}

/// The same day that many months later, or the last day of a shorter month.
fn months_later(day: i32, months: i32) -> Option<i64> {
    let at = civil(day);
    let month = at.year * 12 + i64::from(at.month) - 1 + i64::from(months);
    let (year, month) = (month.div_euclid(12), u32::try_from(month.rem_euclid(12)).ok()? + 1);
    day_of(year, month, at.day.min(days_in_month(year, month)))
}

/// Days of the week, from Monday on, by the two letters that their names begin with.
const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];

fn next_day(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (days, names) = (of::<Date32Type>(args, 0)?, texts(args, 1)?);
    let next = days.iter().zip(&names).map(|(day, name)| {
        let Some((day, name)) = day.zip(name) else { return Ok(None) };
        let lower = name.to_lowercase();
        let full = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let is_day = |(short, full): (&&str, &&str)| lower == **short || lower == full[..3] || lower == **full;
        match DAYS.iter().zip(&full).position(is_day) {
            Some(wanted) => {
                let days = (i64::try_from(wanted).unwrap_or(0) - i64::from(civil(day).weekday) - 1).rem_euclid(7);
                Ok(Some(i64::from(day) + days + 1))
            }
            None => exec_err!("{} is no day of the week: write its name, as in 'Monday'", crate::quote::quoted(name)),
        }
    });
    dates(next.collect::<Result<Vec<_>>>()?.into_iter())
}

/// Months between two times. Parts of a month are of 31 days; they are whole ones if both times are on the same day of
/// their month, or on the last.
fn months_between(args: &[ArrayRef]) -> Result<ArrayRef> {
    let pairs = of::<TimestampMicrosecondType>(args, 0)?.iter().zip(of::<TimestampMicrosecondType>(args, 1)?);
    let between = |end: i64, start: i64| {
        let (end, start) = (Civil::from_us(end), Civil::from_us(start));
        let months = |at: Civil| at.year * 12 + i64::from(at.month);
        let whole = (months(end) - months(start)) as f64;
        let is_last = |at: Civil| at.day == days_in_month(at.year, at.month);
        if end.day == start.day || is_last(end) && is_last(start) {
            return whole;
        }
        let of_day = |at: Civil| i64::from((at.hour * 60 + at.minute) * 60 + at.second);
        let days = i64::from(end.day) - i64::from(start.day);
        let seconds = (days * 86_400 + of_day(end) - of_day(start)) as f64;
        super::decimals::rounded(whole + seconds / (31.0 * 86_400.0), 8, false)
    };
    Ok(Arc::new(pairs.map(|(end, start)| Some(between(end?, start?))).collect::<Float64Array>()))
}

fn units(args: &[ArrayRef], unit_us: i64) -> Result<ArrayRef> {
    let times = of::<TimestampMicrosecondType>(args, 0)?;
    Ok(Arc::new(times.unary::<_, Int64Type>(|time| time.div_euclid(unit_us))))
}

fn in_utc(times: impl Iterator<Item = Result<Option<i64>>>) -> Result<ArrayRef> {
    let times = times.collect::<Result<TimestampMicrosecondArray>>()?;
    Ok(Arc::new(times.with_data_type(timestamp_type())))
}

fn times(args: &[ArrayRef], unit_us: i64) -> Result<ArrayRef> {
    in_utc(of::<Int64Type>(args, 0)?.iter().map(|n| match n.map(|n| n.checked_mul(unit_us)) {
        Some(None) => beyond("the time"),
        time => Ok(time.flatten()),
    }))
}

fn timestamp_seconds(args: &[ArrayRef]) -> Result<ArrayRef> {
    match args[0].data_type() {
        DataType::Decimal128(..) => {
            let micros = arrow::compute::cast(&args[0], &DataType::Decimal128(38, 6))?;
            in_utc(of::<Decimal128Type>(&[micros], 0)?.iter().map(|n| match n.map(i64::try_from) {
                Some(Ok(time)) => Ok(Some(time)),
                Some(Err(_)) => beyond("the time"),
                None => Ok(None),
            }))
        }
        DataType::Float32 | DataType::Float64 => {
            let seconds = arrow::compute::cast(&args[0], &DataType::Float64)?;
            in_utc(of::<Float64Type>(&[seconds], 0)?.iter().map(|n| match n.filter(|n| n.is_finite()) {
                Some(n) if n.abs() > 1e12 => beyond("the time"),
                #[allow(clippy::cast_possible_truncation)] // It lies within the bounds.
                Some(n) => Ok(Some((n * 1e6) as i64)),
                None => Ok(None),
            }))
        }
        _ => times(&[arrow::compute::cast(&args[0], &DataType::Int64)?], US_PER_SECOND),
    }
}

/// Midnight of a day that there is.
fn midnight(year: i32, month: i32, day: i32) -> Result<i64> {
    let of_month = || u32::try_from(month).ok().filter(|month| (1..=12).contains(month));
    let valid = || {
        let month = of_month()?;
        let day = u32::try_from(day).ok().filter(|day| (1..=days_in_month(year.into(), month)).contains(day))?;
        midnight_us(year.into(), month, day)
    };
    match valid() {
        Some(_) if !(1..=9999).contains(&year) => beyond(&format!("the year {year}")),
        Some(midnight_us) => Ok(midnight_us),
        None => exec_err!("there is no day {day} of the month {month} in the year {year}"),
    }
}

fn make_date(args: &[ArrayRef]) -> Result<ArrayRef> {
    let [years, months, days] = [0, 1, 2].map(|at| of::<Int32Type>(args, at));
    let (years, months, days) = (years?, months?, days?);
    let made = years.iter().zip(months).zip(days).map(|((year, month), day)| {
        let (Some(year), Some(month), Some(day)) = (year, month, day) else { return Ok(None) };
        Ok(Some(midnight(year, month, day)?.div_euclid(US_PER_DAY)))
    });
    dates(made.collect::<Result<Vec<_>>>()?.into_iter())
}

fn make_timestamp(args: &[ArrayRef], fails: bool) -> Result<ArrayRef> {
    let ints = (0..5).map(|at| of::<Int32Type>(args, at)).collect::<Result<Vec<_>>>()?;
    let seconds = arrow::compute::cast(&args[5], &DataType::Decimal128(16, 6))?;
    let seconds = [seconds];
    let seconds = of::<Decimal128Type>(&seconds, 0)?;
    let of_row = |row: usize| -> Result<Option<i64>> {
        if ints.iter().any(|values| values.is_null(row)) || seconds.is_null(row) {
            return Ok(None);
        }
        let [year, month, day, hour, minute] = [0, 1, 2, 3, 4].map(|at: usize| ints[at].value(row));
        let second_us = i64::try_from(seconds.value(row)).unwrap_or(i64::MAX);
        let is_minute = (0..24).contains(&hour) && (0..60).contains(&minute);
        // As in Spark, the second 60 is the next minute, and has no fraction.
        if !is_minute || !(0..=60 * US_PER_SECOND).contains(&second_us) {
            let second = second_us as f64 / 1e6;
            return exec_err!("there is no time {hour}:{minute}:{second}: a day has 24 hours, 60 minutes, 60 seconds");
        }
        let of_day = i64::from(hour * 60 + minute) * 60 * US_PER_SECOND + second_us;
        Ok(Some(midnight(year, month, day)? + of_day))
    };
    in_utc((0..seconds.len()).map(|row| if fails { of_row(row) } else { Ok(of_row(row).unwrap_or_default()) }))
}

/// A unit of time: of one length, or of months.
enum Unit {
    Us(i64),
    Months(i64),
}

/// Whether a unit of time has this name.
pub(crate) fn is_unit(name: &str) -> bool {
    unit(name).is_ok()
}

fn unit(name: &str) -> Result<Unit> {
    Ok(match name.to_lowercase().as_str() {
        "microsecond" => Unit::Us(1),
        "millisecond" => Unit::Us(1000),
        "second" => Unit::Us(US_PER_SECOND),
        "minute" => Unit::Us(60 * US_PER_SECOND),
        "hour" => Unit::Us(3600 * US_PER_SECOND),
        "day" | "dayofyear" => Unit::Us(US_PER_DAY),
        "week" => Unit::Us(7 * US_PER_DAY),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => {
            return exec_err!(
                "{} is no unit: write microsecond, millisecond, second, minute, hour, day, week, month, quarter or year",
                crate::quote::quoted(name)
            );
        }
    })
}

fn timestampadd(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (units, counts, times) = (texts(args, 0)?, of::<Int64Type>(args, 1)?, of::<TimestampMicrosecondType>(args, 2)?);
    in_utc(units.iter().zip(counts).zip(times).map(|((name, count), time)| {
        let (Some(name), Some(count), Some(time)) = (name, count, time) else { return Ok(None) };
        let later = match unit(name)? {
            Unit::Us(unit_us) => count.checked_mul(unit_us).and_then(|us| time.checked_add(us)),
            Unit::Months(unit) => {
                count.checked_mul(unit).and_then(|months| i32::try_from(months).ok()).and_then(|months| {
                    let day = i32::try_from(time.div_euclid(US_PER_DAY)).ok()?;
                    months_later(day, months)?.checked_mul(US_PER_DAY)?.checked_add(time.rem_euclid(US_PER_DAY))
                })
            }
        };
        later.map_or_else(|| beyond("the time"), |time| Ok(Some(time)))
    }))
}

fn timestampdiff(args: &[ArrayRef]) -> Result<ArrayRef> {
    let units = texts(args, 0)?;
    let (starts, ends) = (of::<TimestampMicrosecondType>(args, 1)?, of::<TimestampMicrosecondType>(args, 2)?);
    let values = units.iter().zip(starts).zip(ends).map(|((name, start), end)| {
        let (Some(name), Some(start), Some(end)) = (name, start, end) else { return Ok(None) };
        Ok(Some(match unit(name)? {
            Unit::Us(unit_us) => (end - start) / unit_us,
            Unit::Months(unit) => whole_months(start, end) / unit,
        }))
    });
    Ok(Arc::new(values.collect::<Result<Int64Array>>()?))
}

/// The whole months from one time to another.
fn whole_months(start: i64, end: i64) -> i64 {
    let (from, to) = (Civil::from_us(start), Civil::from_us(end));
    let months = (to.year - from.year) * 12 + i64::from(to.month) - i64::from(from.month);
    let within = |at: Civil, time: i64| (at.day, time.rem_euclid(US_PER_DAY));
    match within(to, end).cmp(&within(from, start)) {
        std::cmp::Ordering::Less if months > 0 => months - 1,
        std::cmp::Ordering::Greater if months < 0 => months + 1,
        _ => months,
    }
}
