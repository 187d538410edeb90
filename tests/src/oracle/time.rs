//! Times as text and as microseconds since 1970-01-01T00:00:00Z, converted by counting days: slow, but obviously
//! correct.

const DAY_US: i64 = 86_400_000_000;

/// `2026-01-31T10:20:30.000000Z`, as the readers in `tests/readers` print it.
#[must_use]
pub fn format_micros(time_us: i64) -> String {
    let in_day = time_us.rem_euclid(DAY_US);
    let (seconds, micros) = (in_day / 1_000_000, in_day % 1_000_000);
    format!(
        "{}T{:02}:{:02}:{:02}.{micros:06}Z",
        format_date(time_us.div_euclid(DAY_US)),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `2026-01-31T10:20:30Z`, with six digits of a fraction only if there is one.
#[must_use]
pub fn format_iso(time_us: i64) -> String {
    format_micros(time_us).replace(".000000Z", "Z")
}

/// `2026-01-31 10:20:30`, Spark's `yyyy-MM-dd HH:mm:ss`.
#[must_use]
pub fn format_spark(time_us: i64) -> String {
    format_micros(time_us)[..19].replace('T', " ")
}

/// `2026-01-31` of a number of days since 1970-01-01.
#[must_use]
pub fn format_date(days: i64) -> String {
    let (mut year, mut left) = (1970, days);
    while left < 0 {
        year -= 1;
        left += days_of_year(year);
    }
    while left >= days_of_year(year) {
        left -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while left >= days_of_month(year, month) {
        left -= days_of_month(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// Days since 1970-01-01 of `2026-01-31`; `None` if there is no such day.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let mut days = day - 1;
    days += (1..month).map(|m| days_of_month(year, m)).sum::<i64>();
    days += (1970..year).map(days_of_year).sum::<i64>();
    days -= (year..1970).map(days_of_year).sum::<i64>();
    Some(days)
}

/// ISO-8601: a date, `T`, a time with up to six digits of a fraction, and `Z`, an offset such as `+02:00`, or nothing
/// (UTC).
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = whole.split(':');
    let (hours, minutes, seconds) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 || fraction.is_empty() || fraction.len() > 6
    {
        return None;
    }
    let micros = number(&format!("{fraction:0<6}"), 6)?;
    let offset_minutes = match zone {
        "" | "Z" => 0,
        _ => {
            let (h, m) = zone[1..].split_once(':')?;
            let size = number(h, 2)? * 60 + number(m, 2)?;
            if zone.starts_with('-') { -size } else { size }
        }
    };
    let in_day = (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + micros;
    Some(parse_date(date)? * DAY_US + in_day - offset_minutes * 60_000_000)
}

/// The window boundary at or before a time: count down from it microsecond by microsecond, in one step.
#[must_use]
pub fn window_start(time_us: i64, size_us: i64) -> i64 {
    time_us - time_us.rem_euclid(size_us)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_of_year(year: i64) -> i64 {
    (1..=12).map(|m| days_of_month(year, m)).sum()
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_date_1_knows() {
        // `date -u -d @1767225600`, `date -u -d @951782400`, `date -u -d @-1`
        for (text, seconds) in [
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(parse_timestamp(text), Some(seconds * 1_000_000), "{text}");
            assert_eq!(format_iso(seconds * 1_000_000), text);
        }
    }

    #[test]
    fn zones_fractions_and_their_absence() {
        let noon = parse_timestamp("2026-06-01T12:00:00Z");
        assert_eq!(parse_timestamp("2026-06-01T12:00:00"), noon);
        assert_eq!(parse_timestamp("2026-06-01T14:00:00+02:00"), noon);
        assert_eq!(parse_timestamp("2026-06-01T06:30:00-05:30"), noon);
        assert_eq!(parse_timestamp("2026-06-01T12:00:00.5Z"), noon.map(|t| t + 500_000));
        assert_eq!(format_spark(noon.unwrap()), "2026-06-01 12:00:00");
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "20260101T000000Z",
            "",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn windows_before_1970_start_before_their_times() {
        assert_eq!([-6, -5, -1, 0, 4, 5].map(|t| window_start(t, 5)), [-10, -5, -5, 0, 0, 5]);
    }
}
