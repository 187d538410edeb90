//! Which files are worth compacting. Pure: it takes the table's files and returns rounds; a round is one rewrite and
//! one commit.
//!
//! In a partition that is being written to, a file joins only if it is no larger than all smaller ones together. So a
//! row is rewritten whenever the data doubles, and not in each round. A partition that got no new files for a while is
//! compacted whole.

use std::collections::HashMap;

/// The most bytes of one round. This limits what a conflict wastes and how large the commit is.
const ROUND_BYTES_MAX: u64 = 1 << 30;
const ROUND_FILES_MAX: usize = 1_000;
/// The most bytes of all rounds after one look. The rest waits for the next look.
const LOOK_BYTES_MAX: u64 = 16 << 30;
/// How many small files are held in memory, at some hundred bytes each.
const CANDIDATES_MAX: usize = 20_000;

/// A data file, as the log names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataFile {
    /// The file's URI, relative to the table.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) modified_ms: i64,
}

/// A partition's values, in the order of the table's partition columns, as the log writes them.
pub(super) type Values = Vec<Option<String>>;

/// Files of one partition that a rewrite turns into fewer ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) values: Values,
    /// The files to rewrite, oldest first.
    pub(super) files: Vec<DataFile>,
}

/// The small files of a table, or, of a large table, as many of them as fit.
#[derive(Debug)]
pub(super) struct Candidates {
    target_bytes: u64,
    files_max: usize,
    held: usize,
    /// Whether no more files are taken.
    full: bool,
    by_partition: HashMap<Values, Vec<DataFile>>,
}

impl Candidates {
    /// No candidates yet, for a table whose files should have `target_bytes`.
    pub(super) fn new(target_bytes: u64) -> Self {
        Self { target_bytes, files_max: CANDIDATES_MAX, held: 0, full: false, by_partition: HashMap::new() }
    }

    /// Takes a file of the table if it is small: if it has less than half of the target size, so that two such files
    /// still make one.
    pub(super) fn offer(&mut self, values: Values, file: DataFile) {
        if self.full || file.size >= self.target_bytes / 2 {
            return;
        }
        if self.held >= self.files_max {
            self.make_room();
        }
        if !self.full {
            self.by_partition.entry(values).or_default().push(file);
            self.held += 1;
        }
    }

    /// Drops partitions with only one small file, because there is nothing to compact in them.
    fn make_room(&mut self) {
        self.by_partition.retain(|_, files| files.len() > 1);
        self.held = self.by_partition.values().map(Vec::len).sum();
        self.full = self.held > self.files_max / 4 * 3;
    }

    /// The rounds to do, those with the most files first. A partition whose files are all older than `quiet_since_ms`
    /// is quiet.
    pub(super) fn rounds(self, quiet_since_ms: i64) -> Vec<Round> {
        let round_bytes_max = ROUND_BYTES_MAX.max(self.target_bytes);
        let mut rounds = Vec::new();
        for (values, files) in self.by_partition {
            let files = worth(files, quiet_since_ms);
            rounds.extend(cut(files, round_bytes_max).into_iter().map(|files| Round { values: values.clone(), files }));
        }
        rounds.sort_by(|a, b| {
            (b.files.len(), &a.values, &a.files[0].path).cmp(&(a.files.len(), &b.values, &b.files[0].path))
        });
        let mut bytes = 0;
        rounds.retain(|round| {
            bytes += round.bytes();
            bytes <= LOOK_BYTES_MAX.max(round_bytes_max)
        });
        rounds
    }
}

impl Round {
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }
}

/// The files of one partition that are worth a rewrite, oldest first.
fn worth(mut files: Vec<DataFile>, quiet_since_ms: i64) -> Vec<DataFile> {
    let quiet = files.iter().all(|f| f.modified_ms < quiet_since_ms);
    if !quiet {
        files.sort_by(|a, b| (a.size, &a.path).cmp(&(b.size, &b.path)));
        let mut smaller = 0;
        let mut joining = 0;
        for (count, file) in (1..).zip(&files) {
            if file.size <= smaller {
                joining = count;
            }
            smaller += file.size;
        }
        files.truncate(joining);
    }
    // Rows of similar times stay together, which keeps the bounds in the statistics narrow.
    files.sort_by(|a, b| (a.modified_ms, &a.path).cmp(&(b.modified_ms, &b.path)));
    files
}

/// Cuts files into rounds of at most `bytes_max` bytes, each of at least two files.
fn cut(files: Vec<DataFile>, bytes_max: u64) -> Vec<Vec<DataFile>> {
    let mut rounds: Vec<Vec<DataFile>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let fits = bytes + file.size <= bytes_max && rounds.last().is_some_and(|round| round.len() < ROUND_FILES_MAX);
        match rounds.last_mut().filter(|_| fits) {
            Some(round) => {
                bytes += file.size;
                round.push(file);
            }
            None => {
                bytes = file.size;
                rounds.push(vec![file]);
            }
        }
    }
    rounds.retain(|round| round.len() > 1);
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn file(path: &str, size: u64, modified_ms: i64) -> DataFile {
        DataFile { path: path.into(), size, modified_ms }
    }

    /// The paths of each round, for a table with a target size of 128 MiB. Each file is given as partition, path, size
    /// and modification time.
    fn rounds(quiet_since_ms: i64, files: &[(&str, &str, u64, i64)]) -> Vec<Vec<String>> {
        let mut candidates = Candidates::new(128 * MIB);
        for (partition, path, size, modified_ms) in files {
            candidates.offer(vec![Some((*partition).to_owned())], file(path, *size, *modified_ms));
        }
        candidates
            .rounds(quiet_since_ms)
            .into_iter()
            .map(|round| round.files.into_iter().map(|f| f.path).collect())
            .collect()
    }

    #[test]
    fn small_files_of_a_partition_go_together_the_oldest_first_and_large_ones_stay() {
        let files = [
            ("a", "a2", MIB, 2),
            ("a", "a1", MIB, 1),
            ("b", "b", MIB, 1),
            ("a", "a3", 2 * MIB, 3),
            ("a", "large", 64 * MIB, 1),
        ];
        assert_eq!(rounds(0, &files), [["a1", "a2", "a3"]]);
    }

    #[test]
    fn a_file_is_written_again_only_when_as_much_has_come_since() {
        assert_eq!(rounds(0, &[("a", "old", 10 * MIB, 1), ("a", "n1", MIB, 2), ("a", "n2", MIB, 3)]), [["n1", "n2"]]);
        assert_eq!(
            rounds(0, &[("a", "old", 10 * MIB, 1), ("a", "n1", 5 * MIB, 2), ("a", "n2", 5 * MIB, 3)]),
            [["old", "n1", "n2"]]
        );
        assert_eq!(rounds(0, &[("a", "old", 10 * MIB, 1), ("a", "new", MIB, 2)]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_quiet_partition_is_compacted_whole() {
        let files = [("a", "old", 10 * MIB, 1), ("a", "new", MIB, 2)];
        assert_eq!(rounds(3, &files), [["old", "new"]]);
        assert_eq!(rounds(2, &files), Vec::<Vec<String>>::new());
    }

    #[test]
    fn rounds_are_bounded_in_files_and_bytes_and_none_has_but_one_file() {
        let names: Vec<String> = (0..=ROUND_FILES_MAX).map(|i| format!("{i:05}")).collect();
        let many: Vec<_> = names.iter().map(|name| ("a", name.as_str(), 1, 1)).collect();
        assert_eq!(rounds(2, &many).iter().map(Vec::len).collect::<Vec<_>>(), [ROUND_FILES_MAX]);
        let names: Vec<String> = (0..20).map(|i| format!("{i:05}")).collect();
        let large: Vec<_> = names.iter().map(|name| ("a", name.as_str(), 60 * MIB, 1)).collect();
        assert_eq!(rounds(2, &large).iter().map(Vec::len).collect::<Vec<_>>(), [17, 3]);
    }

    #[test]
    fn what_is_held_is_bounded_and_single_files_give_way() {
        let mut candidates = Candidates { files_max: 4, ..Candidates::new(128 * MIB) };
        let mut offer =
            |partition: &str, path: &str| candidates.offer(vec![Some(partition.to_owned())], file(path, MIB, 1));
        for (partition, path) in
            [("a", "a1"), ("b", "b1"), ("c", "c1"), ("a", "a2"), ("d", "d1"), ("d", "d2"), ("e", "e1"), ("e", "e2")]
        {
            offer(partition, path);
        }
        assert!(candidates.full);
        let paths: Vec<_> = candidates.rounds(2).into_iter().flat_map(|r| r.files).map(|f| f.path).collect();
        assert_eq!(paths, ["a1", "a2", "d1", "d2"]);
    }
}
