//! Durations as the Gateway API writes them (GEP-2257): `^([0-9]{1,5}(h|m|s|ms)){1,4}$`.

use std::time::Duration;
use weir_plan::quote::quoted;

/// Parses a duration. It has at most four parts of at most 99999 hours, which is about 45 years and can't overflow.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    parts(text).ok_or_else(|| {
        let hint = if text.ends_with('d') { "; there is no unit for days: 1d is 24h" } else { "" };
        format!(
            "found {}: write a duration such as 5s, 10m or 1h30m (one to four whole numbers, each with h, m, \
             s or ms){hint}",
            quoted(text)
        )
    })
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
        assert!(parse("7d").is_err_and(|said| said.ends_with("1d is 24h")));
    }
}
