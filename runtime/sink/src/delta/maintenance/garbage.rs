//! Which files of a table's folder may be deleted, though the log does not name them. Pure.
//!
//! What must not go: a file that someone is about to commit. What this process may yet commit is known by name
//! (`pending`), whatever its age. Of older processes of this pipeline nobody commits any more: they are fenced, and
//! what was in doubt is committed before anything is looked after. A newer one has taken over from us, and what it does
//! is none of our business. Of others' files only the age tells.

use crate::delta::pending::Pending;
use crate::upkeep::Writer;

/// What a file is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Files that are younger stay.
    pub(super) older_than_ms: i64,
    pub(super) writer: &'a Writer,
    pub(super) pending: &'a Pending,
    pub(super) partition_columns: &'a [String],
}

/// What becomes of a file that neither the table nor a young tombstone names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
    /// Another pipeline or engine may have written it: it goes if its age can be trusted.
    GoesByAge,
}

/// `path` is relative to the table, as the store has it.
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

/// As Delta's own vacuum has it: `_delta_log`, indexes and the like are named so; a partition column may be, too.
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

/// The folder of another table that a file belongs to, by the path of a file of its log. The table's own log is none.
pub(super) fn nested_table(path: &str) -> Option<&str> {
    path.find("/_delta_log/").map(|end| &path[..end])
}

/// The folders that a file lies in, below the table's own.
pub(super) fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// Of a file that a writer of this checkpoint has written: `part-00000-<lineage>-<generation>-<random>.zstd.parquet`.
/// Lineages of one checkpoint are named after the first one: `<first>.<generation>`.
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
        // Old is what is from before 10,000 s.
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
