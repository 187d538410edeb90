//! Walks through the dead letters of a table, version by version and batch by batch, and tracks where another replay
//! would continue.

use std::fmt;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use tokio::runtime::Handle;
use weir_runtime::clock::{since, steady};
use weir_runtime::failure::Result;
use weir_runtime::sink::reading_back::ReadBack;

use super::letter::Letter;

use crate::say::err;

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The destination of letters.
pub trait Outlet {
    fn take(&mut self, letter: &Letter<'_>) -> Result<()>;

    /// Returns when all letters taken so far have arrived.
    fn settle(&mut self) -> Result<()>;

    /// The line that reports progress. `next` is where another replay would continue.
    fn report(&self, letters: u64, next: Position) -> String;
}

/// Which letters are selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// A text that the letter's reason must contain.
    pub reason: Option<String>,
    /// The number of rows to skip in the first version, whatever their reason.
    pub skip: u64,
    pub limit: Option<u64>,
}

/// A position in the table: in `version`, the first `rows` rows are done, whether they were selected or not. Files and
/// the commits that name them never change, so the rows of a version always come in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub version: i64,
    pub rows: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--from-version {}", self.version)?;
        if self.rows > 0 { write!(f, " --skip {}", self.rows) } else { Ok(()) }
    }
}

pub struct Walk {
    table: Box<dyn ReadBack>,
    progress: Progress,
}

/// How far the walk has come.
struct Progress {
    selection: Selection,
    first_version: i64,
    /// The position of the next row.
    at: Position,
    /// The position behind the letters that have arrived.
    settled: Position,
    taken: u64,
}

impl Walk {
    /// A walk through the rows of `table`, whose first version is `first_version`.
    pub fn new(table: Box<dyn ReadBack>, first_version: i64, selection: Selection) -> Self {
        Self { table, progress: Progress::new(first_version, selection) }
    }

    /// Walks to the last version, or to the limit.
    pub fn run(&mut self, runtime: &Handle, outlet: &mut impl Outlet) -> Result<()> {
        let Self { table, progress } = self;
        let mut reported: Option<Instant> = None;
        while let Some((version, rows)) = runtime.block_on(table.next())? {
            progress.enter(version);
            let more = progress.batch(&rows, outlet)?;
            // The first report comes at once, so that a user who kills the command within the first second knows where
            // to continue.
            if reported.is_none_or(|at| since(at) >= REPORT_EVERY) {
                err!("{}", outlet.report(progress.taken, progress.settled));
                reported = Some(steady());
            }
            if !more {
                return Ok(());
            }
        }
        progress.enter(table.last_version() + 1);
        progress.settled = progress.at;
        Ok(())
    }

    /// The number of letters that were handed to the outlet.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.progress.taken
    }

    /// Where to continue so that no letter that has arrived is produced again. If the walk failed, some letters behind
    /// this position may have arrived too.
    #[must_use]
    pub fn next(&self) -> Position {
        self.progress.settled
    }
}

impl Progress {
    fn new(first_version: i64, selection: Selection) -> Self {
        let at = Position { version: first_version, rows: 0 };
        let settled = Position { rows: selection.skip, ..at };
        Self { selection, first_version, at, settled, taken: 0 }
    }

    fn enter(&mut self, version: i64) {
        if version > self.at.version {
            self.at = Position { version, rows: 0 };
        }
    }

    /// Takes the selected letters of these rows. Returns whether more may follow.
    fn batch(&mut self, rows: &RecordBatch, outlet: &mut impl Outlet) -> Result<bool> {
        for row in 0..rows.num_rows() {
            if self.limit_is_reached() {
                break;
            }
            if !self.skips() {
                let letter = Letter::of(rows, row)?;
                let is_wanted =
                    self.selection.reason.as_ref().is_none_or(|wanted| letter.reason.contains(wanted.as_str()));
                if is_wanted && letter.is_record() {
                    outlet.take(&letter)?;
                    self.taken += 1;
                }
            }
            self.at.rows += 1;
        }
        outlet.settle()?;
        if !self.skips() {
            self.settled = self.at;
        }
        Ok(!self.limit_is_reached())
    }

    fn limit_is_reached(&self) -> bool {
        self.selection.limit.is_some_and(|limit| self.taken >= limit)
    }

    /// Whether the next row is to be skipped, because it was replayed before.
    fn skips(&self) -> bool {
        self.at.version == self.first_version && self.at.rows < self.selection.skip
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::letter::tests::{letter, rows};
    use super::*;

    /// Keeps the offsets of the letters, and how many of them are settled.
    #[derive(Default)]
    struct Kept(Vec<i64>, usize);

    impl Outlet for Kept {
        fn take(&mut self, letter: &Letter<'_>) -> Result<()> {
            self.0.push(letter.origin.offset);
            Ok(())
        }

        fn settle(&mut self) -> Result<()> {
            self.1 = self.0.len();
            Ok(())
        }

        fn report(&self, letters: u64, next: Position) -> String {
            format!("{letters} kept; next: {next}")
        }
    }

    const REASONS: [&str; 3] = ["found a string, want a bigint", "found null", "found a string, want a double"];

    /// Walks through two batches of version 4, offsets 0..4 and 4..6, and one of version 7, offsets 6..9. The reasons
    /// alternate.
    fn walk(first_version: i64, selection: Selection) -> (Vec<i64>, String) {
        let mut progress = Progress::new(first_version, selection);
        let mut kept = Kept::default();
        for (version, offsets) in [(4, 0..4), (4, 4..6), (7, 6..9)] {
            if version < first_version {
                continue;
            }
            progress.enter(version);
            let letters: Vec<_> = offsets.map(|o| letter(o, REASONS[usize::try_from(o).unwrap() % 3])).collect();
            let more = progress.batch(&rows(&letters), &mut kept).unwrap();
            assert_eq!(kept.1, kept.0.len(), "a batch ends settled");
            if !more {
                break;
            }
        }
        (kept.0, progress.settled.to_string())
    }

    fn all() -> Selection {
        Selection { reason: None, skip: 0, limit: None }
    }

    #[test]
    fn a_limit_ends_within_a_version_and_the_next_replay_goes_on_behind_it() {
        let (first, next) = walk(0, Selection { limit: Some(5), ..all() });
        assert_eq!((first, next.as_str()), (vec![0, 1, 2, 3, 4], "--from-version 4 --skip 5"));
        let (second, next) = walk(4, Selection { skip: 5, ..all() });
        assert_eq!((second, next.as_str()), (vec![5, 6, 7, 8], "--from-version 7 --skip 3"));
    }

    #[test]
    fn rows_that_are_skipped_are_counted_before_reasons_are_looked_at() {
        let strings = Selection { reason: Some("found a string".into()), ..all() };
        let (first, next) = walk(0, Selection { limit: Some(2), ..strings.clone() });
        assert_eq!((first, next.as_str()), (vec![0, 2], "--from-version 4 --skip 3"));
        assert_eq!(walk(4, Selection { skip: 3, ..strings }).0, [3, 5, 6, 8]);
        assert_eq!(walk(0, Selection { reason: Some("want a double".into()), ..all() }).0, [2, 5, 8]);
    }

    #[test]
    fn a_row_for_a_range_of_offsets_is_no_record_and_no_tombstone() {
        let range = Letter {
            key: None,
            value: None,
            timestamp_ms: None,
            ..letter(1, "unreadable offsets [1, 5): failed CRC32C check")
        };
        let tombstone = Letter { timestamp_ms: Some(7), ..range };
        let (mut progress, mut kept) = (Progress::new(4, all()), Kept::default());
        progress.enter(4);
        progress
            .batch(
                &rows(&[letter(0, "found null"), range, Letter { origin: letter(9, "").origin, ..tombstone }]),
                &mut kept,
            )
            .unwrap();
        assert_eq!((kept.0, progress.taken, progress.settled.rows), (vec![0, 9], 2, 3));
    }

    #[test]
    fn a_replay_that_only_skipped_has_not_gone_back() {
        assert_eq!(walk(7, Selection { skip: 9, ..all() }), (vec![], "--from-version 7 --skip 9".to_owned()));
    }
}
