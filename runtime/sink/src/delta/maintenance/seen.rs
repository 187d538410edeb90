//! Since when this process has known files that nothing names. In a local folder, file times come from the machine's
//! clock, and that clock may step. Then a file that somebody is about to commit looks as old as the step is long. So
//! this measures how long a file has been seen, by a clock that nobody sets.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

/// The most files that are remembered, some 2 MB. Further files count as seen later.
const FILES_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(in crate::delta) struct Seen {
    /// When a look found the file first, in milliseconds of the steady clock, by the path's hash.
    since_ms: HashMap<u64, i64>,
    /// What the current look has found.
    found: HashMap<u64, i64>,
}

impl Seen {
    /// Notes that the current look has found this file. Returns since when the file is known, if it is remembered.
    pub(super) fn since(&mut self, path: &str, now_ms: i64) -> Option<i64> {
        let file = xxh3_64(path.as_bytes());
        let since_ms = self.since_ms.get(&file).copied().unwrap_or(now_ms);
        if self.found.len() >= FILES_MAX && !self.found.contains_key(&file) {
            return None;
        }
        Some(*self.found.entry(file).or_insert(since_ms))
    }

    /// Ends the look. A file that it did not find is gone or has been committed.
    pub(super) fn end_look(&mut self) {
        self.since_ms = std::mem::take(&mut self.found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_since_the_first_look_and_forgotten_when_a_look_does_not_find_it() {
        let mut seen = Seen::default();
        assert_eq!(seen.since("a", 5), Some(5));
        assert_eq!(seen.since("a", 6), Some(5));
        seen.end_look();
        assert_eq!((seen.since("a", 9), seen.since("b", 9)), (Some(5), Some(9)));
        seen.end_look();
        seen.end_look();
        assert_eq!(seen.since("a", 20), Some(20));
    }
}
