//! The values that flags of several commands take.

use std::time::Duration;

/// Parses a duration as documents have it: `500ms`, `90s`, `1h30m`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    weir_crds::duration(text).ok_or_else(|| "write a duration such as 500ms, 90s, 2m or 1h30m".to_owned())
}

/// Parses a duration that may also be a whole number of seconds.
///
/// # Errors
/// What to write instead.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs).or_else(|| weir_crds::duration(text));
    seconds.ok_or_else(|| "write a duration such as 90s or 5m, or whole seconds such as 300".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_one_of_documents_and_of_seconds_where_they_are_allowed() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("1m500ms"), Ok(Duration::from_millis(60_500)));
        assert_eq!(seconds("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(seconds("300"), Ok(Duration::from_secs(300)));
        assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("300").is_err() && duration("").is_err() && duration("2d").is_err());
        assert!(seconds("").is_err() && seconds("-1").is_err() && seconds("5 m").is_err());
    }
}
