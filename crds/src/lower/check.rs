//! Checks that many fields share. Each returns the value, or adds a finding and returns `None`.

use std::ops::RangeInclusive;
use std::time::Duration;
use weir_plan::quote::quoted;

use super::{duration, quantity};
use crate::document::{Quantity, unions};
use crate::finding::{Findings, Path, nearest, one_of};
use crate::refused::built;
use crate::secrets::HIDDEN;

/// The most sources, steps, sinks or other things with a name, per list.
pub(crate) const NAMED_MAX: usize = 64;
/// The most names that a sentence lists as candidates.
const CANDIDATES_SHOWN_MAX: usize = 20;

impl Findings {
    /// Refuses a value that is not supported yet, in a field with other values that are.
    pub(super) fn not_yet_value(&mut self, path: &Path, found: impl std::fmt::Debug, right: &[&str]) {
        self.add(path, format!("not supported yet: {}: write {}", quoted(format_args!("{found:?}")), one_of(right)));
    }

    /// The only member that is set; a finding if there are none or several. It names the members that are built.
    pub(super) fn exactly_one<'m>(&mut self, block: &Path, members: &[&'m str], is_there: &[bool]) -> Option<&'m str> {
        let there: Vec<_> = members.iter().zip(is_there).filter(|(_, is)| **is).map(|(m, _)| *m).collect();
        match there[..] {
            [only] => return Some(only),
            [] => self.add(block, unions::none_there(&built(&block.pattern(), members))),
            _ => {
                let rule = unions::one_should_be_there(&built(&block.pattern(), members));
                self.add(block, format!("found {}; {rule}", there.join(" and ")));
            }
        }
        None
    }

    pub(super) fn checked<T>(&mut self, path: &Path, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(path, message)).ok()
    }

    pub(crate) fn length(&mut self, path: &Path, length: usize, bounds: RangeInclusive<usize>) {
        if !bounds.contains(&length) {
            self.add(path, format!("found {length} elements: write {} to {}", bounds.start(), bounds.end()));
        }
    }

    pub(super) fn integer(&mut self, path: &Path, found: i64, bounds: RangeInclusive<i64>) -> Option<i64> {
        if bounds.contains(&found) {
            return Some(found);
        }
        self.add(path, format!("found {found}: write {} to {}", bounds.start(), bounds.end()));
        None
    }

    pub(super) fn duration(&mut self, path: &Path, found: &str, least: &str, most: &str) -> Option<Duration> {
        let duration = self.checked(path, duration::parse(found))?;
        let (Ok(min), Ok(max)) = (duration::parse(least), duration::parse(most)) else { return Some(duration) };
        if (min..=max).contains(&duration) {
            return Some(duration);
        }
        self.add(path, format!("found {}: write {least} to {most}", quoted(found)));
        None
    }

    pub(super) fn bytes(
        &mut self,
        path: &Path,
        found: Option<&Quantity>,
        default: &str,
        least: &str,
        most: &str,
    ) -> Option<u64> {
        let found = found.map_or(default, |q| &q.0);
        let bytes = self.checked(path, quantity::parse_bytes(found))?;
        let (Ok(min), Ok(max)) = (quantity::parse_bytes(least), quantity::parse_bytes(most)) else {
            return Some(bytes);
        };
        if (min..=max).contains(&bytes) {
            return Some(bytes);
        }
        self.add(path, format!("found {}: write {least} to {most}", quoted(found)));
        None
    }

    /// Checks columns of `from` that are to be dropped: each must exist, and may be listed only once.
    pub(super) fn droppable(&mut self, dropped: &[String], names: &[&str], from: &str, at: &Path) {
        self.distinct(dropped.iter().enumerate().map(|(i, name)| (at.index(i), &**name)), "columns to drop");
        for (i, name) in dropped.iter().enumerate().filter(|(_, name)| !names.contains(&name.as_str())) {
            let message = format!("{} has no column {}; {}", quoted(from), quoted(name), suggestion(name, names));
            self.add(&at.index(i), message);
        }
    }

    /// Checks that names differ: each repeated name is a finding.
    pub(crate) fn distinct<'a>(&mut self, names: impl IntoIterator<Item = (Path, &'a str)>, what: &str) {
        let mut seen: Vec<(Path, &str)> = Vec::new();
        for (path, name) in names {
            match seen.iter().find(|(_, n)| *n == name) {
                Some((first, _)) => {
                    let first = self.written(first);
                    self.add(&path, format!("{} is the name of {first} too; {what} have different names", quoted(name)))
                }
                None => seen.push((path, name)),
            }
        }
    }
}

/// A suggestion for an unknown name: `did you mean …?`, or the possible names. A name may be missing or not shown.
pub(crate) fn suggestion(name: &str, candidates: &[&str]) -> String {
    let is_name = |candidate: &&&str| !candidate.is_empty() && !candidate.contains(HIDDEN);
    let all = candidates;
    let candidates: Vec<_> = all.iter().filter(is_name).copied().collect();
    match nearest(name, candidates.iter().copied()) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None if all.is_empty() => "there is none".to_owned(),
        None if candidates.is_empty() => "write a name that is there".to_owned(),
        None => {
            let shown = &candidates[..candidates.len().min(CANDIDATES_SHOWN_MAX)];
            format!("write {}", one_of(shown))
        }
    }
}
