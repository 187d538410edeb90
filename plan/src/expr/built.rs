//! What to write in place of functions whose arguments decide what that is.

use super::habits::{filled, operand};

/// Days of the week, from Sunday on, by the two letters that their names begin with.
const DAYS: [&str; 7] = ["su", "mo", "tu", "we", "th", "fr", "sa"];

const US_PER_SECOND: i64 = 1_000_000;

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

/// `add_months(day, 3)`.
pub(super) fn add_months(args: &[&str]) -> Option<String> {
    let [day, months] = args else { return None };
    Some(format!("cast({day} as date) + interval '{} months'", literal(months)?))
}

/// `date_add(day, 7)`, and `date_add(MONTH, 3, ts)`, which is `timestampadd`.
pub(super) fn date_add(args: &[&str]) -> Option<String> {
    match args {
        [_, _] => Some(filled("cast($1 as date) + $2", args)),
        _ => timestamp_add(args),
    }
}

/// `timestampadd(HOUR, 3, ts)`.
pub(super) fn timestamp_add(args: &[&str]) -> Option<String> {
    let [unit, count, time] = args else { return None };
    let count = literal(count)?;
    let unit = unit.trim_matches('\'').to_lowercase();
    let (count, unit) = match unit.trim_end_matches('s') {
        "quarter" => (count.checked_mul(3)?, "months"),
        "dayofyear" => (count, "days"),
        "month" => (count, "months"),
        "year" => (count, "years"),
        "week" => (count, "weeks"),
        "day" => (count, "days"),
        "hour" => (count, "hours"),
        "minute" => (count, "minutes"),
        "second" => (count, "seconds"),
        "millisecond" => (count, "milliseconds"),
        "microsecond" => (count, "microseconds"),
        _ => return None,
    };
    Some(format!("cast({time} as timestamp) + interval '{count} {unit}'"))
}

/// `datediff(end, start)`, and `datediff(HOUR, start, end)`, which is `timestampdiff`.
pub(super) fn date_diff(args: &[&str]) -> Option<String> {
    match args {
        [_, _] => Some(filled("(to_unixtime(cast($1 as date)) - to_unixtime(cast($2 as date))) / 86400", args)),
        _ => timestamp_diff(args),
    }
}

/// `timestampdiff(HOUR, start, end)`: whole units, of those that have one length.
pub(super) fn timestamp_diff(args: &[&str]) -> Option<String> {
    let [unit, _, _] = args else { return None };
    let between =
        filled("arrow_cast(cast($3 as timestamp), 'Int64') - arrow_cast(cast($2 as timestamp), 'Int64')", args);
    let unit_us = match unit.trim_matches('\'').to_lowercase().trim_end_matches('s') {
        "microsecond" => return Some(between),
        "millisecond" => US_PER_SECOND / 1000,
        "second" => US_PER_SECOND,
        "minute" => 60 * US_PER_SECOND,
        "hour" => 3600 * US_PER_SECOND,
        "day" => 86_400 * US_PER_SECOND,
        "week" => 7 * 86_400 * US_PER_SECOND,
        _ => return None,
    };
    Some(format!("({between}) / {unit_us}"))
}

/// `next_day(day, 'Monday')`: the first such day behind the given one.
pub(super) fn next_day(args: &[&str]) -> Option<String> {
    let [day, name] = args else { return None };
    let name = name.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''))?.to_lowercase();
    let wanted = DAYS.iter().position(|day| name.starts_with(day))?;
    // The days since the last such day, which is seven days before the next.
    let since = filled(&format!("(date_part('dow', $1) + {}) % 7", 7 - wanted), &[day]);
    Some(format!("cast({day} as date) + (7 - {since})"))
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
