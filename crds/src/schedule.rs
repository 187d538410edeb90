//! Schedules in cron's format, in UTC: minute, hour, day of the month, month, day of the week.
//!
//! This module checks the text, so that the error messages are ours; the `croner` crate computes due times.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::tz::TimeZone;

/// A schedule that is parsed and valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(Cron);

impl Schedule {
    /// Parses a schedule.
    ///
    /// # Errors
    /// What was found, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        check(text)?;
        // Accepts `5/10` (every ten from five on), as Kubernetes does.
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).sloppy_ranges(true).build();
        let cron = parser.parse(text).map_err(|e| format!("found `{text}`; {e}"))?;
        let schedule = Self(cron);
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(format!("found `{text}`, which no day in any year is: write a day that the month has")),
        }
    }

    /// The first due time after `at`.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.0.find_next_occurrence(&at.to_zoned(TimeZone::UTC), false).ok().map(|due| due.timestamp())
    }

    /// The last due time at or before `at`.
    #[must_use]
    pub fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        self.0.find_previous_occurrence(&at.to_zoned(TimeZone::UTC), true).ok().map(|due| due.timestamp())
    }
}

const FIELDS: [(&str, u8, u8, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("weekday", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// Checks that Kubernetes accepts the schedule too.
fn check(text: &str) -> Result<(), String> {
    let fields: Vec<_> = text.split(' ').collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "found `{text}`: write five fields with a space between them, minute, hour, day, month and \
             weekday, \
             as in 0 2 * * * for every night at two"
        ));
    }
    for (field, (what, least, most, names)) in fields.into_iter().zip(FIELDS) {
        if !field.split(',').all(|part| is_part(part, least, most, names)) {
            return Err(format!(
                "found `{field}` as the {what}: write *, {least} to {most}, ranges as in {least}-{most} and steps as \
                 in */2"
            ));
        }
    }
    Ok(())
}

/// Whether the text is `*`, `5`, `1-5` or `mon-fri`, each with or without a step such as `*/10`.
fn is_part(part: &str, least: u8, most: u8, names: &[&str]) -> bool {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let is_step = step.is_none_or(|step| number(step).is_some_and(|step| (1..=most).contains(&step)));
    let value = |text: &str| match names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
        Some(position) => u8::try_from(position).ok().map(|position| position + least),
        None => number(text).filter(|n| (least..=most).contains(n)),
    };
    let is_range = match range.split_once('-') {
        _ if range == "*" => true,
        Some((from, to)) => matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to),
        None => value(range).is_some(),
    };
    is_step && is_range
}

/// A number of decimal digits. `parse` alone would accept a plus sign.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cron_s_five_fields_are_taken() {
        for text in [
            "0 2 * * *",
            "*/10 * * * *",
            "0,30 8-18 * * mon-fri",
            "0 0 1 JAN,JUL *",
            "5-50/5 * 31 12 0",
            "5/10 * * * *",
            "* * 29 2 *",
            "0 0 1-7/2,20 */2 sun,6",
        ] {
            assert!(Schedule::parse(text).is_ok(), "{text}: {:?}", Schedule::parse(text));
        }
    }

    #[test]
    fn what_never_comes_or_is_no_schedule_is_refused() {
        for text in [
            "",
            "@daily",
            "0 2 * *",
            "0 2 * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "+1 * * * *",
            "0  2 * * *",
            ", * * * *",
            "0 0 31 2 *",
            "0 0 30,31 feb *",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn due_times_are_those_of_cron_in_utc() {
        // `now` is a Saturday.
        let now = at("2026-11-21T14:00:30Z");
        let cases = [
            ("0 2 * * *", "2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"),
            ("*/10 * * * *", "2026-11-21T14:00:00Z", "2026-11-21T14:10:00Z"),
            ("5/20 * * * *", "2026-11-21T13:45:00Z", "2026-11-21T14:05:00Z"),
            ("0 2 * * mon-fri", "2026-11-20T02:00:00Z", "2026-11-23T02:00:00Z"),
            ("0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
            // With both a day of the month and a weekday, either one is enough, as in cron.
            ("0 0 1 * sun", "2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z"),
        ];
        for (text, last, next) in cases {
            let schedule = Schedule::parse(text).unwrap();
            assert_eq!(
                (schedule.last_until(now), schedule.next_after(now)),
                (Some(at(last)), Some(at(next))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_due_time_is_until_itself_and_not_after_itself() {
        let (schedule, due) = (Schedule::parse("0 2 * * *").unwrap(), at("2026-11-21T02:00:00Z"));
        assert_eq!(schedule.last_until(due), Some(due));
        assert_eq!(schedule.next_after(due), Some(at("2026-11-22T02:00:00Z")));
    }
}
