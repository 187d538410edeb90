//! The fields of a time that is being read, and the digits of their numbers.

use std::fmt;

use crate::calendar::{US_PER_SECOND, days_in_month, midnight_us};

/// The years that times may have, 1 to 9999, as everywhere in Weir.
const YEARS: std::ops::RangeInclusive<i64> = 1..=9999;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    /// 0 is BC, 1 is AD.
    Era,
    Month,
    Day,
    DayOfYear,
    /// From 0 to 23.
    Hour,
    /// From 1 to 24.
    ClockHour,
    /// From 0 to 11.
    HalfDayHour,
    /// From 1 to 12.
    HalfDayClockHour,
    /// 0 is AM, 1 is PM.
    HalfDay,
    Minute,
    Second,
    Nanosecond,
    OffsetSeconds,
}

/// The number of variants of [`Field`].
const FIELDS: usize = Field::OffsetSeconds as usize + 1;

impl Field {
    /// Whether both fields say the same thing. All letters for hours do, wherever they count from.
    pub fn is_the_same_as(self, other: Self) -> bool {
        let is_hour = |f| matches!(f, Self::Hour | Self::ClockHour | Self::HalfDayHour | Self::HalfDayClockHour);
        self == other || is_hour(self) && is_hour(other)
    }
}

#[derive(Debug, Default)]
pub(super) struct Fields([Option<i64>; FIELDS]);

impl Fields {
    pub fn set(&mut self, field: Field, value: i64) {
        self.0[field as usize] = Some(value);
    }

    /// The field's value, or `or` if the text lacks it. An error if the value is out of its range.
    fn get(&self, field: Field, name: &str, range: std::ops::RangeInclusive<i64>, or: i64) -> Result<i64, String> {
        match self.0[field as usize] {
            Some(value) if !range.contains(&value) => {
                Err(format!("the {name} is {value}, and it goes from {} to {}", range.start(), range.end()))
            }
            value => Ok(value.unwrap_or(or)),
        }
    }

    fn has(&self, field: Field) -> bool {
        self.0[field as usize].is_some()
    }

    pub fn time_us(&self) -> Result<i64, String> {
        if self.0[Field::Era as usize] == Some(0) {
            return Err("there are no times before the year 1".to_owned());
        }
        let year = self.get(Field::Year, "year", YEARS, 1970)?;
        let month = self.get(Field::Month, "month", 1..=12, 1)?;
        let months_days = i64::from(days_in_month(year, u32::try_from(month).unwrap_or(1)));
        let (month, day) = if self.has(Field::DayOfYear) {
            let years_days = 337 + i64::from(days_in_month(year, 2));
            // The day of the year counts on from January; `midnight_us` accepts days beyond the month's end.
            (1, self.get(Field::DayOfYear, "day of the year", 1..=years_days, 1)?)
        } else {
            (month, self.get(Field::Day, "day", 1..=months_days, 1)?)
        };
        let hour = self.hour()?;
        let minute = self.get(Field::Minute, "minute", 0..=59, 0)?;
        let second = self.get(Field::Second, "second", 0..=59, 0)?;
        let microsecond = self.0[Field::Nanosecond as usize].unwrap_or(0) / 1_000;
        let offset = self.0[Field::OffsetSeconds as usize].unwrap_or(0);
        let of_day = (hour * 60 + minute) * 60 + second - offset;
        let small = |field: i64| u32::try_from(field).unwrap_or(0);
        let begin = |year| midnight_us(year, 1, 1).unwrap_or(0);
        let time_us = midnight_us(year, small(month), small(day))
            .and_then(|midnight_us| midnight_us.checked_add(of_day * US_PER_SECOND + microsecond));
        let in_range = begin(*YEARS.start())..begin(*YEARS.end() + 1);
        time_us
            .filter(|time_us| in_range.contains(time_us))
            .ok_or_else(|| "in UTC, its year is not from 1 to 9999".to_owned())
    }

    /// The hour of the day, from 0 to 23.
    fn hour(&self) -> Result<i64, String> {
        let is_pm = self.0[Field::HalfDay as usize].map(|half| half == 1);
        let of_half = if self.has(Field::HalfDayHour) {
            self.get(Field::HalfDayHour, "hour", 0..=11, 0)?
        } else if self.has(Field::HalfDayClockHour) {
            self.get(Field::HalfDayClockHour, "hour", 1..=12, 0)? % 12
        } else if self.has(Field::Hour) || self.has(Field::ClockHour) {
            let clock = self.get(Field::ClockHour, "hour", 1..=24, 0)? % 24;
            let hour = self.get(Field::Hour, "hour", 0..=23, clock)?;
            return match is_pm {
                Some(is_pm) if is_pm != (hour >= 12) => {
                    Err(format!("the hour is {hour}, which is not {}", if is_pm { "PM" } else { "AM" }))
                }
                _ => Ok(hour),
            };
        } else {
            0
        };
        Ok(of_half + if is_pm == Some(true) { 12 } else { 0 })
    }
}

/// How many digits a number may have, and its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    pub min: usize,
    pub max: usize,
    pub sign: Sign,
    /// How many digits the numbers directly behind this one need. They get theirs first.
    pub following: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    None,
    /// A minus for negative numbers.
    Minus,
    /// A minus, or a plus; the plus is required if there are more digits than `min`, and only then allowed.
    BeyondMin,
}

impl Digits {
    pub fn of(width: usize) -> Self {
        Self { min: width, max: width, sign: Sign::None, following: 0 }
    }

    pub fn any() -> Self {
        Self { min: 1, max: 19, sign: Sign::Minus, following: 0 }
    }

    pub fn width(&self) -> Option<usize> {
        (self.min == self.max).then_some(self.min)
    }

    /// Whether the number takes all digits there are, except those that the following numbers need.
    pub fn is_any_number(&self) -> bool {
        self.max == Self::any().max
    }

    /// The number, and the text behind it.
    pub fn read<'a>(&self, text: &'a str) -> Option<(i64, &'a str)> {
        let (sign, digits) = match (text.as_bytes().first()?, self.sign) {
            (b'-', Sign::Minus | Sign::BeyondMin) => (Some('-'), &text[1..]),
            (b'+', Sign::BeyondMin) => (Some('+'), &text[1..]),
            _ => (None, text),
        };
        let found = digits.bytes().take(self.max + self.following).take_while(u8::is_ascii_digit).count();
        if found < self.min {
            return None;
        }
        let count = if self.following > 0 { self.min.max(found.saturating_sub(self.following)) } else { found };
        let value: i64 = digits.get(..count)?.parse().ok()?;
        let fits = match sign {
            Some('-') => value != 0,
            Some(_) => count > self.min,
            None => self.sign != Sign::BeyondMin || count <= self.min,
        };
        let value = if sign == Some('-') { -value } else { value };
        fits.then(|| (value, digits.get(count..).unwrap_or_default()))
    }
}

/// The digits in words: `two digits`, `digits`.
impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (2, 2) => f.write_str("two digits"),
            (min, max) if min == max => write!(f, "{min} digits"),
            (1, _) => f.write_str("digits"),
            (min, 19) if self.sign == Sign::BeyondMin => write!(f, "{min} digits"),
            (min, _) => write!(f, "at least {min} digits"),
        }
    }
}
