//! The output of `--dry-run`: the number of letters by reason and path.

use std::collections::HashMap;
use std::fmt;

use weir_runtime::failure::Result;

use super::letter::Letter;
use super::walk::{Outlet, Position};

/// The most reasons that are counted separately. There may be many, because a reason may name a value of the record,
/// such as its event time.
const KINDS_MAX: usize = 10_000;
/// How many of the most frequent reasons are printed.
const KINDS_SHOWN: usize = 50;
/// The widest path to which the others are aligned, in characters.
const PATH_WIDTH_MAX: usize = 40;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Kind {
    path: Option<String>,
    reason: String,
}

#[derive(Debug, Default)]
pub struct Counts {
    kinds: HashMap<Kind, u64>,
    /// Letters whose reasons are not counted separately.
    others: u64,
}

impl Outlet for Counts {
    fn take(&mut self, letter: &Letter<'_>) -> Result<()> {
        let kind = Kind { path: letter.path.map(str::to_owned), reason: letter.reason.to_owned() };
        let is_full = self.kinds.len() >= KINDS_MAX;
        match self.kinds.get_mut(&kind) {
            Some(count) => *count += 1,
            None if is_full => self.others += 1,
            None => {
                self.kinds.insert(kind, 1);
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    fn report(&self, letters: u64, _: Position) -> String {
        format!("{letters} dead letters counted")
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<(&Kind, u64)> = self.kinds.iter().map(|(kind, count)| (kind, *count)).collect();
        kinds.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        let (shown, rest) = kinds.split_at(kinds.len().min(KINDS_SHOWN));
        if shown.is_empty() {
            return Ok(());
        }
        let path = |kind: &Kind| plain(kind.path.as_deref().unwrap_or("-"));
        let width =
            shown.iter().map(|(kind, _)| path(kind).chars().count()).max().unwrap_or(0).clamp(4, PATH_WIDTH_MAX);
        writeln!(f, "{:>10}  {:width$}  reason", "letters", "path")?;
        for (kind, count) in shown {
            writeln!(f, "{count:>10}  {:width$}  {}", path(kind), plain(&kind.reason))?;
        }
        let others = self.others + rest.iter().map(|(_, count)| count).sum::<u64>();
        if others > 0 { writeln!(f, "{others:>10}  {:width$}  other reasons", "") } else { Ok(()) }
    }
}

/// The text with control characters escaped: a record must not control the terminal.
fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::letter::tests::letter;
    use super::*;

    #[test]
    fn the_most_frequent_kind_comes_first_and_control_characters_reach_no_terminal() {
        let mut counts = Counts::default();
        assert_eq!(counts.to_string(), "");
        let mut take = |path: Option<&'static str>, reason| counts.take(&Letter { path, ..letter(1, reason) }).unwrap();
        take(None, "no JSON");
        take(Some("$.price"), "found a string");
        take(Some("$.price"), "found a string");
        take(Some("$.\u{1b}"), "found 'x'");
        let expected = "   letters  path      reason
         2  $.price   found a string
         1  -         no JSON
         1  $.\\u{1b}  found 'x'
";
        assert_eq!(counts.to_string(), expected);
    }

    #[test]
    fn kinds_beyond_what_is_shown_are_one_line() {
        let mut counts = Counts::default();
        for i in 0..KINDS_MAX + 10 {
            let reason = format!("the event time {i} is ahead of the clock");
            counts.take(&Letter { reason: &reason, ..letter(1, "") }).unwrap();
        }
        let said = counts.to_string();
        assert_eq!((counts.kinds.len(), counts.others), (KINDS_MAX, 10));
        assert_eq!(said.lines().count(), 1 + KINDS_SHOWN + 1);
        assert!(said.ends_with("      9960        other reasons\n"), "{said}");
    }
}
