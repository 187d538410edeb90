//! Timestamps: ISO 8601 as `2024-01-31T12:34:56`, with `T` or one space, then optionally a fraction of up to nine
//! digits, then optionally `Z`, `+01:00`, `+0100` or `+01`. A timestamp without a zone is in UTC. Digits beyond
//! microseconds are dropped, as Spark does. Seconds may be left out, as Java's `toString` does when they are zero.

use super::date::{days, two_digits};

const US_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: the range that readers of tables can show.
const MIN_US: i64 = -62_135_596_800 * US_PER_SECOND;
const MAX_US: i64 = 253_402_300_799 * US_PER_SECOND + 999_999;

/// Microseconds since the epoch; `None` if the text is not written as a timestamp, if there is no such time, or if it
/// is outside of the years 0001 to 9999 in UTC.
#[inline]
pub(super) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let (time, rest) = rest.split_first_chunk::<6>()?;
    let [b'T' | b' ', h1, h2, b':', m1, m2] = *time else { return None };
    let (hour, minute) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (Some(two_digits(*s1, *s2)?), rest),
        _ => (None, rest),
    };
    // There are no leap seconds: Spark has no 60th second.
    if hour > 23 || minute > 59 || second > Some(59) {
        return None;
    }
    let (fraction_us, zone) = match (second, rest) {
        (Some(_), [b'.', rest @ ..]) => parse_fraction(rest)?,
        _ => (0, rest),
    };
    let second = second.unwrap_or(0);
    let offset_seconds = match zone {
        [] | [b'Z'] => 0,
        _ => parse_offset(zone)?,
    };
    let seconds = i64::from(days(date)?) * SECONDS_PER_DAY + i64::from(hour * 3600 + minute * 60 + second)
        - i64::from(offset_seconds);
    in_range(seconds * US_PER_SECOND + fraction_us)
}

/// Microseconds since the epoch, from milliseconds since the epoch; `None` outside of the years 0001 to 9999.
#[inline]
pub(super) fn from_epoch_millis(ms: i64) -> Option<i64> {
    in_range(ms.checked_mul(1000)?)
}

fn in_range(us: i64) -> Option<i64> {
    (MIN_US..=MAX_US).contains(&us).then_some(us)
}

/// One to nine digits as microseconds, and the text that follows them.
fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (digits, rest) = text.split_at(digits);
    let us = (0..6).fold(0, |us, i| us * 10 + digits.get(i).map_or(0, |b| i64::from(b - b'0')));
    Some((us, rest))
}

/// `+01:00`, `+0100` or `+01` as seconds east of Greenwich.
fn parse_offset(text: &[u8]) -> Option<i32> {
    let (sign, h1, h2, m1, m2) = match *text {
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => (sign, h1, h2, m1, m2),
        [sign, h1, h2] => (sign, h1, h2, b'0', b'0'),
        _ => return None,
    };
    let (hours, minutes) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}
