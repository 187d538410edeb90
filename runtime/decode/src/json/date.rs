//! Dates such as `2024-01-31`, in the proleptic Gregorian calendar, years 0001 to 9999.

use chrono::NaiveDate;

/// Days since 1970-01-01; `None` if the text is not written as a date or there is no such day.
#[inline]
pub(super) fn parse_date(text: &[u8]) -> Option<i32> {
    days(text.try_into().ok()?)
}

/// Days since 1970-01-01, from the ten bytes that a timestamp starts with.
#[inline]
pub(super) fn days(text: &[u8; 10]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    let (month, day) = (two_digits(m1, m2)?.unsigned_abs(), two_digits(d1, d2)?.unsigned_abs());
    // chrono has a year 0.
    if year == 0 {
        return None;
    }
    NaiveDate::from_ymd_opt(year, month, day).map(|date| date.to_epoch_days())
}

#[inline]
pub(super) fn two_digits(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i32::from(tens) * 10 + i32::from(ones))
}
