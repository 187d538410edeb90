//! Schedules as cron writes them: minute, hour, day of the month, month, day of the week.

const FIELDS: [(&str, u8, u8, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("weekday", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// Whether a schedule is one that Kubernetes takes too.
pub(super) fn check(text: &str) -> Result<(), String> {
    let fields: Vec<_> = text.split(' ').collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "found `{text}`; five fields with a space between them would be right: minute, hour, day, month and weekday, \
             as in 0 2 * * * for every night at two"
        ));
    }
    for (field, (what, least, most, names)) in fields.into_iter().zip(FIELDS) {
        if !field.split(',').all(|part| is_part(part, least, most, names)) {
            return Err(format!(
                "found `{field}` as the {what}; *, {least} to {most}, ranges as in {least}-{most} and steps as in */2 would be right"
            ));
        }
    }
    Ok(())
}

/// `*`, `5`, `1-5`, `mon-fri`, and each of them with a step: `*/10`.
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

/// `parse` alone would take a plus sign.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn cron_s_five_fields_are_taken() {
        for text in ["0 2 * * *", "*/10 * * * *", "0,30 8-18 * * mon-fri", "0 0 1 JAN,JUL *", "5-50/5 * 31 12 0"] {
            assert_eq!(check(text), Ok(()), "{text}");
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
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
