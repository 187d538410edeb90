//! Texts read as dates and times without a pattern, in the forms that Spark's casts take
//! (`SparkDateTimeUtils.stringToDate` and `stringToTimestamp`): `2024-1-3`, `2024-01`, `2024-01-31 10:20`, with
//! whitespace around them. Names of zones and times without a day are not read.

use crate::calendar::{US_PER_DAY, US_PER_SECOND, days_in_month, midnight_us};

/// The years that times may have, as everywhere in Weir.
const YEARS: std::ops::RangeInclusive<i64> = 1..=9999;

/// The day of a text in days since 1970-01-01: `yyyy`, `yyyy-[m]m`, `yyyy-[m]m-[d]d`, and the last one with anything
/// behind a space or a `T`. Beside Spark's forms, `yyyyMMdd` is read.
pub(super) fn day_of(text: &str) -> Option<i32> {
    let text = trimmed(text);
    let midnight_us = match text.as_bytes() {
        digits @ [_, _, _, _, _, _, _, _] if digits.iter().all(u8::is_ascii_digit) => {
            midnight(text.get(..4)?.parse().ok()?, text.get(4..6)?.parse().ok()?, text.get(6..)?.parse().ok()?)?
        }
        _ => date(text)?.0,
    };
    i32::try_from(midnight_us.div_euclid(US_PER_DAY)).ok()
}

/// The time of a text in microseconds since 1970-01-01T00:00:00Z: a day as in [`day_of`], and behind a space or a `T`
/// `[h]h`, `[h]h:[m]m` or `[h]h:[m]m:[s]s`, the last one with a fraction and an offset. Digits behind microseconds are
/// cut off, as in Spark.
pub(super) fn time_us_of(text: &str) -> Option<i64> {
    let (day_us, rest) = date(trimmed(text))?;
    if rest.is_empty() {
        return Some(day_us);
    }
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = behind_colon(rest)?;
    let (second, rest) = behind_colon(rest)?;
    let (Some(minute), Some(second)) = (minute, second) else {
        return (rest.is_empty() && hour <= 23 && minute.unwrap_or(0) <= 59)
            .then_some(day_us + (hour * 60 + minute.unwrap_or(0)) * 60 * US_PER_SECOND);
    };
    let (fraction_us, rest) = fraction_us(rest);
    let offset_seconds = offset_seconds(rest)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second - offset_seconds;
    let time_us = day_us + seconds * US_PER_SECOND + fraction_us;
    let all = midnight_us(*YEARS.start(), 1, 1)?..midnight_us(*YEARS.end() + 1, 1, 1)?;
    all.contains(&time_us).then_some(time_us)
}

/// Without the whitespace and control characters around it, which Spark takes off too.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_ascii_control())
}

/// Midnight of the day, and the text behind the space or the `T` that ends the day.
fn date(text: &str) -> Option<(i64, &str)> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (year, rest) = text.split_at_checked(digits).filter(|_| (4..=7).contains(&digits))?;
    let year: i64 = year.parse().ok()?;
    let Some(rest) = rest.strip_prefix('-') else { return rest.is_empty().then_some((midnight(year, 1, 1)?, rest)) };
    let (month, rest) = number(rest, 2)?;
    let Some(rest) = rest.strip_prefix('-') else {
        return rest.is_empty().then_some((midnight(year, month, 1)?, rest));
    };
    let (day, rest) = number(rest, 2)?;
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix([' ', 'T'])? };
    Some((midnight(year, month, day)?, rest))
}

fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let exists = YEARS.contains(&year) && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if exists { midnight_us(year, month, day) } else { None }
}

/// The number of one to `digits_max` digits at the beginning of the text, and the text behind it.
fn number(text: &str, digits_max: usize) -> Option<(i64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits).filter(|_| (1..=digits_max).contains(&digits))?;
    Some((number.parse().ok()?, rest))
}

/// The number behind a colon, and `None` for it if there is no colon.
fn behind_colon(text: &str) -> Option<(Option<i64>, &str)> {
    match text.strip_prefix(':') {
        Some(rest) => number(rest, 2).map(|(number, rest)| (Some(number), rest)),
        None => Some((None, text)),
    }
}

fn fraction_us(text: &str) -> (i64, &str) {
    let Some(rest) = text.strip_prefix('.') else { return (0, text) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let us = rest.bytes().take(digits).chain(std::iter::repeat(b'0')).take(6);
    (us.fold(0, |us, digit| us * 10 + i64::from(digit - b'0')), rest.get(digits..).unwrap_or_default())
}

/// `Z`, `UTC`, `GMT`, `+h`, `+hh`, `+hhmm`, `+[h]h:[m]m`, or nothing, which is UTC.
fn offset_seconds(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let text = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    if text.is_empty() || text == "Z" {
        return Some(0);
    }
    let (sign, digits) = match text.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let whole = |text: &str| number(text, 2).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number);
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    // The greatest offset is 18 hours, as in Java.
    (minutes <= 59 && hours * 60 + minutes <= 18 * 60).then_some(sign * (hours * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i64, month: u32, day: u32) -> Option<i32> {
        midnight_us(year, month, day).and_then(|us| i32::try_from(us / US_PER_DAY).ok())
    }

    /// The cases are those of Spark's own tests of `stringToDate` (`DateTimeUtilsSuite`).
    #[test]
    fn days_are_read_in_sparks_forms() {
        for (text, expected) in [
            ("2015-01-28", day(2015, 1, 28)),
            ("2015", day(2015, 1, 1)),
            ("0001", day(1, 1, 1)),
            ("2015-03", day(2015, 3, 1)),
            ("2015-03-18", day(2015, 3, 18)),
            ("2015-3-8", day(2015, 3, 8)),
            ("2015-03-18 ", day(2015, 3, 18)),
            (" 2015-03-18", day(2015, 3, 18)),
            ("\t2015-03-18\n", day(2015, 3, 18)),
            ("+2015-03-18", day(2015, 3, 18)),
            ("2015-03-18 123142", day(2015, 3, 18)),
            ("2015-03-18T123123", day(2015, 3, 18)),
            ("2015-03-18T", day(2015, 3, 18)),
            ("2024-02-29T23:59:59+14:00", day(2024, 2, 29)),
            ("9999-12-31", day(9999, 12, 31)),
            ("2015-03-18X", None),
            ("2015/03/18", None),
            ("2015.03.18", None),
            ("2015-031-8", None),
            ("2015-03-181", None),
            ("015-03-18", None),
            ("015", None),
            ("02015", day(2015, 1, 1)),
            ("2015-03 T10", None),
            ("2015-", None),
            ("2015-3-", None),
            ("-2015-03-18", None),
            ("0000-01-01", None),
            ("10000-01-01", None),
            ("2023-02-29", None),
            ("2015-13-01", None),
            ("", None),
            (" ", None),
            ("1999 08 01", None),
            ("1999-08 01", None),
            ("1999 08", None),
            ("31/01/2024", None),
            ("2024-01-3é", None),
        ] {
            assert_eq!(day_of(text), expected, "{text}");
        }
    }

    /// The basic form of ISO 8601, which `cast` reads too; Spark takes it for a year of eight digits.
    #[test]
    fn eight_digits_are_a_day() {
        assert_eq!(day_of("20240131"), day(2024, 1, 31));
        assert_eq!(day_of("20240231"), None);
    }

    /// The cases are those of Spark's own tests of `stringToTimestamp` (`DateTimeUtilsSuite`), as far as they name an
    /// offset, or UTC.
    #[test]
    fn times_are_read_in_sparks_forms() {
        let at = |hours: i64, minutes: i64, seconds: i64, us: i64| {
            midnight_us(2015, 3, 18).map(|day| day + ((hours * 60 + minutes) * 60 + seconds) * US_PER_SECOND + us)
        };
        for (text, expected) in [
            ("2015", midnight_us(2015, 1, 1)),
            ("2015-03", midnight_us(2015, 3, 1)),
            ("2015-3-18", at(0, 0, 0, 0)),
            (" 2015-03-18 ", at(0, 0, 0, 0)),
            ("2015-03-18T", at(0, 0, 0, 0)),
            ("2015-03-18 12", at(12, 0, 0, 0)),
            ("2015-03-18 12:03", at(12, 3, 0, 0)),
            ("2015-03-18 12:03:17", at(12, 3, 17, 0)),
            ("2015-03-18T1:3:7", at(1, 3, 7, 0)),
            ("2015-03-18T12:03:17Z", at(12, 3, 17, 0)),
            ("2015-03-18 12:03:17 UTC", at(12, 3, 17, 0)),
            ("2015-03-18 12:03:17-1:0", at(13, 3, 17, 0)),
            ("2015-03-18T12:03:17+7:30", at(4, 33, 17, 0)),
            ("2015-03-18T12:03:17+07", at(5, 3, 17, 0)),
            ("2015-03-18T12:03:17GMT+0730", at(4, 33, 17, 0)),
            ("2015-03-18 12:03:17.123", at(12, 3, 17, 123_000)),
            ("2015-03-18T12:03:17.123456Z", at(12, 3, 17, 123_456)),
            ("2015-03-18T12:03:17.456-1:0", at(13, 3, 17, 456_000)),
            ("2015-03-18T12:03:17.123456789+0:00", at(12, 3, 17, 123_456)),
            ("2015-03-18T12:03:17.12312+7:30", at(4, 33, 17, 123_120)),
            ("2015-03-18T12:03:17.", at(12, 3, 17, 0)),
            ("2015-03-18 123142", None),
            ("2015-03-18T123123", None),
            ("2015-03-18X", None),
            ("2015/03/18", None),
            ("20150318", None),
            ("2015-031-8", None),
            ("015-01-18", None),
            ("2015-03-18T12:03.17-20:0", None),
            ("2015-03-18T12:03:17-20:0", None),
            ("2015-03-18T12:03:17-0:70", None),
            ("2015-03-18T12:03:17-1:0:0", None),
            ("2015-03-18T12:03:17 Europe/Paris", None),
            ("2015-03-18T24:00", None),
            ("2015-03-18T12:60", None),
            ("2015-03-18T12:00:60", None),
            ("2015-03-18T12:", None),
            ("12:03:17", None),
            ("0001-01-01T00:00:00+01:00", None),
            ("9999-12-31T23:59:59-01:00", None),
            ("", None),
        ] {
            assert_eq!(time_us_of(text), expected, "{text}");
        }
    }
}
