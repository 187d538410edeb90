//! Durations as the Gateway API writes them (GEP-2257): `^([0-9]{1,5}(h|m|s|ms)){1,4}$`.

use std::time::Duration;
use weir_plan::quote::quoted;

/// Parses a duration. It has at most four parts of at most 99999 hours, which is about 45 years and can't overflow.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    parts(text).ok_or_else(|| {
        let found = quoted(text);
        match meant(text) {
            Some(meant) => format!(
                "found {found}: write {} (a duration is one to four whole numbers, each with h, m, s or ms)",
                quoted(meant)
            ),
            None => format!(
                "found {found}: write a duration such as 5s, 10m or 1h30m (one to four whole numbers, each with h, m, \
                 s or ms)"
            ),
        }
    })
}

/// The duration that a text means whose units are words, days or in capitals: `5m` for `5 minutes`, `24h` for `1d`.
pub(crate) fn meant(text: &str) -> Option<String> {
    let compact: String = text.to_lowercase().split_whitespace().collect();
    let mut rest = compact.as_str();
    let mut meant = String::new();
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let number: u64 = number.parse().ok()?;
        let (number, unit) = match unit {
            "d" | "day" | "days" => (number.checked_mul(24)?, "h"),
            "h" | "hr" | "hrs" | "hour" | "hours" => (number, "h"),
            "m" | "min" | "mins" | "minute" | "minutes" => (number, "m"),
            "s" | "sec" | "secs" | "second" | "seconds" => (number, "s"),
            "ms" | "millis" | "millisecond" | "milliseconds" => (number, "ms"),
            _ => return None,
        };
        meant += &format!("{number}{unit}");
        rest = tail;
    }
    parts(&meant).map(|_| meant)
}

fn parts(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum_ms = 0_u64;
    for _ in 0..4 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, tail) = tail.split_at(letters);
        let unit_ms = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        sum_ms += number.parse::<u64>().ok()? * unit_ms;
        rest = tail;
        if rest.is_empty() {
            return Some(Duration::from_millis(sum_ms));
        }
    }
    None
}

/// The duration in microseconds. The result is exact: [`parse`] gives whole milliseconds of less than 2^63 µs.
pub(super) fn as_us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_gateway_api_writes_them() {
        let us = |text| parse(text).map(as_us);
        assert_eq!(us("5s"), Ok(5_000_000));
        assert_eq!(us("1h30m"), Ok(5_400_000_000));
        assert_eq!(us("10ms"), Ok(10_000));
        assert_eq!(us("0s"), Ok(0));
        assert_eq!(us("99999h99999h99999h99999h"), Ok(4 * 99_999 * 3_600_000_000));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", "1.5s", "-5s", "5 s", "5S", "100000s", "1d", "1us", "1s1s1s1s1s", "10 minutes"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn units_in_words_are_told_in_letters() {
        for (text, meant) in [
            ("5min", "5m"),
            ("10 minutes", "10m"),
            ("1 hour 30 mins", "1h30m"),
            ("7d", "168h"),
            ("30 sec", "30s"),
            ("250millis", "250ms"),
            ("5S", "5s"),
        ] {
            assert!(
                parse(text).is_err_and(|said| said.contains(&format!(": write `{meant}` (a duration is"))),
                "{text}"
            );
            assert!(parse(meant).is_ok(), "{meant}");
        }
        for text in ["5", "min", "5 fortnights", "1.5h", "-5s", "100000s", ""] {
            assert!(parse(text).is_err_and(|said| said.contains("such as 5s, 10m or 1h30m")), "{text}");
        }
    }
}
