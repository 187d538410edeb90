//! Times read by Spark's patterns, as `to_timestamp` and `to_date` of Spark 4 do in ANSI mode: every character must
//! fit, and every field must be in its range. Spark leaves this to `java.time` with a strict resolver, and so the rules
//! for signs, widths and digits that follow each other are those of `java.time.format.DateTimeFormatterBuilder`.
//!
//! Fields that the text lacks are taken from 1970-01-01T00:00:00Z. Letters that need more than the text (`E`, the day
//! of the week) can't be read, as in Spark. Optional sections and names of zones are refused.

use super::offset::Offset;
use super::prefix::without_prefix;
use super::reading_fields::{Digits, Field, Fields, Sign};
use super::tokens::{Token, letters, tokens};
use super::{LETTERS, MONTHS, habits, too_many};
use crate::quote::quoted;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Reader {
    pattern: String,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// Text that must match; upper and lower case are equal.
    Text(String),
    Number {
        field: Field,
        digits: Digits,
        letters: String,
    },
    /// The last two digits of a year from 2000 to 2099.
    ShortYear,
    /// A fraction of a second with one to `digits_max` digits.
    Fraction {
        digits_max: usize,
    },
    Name {
        field: Field,
        names: &'static [&'static str],
        /// How many characters of each name are read; the whole name if it is shorter.
        chars: usize,
        /// The value of the first name; the others follow in order.
        first: i64,
    },
    Offset(Offset),
}

const HALVES: [&str; 2] = ["AM", "PM"];
const ERAS: [&str; 2] = ["BC", "AD"];
const ERAS_IN_FULL: [&str; 2] = ["Before Christ", "Anno Domini"];

impl Reader {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// One sentence with the letter and its position, counted in characters from 1.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let mut items: Vec<Item> = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        // The index of the number that adjacent digits belong to, until something separates them.
        let mut run: Option<usize> = None;
        for token in tokens(pattern)? {
            let (item, at) = match token {
                Token::Text(text) => (Item::Text(text), String::new()),
                Token::Letters { letter, count, place } => {
                    let at = format!("{} at {place}", quoted(letters(letter, count)));
                    (item(letter, count).map_err(|why| format!("{at} {why}"))?, at)
                }
                Token::Open { place } => {
                    return Err(format!(
                        "the `[` at {place} begins an optional section, and these can't be read: write a `case` with \
                         a pattern for each form"
                    ));
                }
                Token::Close => continue,
            };
            if let Some(field) = item.field() {
                if fields.iter().any(|other| other.is_the_same_as(field)) {
                    let instead = match habits::of_months_and_minutes(pattern) {
                        Some(instead) => format!("`m` is a minute and `M` a month: write {}", quoted(instead)),
                        None => "leave one of them out".to_owned(),
                    };
                    return Err(format!("{at} says again what the pattern has already; {instead}"));
                }
                fields.push(field);
            }
            run = match (&item, run) {
                (item, Some(base)) if item.width().is_some() => {
                    if let Some(Item::Number { digits, .. }) = items.get_mut(base) {
                        digits.following += item.width().unwrap_or_default();
                    }
                    Some(base)
                }
                (Item::Fraction { .. } | Item::Number { .. }, Some(base)) if is_any_number(items.get(base)) => {
                    return Err(format!(
                        "{at} follows digits of any number, and nothing tells them apart (Spark reads no such text \
                         either): separate it, as in `yyyyMMddHHmmss.SSS`"
                    ));
                }
                (Item::Number { .. } | Item::ShortYear | Item::Fraction { digits_max: 1 }, _) => Some(items.len()),
                _ => None,
            };
            items.push(item);
        }
        go_together(&fields, pattern)?;
        Ok(Self { pattern: pattern.to_owned(), items })
    }

    /// Compiles a pattern that a user wrote out. Beside what [`Self::compile`] refuses, typical slips are refused.
    ///
    /// # Errors
    /// Those of [`Self::compile`].
    pub fn of_constant(pattern: &str) -> Result<Self, String> {
        let compiled = Self::compile(pattern).map_err(|why| habits::of_years_of_weeks(pattern, why))?;
        habits::refuse_slips(pattern).map(|()| compiled)
    }

    /// The time in microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// One sentence that says where the text does not fit.
    pub fn read(&self, text: &str) -> Result<i64, String> {
        self.time_us(text).map_err(|why| {
            // The message quotes the text cut short: it may have a megabyte.
            format!("{} does not fit the pattern {}: {why}", quoted(text), quoted(&self.pattern))
        })
    }

    fn time_us(&self, text: &str) -> Result<i64, String> {
        let mut fields = Fields::default();
        let mut rest = text;
        for item in &self.items {
            rest = item.read(rest, &mut fields).map_err(|wanted| {
                let at = text.chars().count() - rest.chars().count() + 1;
                format!("at character {at} there should be {wanted}")
            })?;
        }
        if !rest.is_empty() {
            let at = text.chars().count() - rest.chars().count() + 1;
            return Err(format!("the pattern ends before character {at}"));
        }
        fields.time_us()
    }
}

impl Item {
    fn field(&self) -> Option<Field> {
        match self {
            Self::Text(_) => None,
            Self::Number { field, .. } | Self::Name { field, .. } => Some(*field),
            Self::ShortYear => Some(Field::Year),
            Self::Fraction { .. } => Some(Field::Nanosecond),
            Self::Offset(_) => Some(Field::OffsetSeconds),
        }
    }

    /// The number of digits, if it is fixed.
    fn width(&self) -> Option<usize> {
        match self {
            Self::Number { digits, .. } => digits.width(),
            Self::ShortYear => Some(2),
            Self::Fraction { digits_max: 1 } => Some(1),
            _ => None,
        }
    }

    /// Reads this item. Returns the rest of the text, or what should stand there.
    fn read<'a>(&self, text: &'a str, fields: &mut Fields) -> Result<&'a str, String> {
        match self {
            Self::Text(wanted) => without_prefix(text, wanted).ok_or_else(|| quoted(wanted)),
            Self::Number { field, digits, letters } => {
                let (value, rest) = digits.read(text).ok_or_else(|| format!("{digits} for `{letters}`"))?;
                fields.set(*field, value);
                Ok(rest)
            }
            Self::ShortYear => {
                let two = Digits::of(2);
                let (value, rest) = two.read(text).ok_or_else(|| format!("{two} for `yy`"))?;
                fields.set(Field::Year, 2000 + value);
                Ok(rest)
            }
            Self::Fraction { digits_max } => {
                let count = text.bytes().take(*digits_max).take_while(u8::is_ascii_digit).count();
                let value = text.get(..count).and_then(|digits| digits.parse::<i64>().ok());
                let wanted = || format!("digits for `{}`", letters('S', *digits_max));
                let scale = u32::try_from(9 - count.min(9)).unwrap_or(0);
                fields.set(Field::Nanosecond, value.ok_or_else(wanted)? * 10_i64.pow(scale));
                text.get(count..).ok_or_else(wanted)
            }
            Self::Name { field, names, chars, first } => {
                let found = names.iter().zip(*first..).find_map(|(name, value)| {
                    let name = name.get(..*chars).unwrap_or(name);
                    without_prefix(text, name).map(|rest| (value, rest))
                });
                let (value, rest) = found.ok_or_else(|| {
                    let name = names.first().copied().unwrap_or_default();
                    format!("a name such as `{}`", name.get(..*chars).unwrap_or(name))
                })?;
                fields.set(*field, value);
                Ok(rest)
            }
            Self::Offset(offset) => {
                let (seconds, rest) = offset.read(text).ok_or_else(|| format!("an offset such as {offset}"))?;
                fields.set(Field::OffsetSeconds, seconds);
                Ok(rest)
            }
        }
    }
}

fn is_any_number(item: Option<&Item>) -> bool {
    matches!(item, Some(Item::Number { digits, .. }) if digits.is_any_number())
}

/// The item for a run of `count` letters, or the reason why there is none.
fn item(letter: char, count: usize) -> Result<Item, String> {
    let number = |field, digits| Ok(Item::Number { field, digits, letters: letters(letter, count) });
    // One letter reads any number of digits, two letters read exactly two.
    let up_to_two = |field| match count {
        1 => number(field, Digits::any()),
        2 => number(field, Digits::of(2)),
        _ => Err(too_many(letter, 2)),
    };
    let month = |chars| Ok(Item::Name { field: Field::Month, names: &MONTHS, chars, first: 1 });
    let era = |names| Ok(Item::Name { field: Field::Era, names, chars: usize::MAX, first: 0 });
    let offset = |offset: Option<Offset>, max| offset.map(Item::Offset).ok_or_else(|| too_many(letter, max));
    match (letter, count) {
        ('y', 2) => Ok(Item::ShortYear),
        ('y', 1 | 3) => number(Field::Year, Digits { min: count, ..Digits::any() }),
        ('y', 4..=6) => number(Field::Year, Digits { min: count, sign: Sign::BeyondMin, ..Digits::any() }),
        ('y', _) => Err(too_many('y', 6)),
        ('M' | 'L', 1 | 2) => up_to_two(Field::Month),
        ('M' | 'L', 3) => month(3),
        ('M' | 'L', 4) => month(usize::MAX),
        ('G', 1..=3) => era(&ERAS),
        ('G', 4) => era(&ERAS_IN_FULL),
        ('M' | 'L' | 'G', _) => Err(too_many(letter, 4)),
        ('D', 1) => number(Field::DayOfYear, Digits::any()),
        ('D', 2 | 3) => number(Field::DayOfYear, Digits { min: count, max: 3, sign: Sign::None, following: 0 }),
        ('D', _) => Err(too_many(letter, 3)),
        ('d', _) => up_to_two(Field::Day),
        ('H', _) => up_to_two(Field::Hour),
        ('k', _) => up_to_two(Field::ClockHour),
        ('K', _) => up_to_two(Field::HalfDayHour),
        ('h', _) => up_to_two(Field::HalfDayClockHour),
        ('m', _) => up_to_two(Field::Minute),
        ('s', _) => up_to_two(Field::Second),
        ('S', 1..=9) => Ok(Item::Fraction { digits_max: count }),
        ('S', _) => Err(too_many(letter, 9)),
        ('a', 1) => Ok(Item::Name { field: Field::HalfDay, names: &HALVES, chars: usize::MAX, first: 0 }),
        ('a', _) => Err(too_many(letter, 1)),
        ('X', _) => offset(Offset::or_z(count), 5),
        ('x', _) => offset(Offset::or_zeros(count), 5),
        ('Z', 4) => Err("can't be read: write `XXX` for an offset such as +01:00".to_owned()),
        ('Z', _) => offset(Offset::of_capital_z(count), 5),
        ('V' | 'z' | 'O', _) => {
            Err("can't be read: there are no names of time zones yet; write `XXX` for an offset such as +01:00"
                .to_owned())
        }
        ('E' | 'Q' | 'q' | 'F', _) => {
            Err("can be written but not read, in Spark neither: take it off the text".to_owned())
        }
        ('Y' | 'w' | 'W' | 'u' | 'e' | 'c', _) => Err(format!(
            "is not supported: Spark 3 has no week-based patterns either; the letters are {LETTERS}, and other text \
             goes in quotes"
        )),
        _ => Err(format!("is not a pattern letter; the letters are {LETTERS}, and other text goes in quotes")),
    }
}

/// Refuses patterns whose fields can't be resolved to a time, whatever the text is.
fn go_together(fields: &[Field], pattern: &str) -> Result<(), String> {
    let has = |field| fields.contains(&field);
    for (field, letter) in [(Field::DayOfYear, 'D'), (Field::Era, 'G')] {
        if has(field) && !has(Field::Year) {
            return Err(format!(
                "the pattern {} has `{letter}`, which needs a year: write `yyyy` too",
                quoted(pattern)
            ));
        }
    }
    // Spark takes January where the month is missing, so 31/12/2026 read by `dd/mm/yyyy` would be a day in January.
    let place = |field| fields.iter().position(|other| field == *other);
    let hour = [Field::Hour, Field::ClockHour, Field::HalfDayHour, Field::HalfDayClockHour].into_iter().find_map(place);
    let lacks_month = has(Field::Year) && !has(Field::Month) && !has(Field::DayOfYear);
    let are_swapped = hour.is_some() && place(Field::Minute) < hour && hour < place(Field::Month);
    if has(Field::Minute)
        && (lacks_month || are_swapped)
        && let Some(instead) = habits::of_months_and_minutes(pattern)
    {
        return Err(habits::minutes_for_months(pattern, &instead));
    }
    if lacks_month && has(Field::Day) {
        return Err(format!("the pattern {} has a day and a year, and no month: write `MM` too", quoted(pattern)));
    }
    if has(Field::DayOfYear) && (has(Field::Month) || has(Field::Day)) {
        return Err(format!(
            "the pattern `{pattern}` has `D`, the day of the year, beside a month or a day; write `dd` for the day of \
             the month"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
