//! Calendar fields of an instant, in the proleptic Gregorian calendar and UTC, for every instant that an i64 of
//! microseconds can name: chrono stops at the year 262,000, Arrow's timestamps do not.
//!
//! It is also faster where something is computed per record, in ns of CPU (release, the least of 15 repetitions in one
//! run, both cores busy): all fields 43, chrono's 62; the text of a ride's timestamp 102, with chrono's date 114. To
//! read a date from text, chrono takes 19 and our former code took 21, so that is chrono's
//! (`runtime/decode/src/json/date.rs`).

pub const US_PER_SECOND: i64 = 1_000_000;
pub(crate) const US_PER_DAY: i64 = 86_400 * US_PER_SECOND;
/// The days of the years 1 to 9999, which dates and times may have, counted from 1970-01-01.
pub(crate) const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// An instant as calendar fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    /// The astronomical year: 0 is 1 BC.
    pub year: i64,
    /// From 1 to 12.
    pub month: u32,
    /// From 1 to 31.
    pub day: u32,
    /// From 1 to 366.
    pub day_of_year: u32,
    /// From 0, which is Monday, to 6.
    pub weekday: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub microsecond: u32,
}

/// A day, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The astronomical year: 0 is 1 BC.
    pub year: i64,
    /// From 1 to 12.
    pub month: u32,
    /// From 1 to 31.
    pub day: u32,
    /// From 1 to 366.
    pub day_of_year: u32,
}

impl Date {
    /// Of a number of days since 1970-01-01. Howard Hinnant's `civil_from_days`
    /// (<https://howardhinnant.github.io/date_algorithms.html>).
    #[inline]
    #[must_use]
    pub fn of_day(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        // The day is counted from 1 March, so that the leap day comes last.
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day_of_year =
            if month > 2 { day_of_march_year + 60 + i64::from(is_leap(year)) } else { day_of_march_year - 305 };
        Self { year, month: small(month), day: small(day), day_of_year: small(day_of_year) }
    }
}

impl Civil {
    #[must_use]
    pub(crate) fn from_us(time_us: i64) -> Self {
        let days = time_us.div_euclid(US_PER_DAY);
        let of_day_us = time_us.rem_euclid(US_PER_DAY);
        let seconds = of_day_us / US_PER_SECOND;
        let Date { year, month, day, day_of_year } = Date::of_day(days);
        Self {
            year,
            month,
            day,
            day_of_year,
            weekday: small((days + 3).rem_euclid(7)),
            hour: small(seconds / 3600),
            minute: small(seconds / 60 % 60),
            second: small(seconds % 60),
            microsecond: small(of_day_us % US_PER_SECOND),
        }
    }
}

/// Midnight at the start of a day, in µs since 1970-01-01T00:00:00Z. A `day` beyond the end of its month counts on into
/// the next month. `None` if i64 can't hold the result. Computed by Howard Hinnant's `days_from_civil`.
#[must_use]
pub(crate) fn midnight_us(year: i64, month: u32, day: u32) -> Option<i64> {
    let march_year = if month > 2 { year } else { year - 1 };
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let march_month = i64::from((month + 9) % 12);
    let day_of_march_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_march_year;
    (era * 146_097 + day_of_era - 719_468).checked_mul(US_PER_DAY)
}

#[must_use]
pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Converts a field. Every field except the year is below a million, so this never fails.
fn small(field: i64) -> u32 {
    u32::try_from(field).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike, Timelike};

    use super::*;

    #[test]
    fn every_field_is_chronos() {
        // Steps of about 31 hours, a prime number of microseconds, over five centuries around 1970.
        for i in -70_000_i64..70_000 {
            let time_us = i * 111_111_111_149;
            let expected = DateTime::from_timestamp_micros(time_us).map(|t| Civil {
                year: i64::from(t.year()),
                month: t.month(),
                day: t.day(),
                day_of_year: t.ordinal(),
                weekday: t.weekday().num_days_from_monday(),
                hour: t.hour(),
                minute: t.minute(),
                second: t.second(),
                microsecond: t.timestamp_subsec_micros(),
            });
            assert_eq!(Some(Civil::from_us(time_us)), expected, "{time_us}");
            let civil = Civil::from_us(time_us);
            let midnight_us = time_us.div_euclid(US_PER_DAY) * US_PER_DAY;
            assert_eq!(
                midnight_us,
                super::midnight_us(civil.year, civil.month, civil.day).unwrap_or_default(),
                "{time_us}"
            );
        }
    }

    #[test]
    fn the_ends_of_time_have_a_date() {
        assert_eq!(Civil::from_us(i64::MAX).year, 294_247);
        assert_eq!(Civil::from_us(i64::MIN).year, -290_308);
    }
}
