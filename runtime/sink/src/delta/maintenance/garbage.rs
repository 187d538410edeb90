//! Which files in a table's folder may be deleted, although the log does not name them. Pure.
//!
//! A file that someone is about to commit must stay. This process knows by name what it may yet commit (`pending`),
//! whatever the age. Nobody commits files of older processes of this pipeline any more: those processes are fenced, and
//! the epoch in doubt is committed before maintenance begins. A newer process has taken over from us, and we leave its
//! files alone. For files of other writers only the age tells.

use crate::delta::pending::Pending;
use crate::upkeep::Writer;

/// The rules that a file is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Files that are younger than this stay, in milliseconds since 1970.
    pub(super) older_than_ms: i64,
    pub(super) writer: &'a Writer,
    pub(super) pending: &'a Pending,
    pub(super) partition_columns: &'a [String],
}

/// What to do with a file that neither the table nor a recent tombstone names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
    /// Another pipeline or engine may have written the file, so it goes if its age can be trusted.
    GoesByAge,
}

/// Judges a file; `path` is relative to the table, as the store has it.
pub(super) fn fate(path: &str, modified_ms: i64, rules: &Rules<'_>) -> Fate {
    let is_data = path.ends_with(".parquet") && !is_hidden(path, rules.partition_columns);
    if modified_ms >= rules.older_than_ms || !is_data || rules.pending.has(path) {
        return Fate::Stays;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    match generation_of(name, &rules.writer.lineage) {
        Some(generation) if generation > rules.writer.generation => Fate::Stays,
        Some(_) => Fate::Goes,
        None => Fate::GoesByAge,
    }
}

/// Whether Delta's own vacuum would skip the path: `_delta_log`, indexes and the like have such names. A partition
/// column may have one too.
fn is_hidden(path: &str, partition_columns: &[String]) -> bool {
    path.split('/').any(|part| {
        let of_partition = || {
            partition_columns
                .iter()
                .any(|column| part.strip_prefix(column.as_str()).is_some_and(|v| v.starts_with('=')))
        };
        part.starts_with(['_', '.']) && !of_partition()
    })
}

/// The folder of another table, found by the path of a file in that table's log. `None` for the table's own log.
pub(super) fn nested_table(path: &str) -> Option<&str> {
    path.find("/_delta_log/").map(|end| &path[..end])
}

/// The folders that contain a file, below the table's own.
pub(super) fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// The generation of a file that a writer of this checkpoint wrote:
/// `part-00000-<lineage>-<generation>-<random>.zstd.parquet`. All lineages of one checkpoint are named after the first:
/// `<first>.<generation>`.
fn generation_of(name: &str, lineage: &str) -> Option<u64> {
    let first = lineage.split('.').next().unwrap_or(lineage);
    let (_, after_number) = name.strip_prefix("part-")?.split_once('-')?;
    let rest = after_number.strip_prefix(first)?;
    let (begun, rest) = rest.split_once('-')?;
    if !begun.is_empty() && !begun.strip_prefix('.').is_some_and(|begun| begun.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    rest.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "0b7c-11";

    fn fate_of(path: &str, modified_ms: i64) -> Fate {
        let writer = Writer { lineage: format!("{OURS}.5"), generation: 7 };
        let columns = ["_day".to_owned()];
        let pending = Pending::default();
        pending.begin(&ours(7, "pending"));
        // Files from before 10,000 s count as old.
        fate(
            path,
            modified_ms,
            &Rules { older_than_ms: 10_000_000, writer: &writer, pending: &pending, partition_columns: &columns },
        )
    }

    fn ours(generation: u64, random: &str) -> String {
        format!("city=a/part-00003-{OURS}.5-{generation:010}-{random}.zstd.parquet")
    }

    #[test]
    fn data_files_go_when_they_are_old() {
        for (path, modified_ms, expected) in [
            ("a.parquet", 9_999_999, Fate::GoesByAge),
            ("a.parquet", 10_000_000, Fate::Stays),
            ("date=2024-01-01/part-00000-x.c000.snappy.parquet", 0, Fate::GoesByAge),
            ("readme.md", 0, Fate::Stays),
            ("deletion_vector_1.bin", 0, Fate::Stays),
            ("part-1.parquet.crc", 0, Fate::Stays),
        ] {
            assert_eq!(fate_of(path, modified_ms), expected, "{path} {modified_ms}");
        }
    }

    #[test]
    fn hidden_files_and_folders_stay_unless_they_are_partitions() {
        for (path, expected) in [
            ("_delta_log/00000000000000000010.checkpoint.parquet", Fate::Stays),
            ("_delta_index/a.parquet", Fate::Stays),
            ("_change_data/a.parquet", Fate::Stays),
            ("date=1/_temporary/a.parquet", Fate::Stays),
            ("date=1/.a.parquet", Fate::Stays),
            ("_day=1/a.parquet", Fate::GoesByAge),
            ("_days=1/a.parquet", Fate::Stays),
        ] {
            assert_eq!(fate_of(path, 0), expected, "{path}");
        }
    }

    #[test]
    fn files_of_the_writer_stay_while_they_may_be_committed_and_those_of_a_newer_writer_stay() {
        assert_eq!(fate_of(&ours(7, "pending"), 0), Fate::Stays);
        assert_eq!(fate_of(&ours(7, "given-up"), 0), Fate::Goes);
        assert_eq!(fate_of(&ours(7, "given-up"), 10_000_000), Fate::Stays);
        assert_eq!(fate_of(&ours(6, "old"), 0), Fate::Goes);
        assert_eq!(fate_of(&ours(8, "newer"), 0), Fate::Stays);
    }

    #[test]
    fn writers_of_every_lineage_of_the_checkpoint_are_known_and_others_are_not() {
        for (lineage, generation, expected) in [
            (OURS.to_owned(), 6, Fate::Goes),
            (format!("{OURS}.2"), 8, Fate::Stays),
            (format!("{OURS}.2"), 3, Fate::Goes),
            (format!("{OURS}2"), 8, Fate::GoesByAge),
            ("another".to_owned(), 8, Fate::GoesByAge),
        ] {
            assert_eq!(
                fate_of(&format!("part-00003-{lineage}-{generation:010}-9cd2.zstd.parquet"), 0),
                expected,
                "{lineage} {generation}"
            );
        }
    }

    #[test]
    fn another_table_in_the_folder_is_told_by_its_log() {
        assert_eq!(nested_table("a/b/_delta_log/00000000000000000000.json"), Some("a/b"));
        assert_eq!(nested_table("_delta_log/00000000000000000000.json"), None);
        assert_eq!(nested_table("a/_delta_logs/x"), None);
        assert_eq!(folders("a/b/c.parquet").collect::<Vec<_>>(), ["a", "a/b"]);
    }
}
