//! Patterns that can be used and surely mean something else: minutes for months, hours without AM or PM.

use super::Pattern;
use super::tokens::{Token, tokens};
use crate::quote::quoted;

/// The pattern with `M` before its hours and `m` behind them; `None` if it has that already. Many mix up the two.
pub(super) fn of_months_and_minutes(pattern: &str) -> Option<String> {
    let mut is_behind_hours = false;
    let swapped = outside_quotes(pattern, |c| match c {
        'H' | 'h' | 'K' | 'k' => {
            is_behind_hours = true;
            c
        }
        'm' if !is_behind_hours => 'M',
        'M' if is_behind_hours => 'm',
        _ => c,
    });
    (swapped != pattern).then_some(swapped)
}

/// Refuses a pattern that can be used and surely means something else: hours of half a day without saying which half,
/// and minutes in place of months.
pub(super) fn refuse_slips(pattern: &str) -> Result<(), String> {
    let mut found = String::new();
    for token in tokens(pattern)? {
        if let Token::Letters { letter, .. } = token {
            found.push(letter);
        }
    }
    let hours = found.chars().find(|letter| "hK".contains(*letter));
    if let Some(letter) = hours.filter(|_| !found.contains('a')) {
        return Err(format!(
            "the pattern {} has `{letter}`, the hours of half a day, without AM or PM: write {}, with the hours from \
             0 to 23, or add `a`",
            quoted(pattern),
            quoted(outside_quotes(pattern, |c| if "hK".contains(c) { 'H' } else { c }))
        ));
    }
    let has = |letters: &str| found.contains(|letter| letters.contains(letter));
    match of_months_and_minutes(pattern) {
        Some(instead) if has("y") && has("d") && has("m") && !has("MLHhKk") => {
            Err(minutes_for_months(pattern, &instead))
        }
        _ => Ok(()),
    }
}

/// The reason why a pattern is refused, with the pattern that is meant by one with `YYYY` or `DD`, which count weeks
/// and days of the year.
pub(super) fn of_years_of_weeks(pattern: &str, why: String) -> String {
    let meant = outside_quotes(pattern, |c| match c {
        'Y' => 'y',
        'D' => 'd',
        _ => c,
    });
    if pattern.contains('Y') && Pattern::of_constant(&meant).is_ok() {
        format!("{why}; for a date write {}", quoted(meant))
    } else {
        why
    }
}

pub(super) fn minutes_for_months(pattern: &str, instead: &str) -> String {
    format!(
        "the pattern {} has minutes, `m`, where a month, `M`, should be: write {}",
        quoted(pattern),
        quoted(instead)
    )
}

/// The pattern with its letters changed, and what stands in quotes as it is.
fn outside_quotes(pattern: &str, mut changed: impl FnMut(char) -> char) -> String {
    let mut is_quoted = false;
    pattern
        .chars()
        .map(|c| {
            is_quoted ^= c == '\'';
            if is_quoted { c } else { changed(c) }
        })
        .collect()
}
