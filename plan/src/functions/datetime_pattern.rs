//! Spark's datetime patterns (<https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html>). [`Pattern`] writes
//! times, in UTC; [`Reader`] reads them.
//!
//! A pattern is compiled once into a list of items, and each row is written item by item. The zone is always UTC, so
//! letters for the zone become constant text. As in Spark, `y` is the proleptic year unless the pattern has an era. `F`
//! is refused: its meaning depends on the JVM (JDK-8282081).

mod habits;
mod offset;
mod percent;
mod prefix;
mod reading;
mod reading_fields;
#[cfg(test)]
mod tests;
mod tokens;

use std::fmt::{self, Write};

use crate::calendar::Civil;
use crate::quote::quoted;
use tokens::{LETTERS, Token, letters, tokens};

pub(super) use reading::Reader;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    items: Vec<Item>,
    has_era: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    /// The year, with at least `width` digits.
    Year {
        width: usize,
    },
    /// The last two digits of the year.
    ShortYear,
    Number {
        field: Number,
        width: usize,
    },
    /// The fraction of a second, truncated and never rounded.
    Fraction {
        digits: usize,
    },
    Month {
        full: bool,
    },
    Weekday {
        full: bool,
    },
    Quarter {
        full: bool,
    },
    Era {
        full: bool,
    },
    AmPm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Month,
    Day,
    DayOfYear,
    Quarter,
    /// From 0 to 23.
    Hour,
    /// From 1 to 24.
    ClockHour,
    /// From 0 to 11.
    HalfDayHour,
    /// From 1 to 12.
    HalfDayClockHour,
    Minute,
    Second,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// One sentence with the letter and its position, counted in characters from 1.
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        for token in tokens(text)? {
            match token {
                Token::Text(text) => items.push(Item::Text(text)),
                Token::Letters { letter, count, place } => items.push(
                    field(letter, count)
                        .map_err(|why| format!("{} at {place} {why}", quoted(letters(letter, count))))?,
                ),
                // Formatting writes the content of optional sections like the rest.
                Token::Open { .. } | Token::Close => {}
            }
        }
        let has_era = items.iter().any(|i| matches!(i, Item::Era { .. }));
        Ok(Self { items, has_era })
    }

    /// Compiles a pattern that a user wrote out. Beside what [`Self::compile`] refuses, typical slips are refused.
    ///
    /// # Errors
    /// Those of [`Self::compile`].
    pub fn of_constant(text: &str) -> Result<Self, String> {
        let compiled = Self::compile(text).map_err(|why| habits::of_years_of_weeks(text, why))?;
        habits::refuse_slips(text).map(|()| compiled)
    }

    /// Appends the instant's text to `out`.
    pub fn write(&self, out: &mut impl Write, time_us: i64) -> fmt::Result {
        let t = Civil::from_us(time_us);
        self.items.iter().try_for_each(|item| self.write_item(out, item, &t))
    }

    fn write_item(&self, out: &mut impl Write, item: &Item, t: &Civil) -> fmt::Result {
        let year = if self.has_era && t.year < 1 { 1 - t.year } else { t.year };
        match item {
            Item::Text(text) => out.write_str(text),
            Item::Year { width } => {
                if year < 0 {
                    out.write_char('-')?;
                } else if *width >= 4 && !self.has_era && year >= 10_i64.pow(u32::try_from(*width).unwrap_or(4)) {
                    out.write_char('+')?;
                }
                write_digits(out, year.unsigned_abs(), *width)
            }
            Item::ShortYear => write_digits(out, year.unsigned_abs() % 100, 2),
            Item::Number { field, width } => write_digits(out, u64::from(field.of(t)), *width),
            Item::Fraction { digits } => {
                let kept = (*digits).min(6);
                let divisor = 10_u32.pow(u32::try_from(6 - kept).unwrap_or(0));
                write_digits(out, u64::from(t.microsecond / divisor), kept)?;
                (kept..*digits).try_for_each(|_| out.write_char('0'))
            }
            Item::Month { full } => write_name(out, MONTHS[t.month as usize - 1], *full),
            Item::Weekday { full } => write_name(out, WEEKDAYS[t.weekday as usize], *full),
            Item::Quarter { full: true } => out.write_str(QUARTERS[(t.month as usize - 1) / 3]),
            Item::Quarter { full: false } => {
                out.write_char('Q')?;
                write_digits(out, u64::from(Number::Quarter.of(t)), 1)
            }
            Item::Era { full } => out.write_str(match (t.year < 1, full) {
                (false, false) => "AD",
                (false, true) => "Anno Domini",
                (true, false) => "BC",
                (true, true) => "Before Christ",
            }),
            Item::AmPm => out.write_str(if t.hour < 12 { "AM" } else { "PM" }),
        }
    }
}

impl Number {
    fn of(self, t: &Civil) -> u32 {
        match self {
            Self::Month => t.month,
            Self::Day => t.day,
            Self::DayOfYear => t.day_of_year,
            Self::Quarter => (t.month - 1) / 3 + 1,
            Self::Hour => t.hour,
            Self::ClockHour => (t.hour + 23) % 24 + 1,
            Self::HalfDayHour => t.hour % 12,
            Self::HalfDayClockHour => (t.hour + 11) % 12 + 1,
            Self::Minute => t.minute,
            Self::Second => t.second,
        }
    }
}

/// The item for a run of `count` letters, or the reason why there is none.
fn field(letter: char, count: usize) -> Result<Item, String> {
    let number = |field, max: usize| {
        let item = Item::Number { field, width: count };
        if count <= max { Ok(item) } else { Err(too_many(letter, max)) }
    };
    let zone = |texts: &[&str]| match texts.get(count - 1) {
        Some(text) => Ok(Item::Text((*text).to_owned())),
        None => Err(too_many(letter, texts.len())),
    };
    let full = count == 4;
    match letter {
        'y' if count == 2 => Ok(Item::ShortYear),
        'y' if count <= 6 => Ok(Item::Year { width: count }),
        'y' => Err(too_many('y', 6)),
        'M' | 'L' if count <= 2 => number(Number::Month, 2),
        'M' | 'L' if count <= 4 => Ok(Item::Month { full }),
        'Q' | 'q' if count <= 2 => number(Number::Quarter, 2),
        'Q' | 'q' if count <= 4 => Ok(Item::Quarter { full }),
        'E' if count <= 4 => Ok(Item::Weekday { full }),
        'G' if count <= 4 => Ok(Item::Era { full }),
        'M' | 'L' | 'Q' | 'q' | 'E' | 'G' => Err(too_many(letter, 4)),
        'd' => number(Number::Day, 2),
        'D' => number(Number::DayOfYear, 3),
        'H' => number(Number::Hour, 2),
        'k' => number(Number::ClockHour, 2),
        'K' => number(Number::HalfDayHour, 2),
        'h' => number(Number::HalfDayClockHour, 2),
        'm' => number(Number::Minute, 2),
        's' => number(Number::Second, 2),
        'S' if count <= 9 => Ok(Item::Fraction { digits: count }),
        'S' => Err(too_many('S', 9)),
        'a' if count == 1 => Ok(Item::AmPm),
        'a' => Err(too_many('a', 1)),
        'V' if count == 2 => Ok(Item::Text("UTC".to_owned())),
        'V' => Err("must be exactly two letters, `VV`".to_owned()),
        'z' => zone(&["UTC", "UTC", "UTC", "Coordinated Universal Time"]),
        'O' if count == 1 || count == 4 => Ok(Item::Text("GMT".to_owned())),
        'O' => Err("must be one letter or four, `O` or `OOOO`".to_owned()),
        'X' => zone(&["Z"; 5]),
        'x' => zone(&["+00", "+0000", "+00:00", "+0000", "+00:00"]),
        'Z' => zone(&["+0000", "+0000", "+0000", "GMT", "Z"]),
        'Y' | 'w' | 'W' | 'u' | 'e' | 'c' => Err(format!(
            "is not supported: Spark 3 has no week-based patterns either; the letters are {LETTERS}, and other text \
             goes in quotes"
        )),
        _ => Err(format!("is not a pattern letter; the letters are {LETTERS}, and other text goes in quotes")),
    }
}

fn too_many(letter: char, max: usize) -> String {
    format!("has too many letters: `{letter}` takes at most {max}")
}

fn write_name(out: &mut impl Write, name: &str, full: bool) -> fmt::Result {
    out.write_str(if full { name } else { &name[..3] })
}

/// Writes digits directly: `format!` would pad each number through dynamic dispatch.
fn write_digits(out: &mut impl Write, mut value: u64, width: usize) -> fmt::Result {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    let start = start.min(digits.len() - width.min(digits.len()));
    out.write_str(std::str::from_utf8(&digits[start..]).map_err(|_| fmt::Error)?)
}
