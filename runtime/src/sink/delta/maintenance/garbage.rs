//! Which files of a table's folder may be deleted, though the log does not name them. Pure.
//!
//! What must not go: a file that someone is about to commit. Of others' files only the age tells. Of the writer's own, one is settled when
//! the epoch after it is committed; an epoch may be open for longer than files are kept. A newer generation has taken over from us, and
//! what it does is none of our business.

/// Clocks of a store and of a machine differ by less.
const SKEW_MS: i64 = 600_000;

/// Who writes to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    pub lineage: String,
    pub generation: u64,
}

/// What the age of a file is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Files that are younger stay.
    pub(super) older_than_ms: i64,
    /// Files of the writer that are older belong to epochs that are committed, or to none.
    pub(super) settled_ms: i64,
    pub(super) writer: &'a Writer,
    pub(super) partition_columns: &'a [String],
}

/// Whether a file may go that neither the table nor a young tombstone names. `path` is relative to the table, as the store has it.
pub(super) fn may_go(path: &str, modified_ms: i64, rules: &Rules<'_>) -> bool {
    modified_ms < rules.older_than_ms
        && path.ends_with(".parquet")
        && !is_hidden(path, rules.partition_columns)
        && !may_be_committed_yet(path, modified_ms, rules)
}

/// As Delta's own vacuum has it: `_delta_log`, indexes and the like are named so; a partition column may be, too.
fn is_hidden(path: &str, partition_columns: &[String]) -> bool {
    path.split('/').any(|part| {
        let of_partition = || partition_columns.iter().any(|column| part.strip_prefix(column.as_str()).is_some_and(|v| v.starts_with('=')));
        part.starts_with(['_', '.']) && !of_partition()
    })
}

fn may_be_committed_yet(path: &str, modified_ms: i64, rules: &Rules<'_>) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(generation) = generation_of(name, &rules.writer.lineage) else { return false };
    generation > rules.writer.generation
        || (generation == rules.writer.generation && modified_ms >= rules.settled_ms.saturating_sub(SKEW_MS))
}

/// Of a file that a writer of this lineage has written: `part-00000-<lineage>-<generation>-<random>.zstd.parquet`.
fn generation_of(name: &str, lineage: &str) -> Option<u64> {
    let (_, after_number) = name.strip_prefix("part-")?.split_once('-')?;
    let (generation, _) = after_number.strip_prefix(lineage)?.strip_prefix('-')?.split_once('-')?;
    generation.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "0b7c-11";

    fn goes(path: &str, modified_ms: i64) -> bool {
        let writer = Writer { lineage: OURS.into(), generation: 7 };
        let columns = ["_day".to_owned()];
        // Old is what is from before 10,000 s; settled is what is from before 9,000 s, less ten minutes.
        let rules = Rules { older_than_ms: 10_000_000, settled_ms: 9_000_000, writer: &writer, partition_columns: &columns };
        may_go(path, modified_ms, &rules)
    }

    #[test]
    fn data_files_go_when_they_are_old() {
        for (path, modified_ms, expected) in [
            ("a.parquet", 9_999_999, true),
            ("a.parquet", 10_000_000, false),
            ("date=2024-01-01/part-00000-x.c000.snappy.parquet", 0, true),
            ("readme.md", 0, false),
            ("deletion_vector_1.bin", 0, false),
            ("part-1.parquet.crc", 0, false),
        ] {
            assert_eq!(goes(path, modified_ms), expected, "{path} {modified_ms}");
        }
    }

    #[test]
    fn hidden_files_and_folders_stay_unless_they_are_partitions() {
        for (path, expected) in [
            ("_delta_log/00000000000000000010.checkpoint.parquet", false),
            ("_delta_index/a.parquet", false),
            ("_change_data/a.parquet", false),
            ("date=1/_temporary/a.parquet", false),
            ("date=1/.a.parquet", false),
            ("_day=1/a.parquet", true),
            ("_days=1/a.parquet", false),
        ] {
            assert_eq!(goes(path, 0), expected, "{path}");
        }
    }

    #[test]
    fn files_of_the_writer_stay_until_their_epoch_is_settled_and_those_of_a_newer_writer_stay() {
        for (lineage, generation, modified_ms, expected) in [
            (OURS, 7, 8_399_999, true),
            (OURS, 7, 8_400_000, false),
            (OURS, 6, 9_999_999, true),
            (OURS, 8, 0, false),
            ("another-lineage", 8, 9_999_999, true),
        ] {
            let path = format!("city=a/part-00003-{lineage}-{generation:010}-9cd2f8b0-0000-4000-8000-000000000000.zstd.parquet");
            assert_eq!(goes(&path, modified_ms), expected, "{path} {modified_ms}");
        }
    }
}
