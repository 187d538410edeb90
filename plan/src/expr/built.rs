//! What to write in place of functions whose arguments decide what that is.

use super::habits::{filled, operand};

/// `elt(2, a, b)`.
pub(super) fn elt(args: &[&str]) -> Option<String> {
    let (place, values) = args.split_first().filter(|(_, values)| !values.is_empty())?;
    let whens = values.iter().enumerate().map(|(i, value)| format!("when {} then {value}", i + 1));
    Some(format!("case {} {} end", operand(place), whens.collect::<Vec<_>>().join(" ")))
}

/// `locate(part, text)` and `locate(part, text, start)`.
pub(super) fn locate(args: &[&str]) -> Option<String> {
    match args {
        [_, _] => Some(filled("strpos($2, $1)", args)),
        [_, _, start] if literal(start)? > 0 => Some(filled(
            "case when strpos(substr($2, $3), $1) > 0 then strpos(substr($2, $3), $1) + $3 - 1 else 0 end",
            args,
        )),
        _ => None,
    }
}

/// `to_timestamp_ltz(n, 3)` of Flink, for numbers of seconds and milliseconds.
pub(super) fn to_timestamp_ltz(args: &[&str]) -> Option<String> {
    match args {
        [number, "0"] => Some(format!("to_timestamp_seconds({number})")),
        [number, "3"] => Some(format!("to_timestamp_millis({number})")),
        _ => None,
    }
}

/// `unix_timestamp(time)` and `unix_timestamp(text, pattern)`. Without arguments it asks for the clock.
pub(super) fn unix_timestamp(args: &[&str]) -> Option<String> {
    matches!(args.len(), 1 | 2).then(|| format!("to_unixtime({})", args.join(", ")))
}

fn literal(arg: &str) -> Option<i64> {
    arg.trim_start_matches('(').trim_end_matches(')').parse().ok()
}
