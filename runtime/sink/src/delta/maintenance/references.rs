//! What keeps the files of a table: the files that it has, and recent tombstones of files that it had, which readers of
//! older versions may still read. Each file is stored as a hash, so that a million files take some 20 MB; two files
//! that share a hash are both kept.

use std::collections::HashSet;
use std::time::Duration;

use arrow::array::{Array, AsArray as _, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use delta_kernel::engine::arrow_data::EngineDataArrowExt as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use weir_base::failure::{Failure, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::delta::log::{Log, State, Unreadable, state_of};
use crate::delta::stored::path_of;

/// Bytes per file in a set while it grows.
const BYTES_PER_FILE: u64 = 32;
/// Delta's own default, for tables that do not set it.
const TOMBSTONES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the log names at one version.
pub(super) struct References {
    pub(super) state: State,
    pub(super) kept: Kept,
    /// How long the log itself remembers which files the table had.
    pub(super) tombstones_kept: Duration,
}

/// The files that must stay.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: HashSet<u64>,
    /// Files that the table had and, by its log, lost long ago, so nobody is about to commit them. As many of them as
    /// there is room for.
    left: HashSet<u64>,
    files_max: usize,
}

impl Kept {
    fn within(bytes: u64) -> Self {
        Self {
            files: HashSet::new(),
            left: HashSet::new(),
            files_max: usize::try_from(bytes / BYTES_PER_FILE).unwrap_or(usize::MAX),
        }
    }

    /// Whether the file must stay; `path` is relative to the table, as the store has it.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains(&xxh3_64(path.as_bytes()))
    }

    /// Whether the log says that the table had the file and lost it long ago. `false` may also mean that this is
    /// unknown.
    pub(super) fn has_left(&self, path: &str) -> bool {
        self.left.contains(&xxh3_64(path.as_bytes()))
    }

    fn leave(&mut self, uri: &str) {
        if let Some(path) = path_of(uri).filter(|_| self.files.len() + self.left.len() < self.files_max) {
            self.left.insert(xxh3_64(path.as_ref().as_bytes()));
        }
    }

    /// Keeps a file; `uri` is its name in the log.
    fn keep(&mut self, uri: &str) -> Result<(), String> {
        let path = path_of(uri)
            .ok_or_else(|| format!("the log names {uri}, which may lie anywhere: such tables are not vacuumed"))?;
        if self.files.len() + self.left.len() >= self.files_max {
            self.left = HashSet::new();
        }
        if self.files.len() >= self.files_max {
            return Err(format!(
                "the table has more than {} files, which do not fit the memory for its vacuum",
                self.files_max
            ));
        }
        self.files.insert(xxh3_64(path.as_ref().as_bytes()));
        Ok(())
    }

    /// Keeps what a later commit adds. False if the commit changes the table's metadata or protocol.
    pub(super) fn keep_added(&mut self, commit: &[u8]) -> Result<bool> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Line {
            add: Option<File>,
            protocol: Option<IgnoredAny>,
            meta_data: Option<IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct File {
            path: String,
        }
        let mut same = true;
        for line in serde_json::Deserializer::from_slice(commit).into_iter::<Line>() {
            let line = line.map_err(|e| Failure::config(format!("a commit is not valid JSON lines: {e}")))?;
            same &= line.protocol.is_none() && line.meta_data.is_none();
            if let Some(add) = line.add {
                self.keep(&add.path).map_err(Failure::config)?;
            }
        }
        Ok(same)
    }
}

/// Reads the log. Tombstones from before `removed_since_ms` keep nothing. `bytes_max` limits the size of the result.
pub(super) async fn references(log: &Log, removed_since_ms: i64, bytes_max: u64) -> Result<References> {
    log.newest("list what keeps the files of", move |snapshot, engine| {
        let state = state_of(snapshot)?;
        let tombstones_kept = snapshot.table_properties().deleted_file_retention_duration.unwrap_or(TOMBSTONES_KEPT);
        let mut kept = Kept::within(bytes_max);
        // A log checkpoint would hold exactly these actions.
        for actions in snapshot.clone().create_checkpoint_writer(engine)?.checkpoint_data(engine)? {
            let actions =
                actions.and_then(|a| a.apply_selection_vector()?.try_into_record_batch()).map_err(Unreadable::from)?;
            take(&actions, removed_since_ms, &mut kept).map_err(Unreadable::Odd)?;
        }
        Ok(References { state, kept, tombstones_kept })
    })
    .await
}

fn take(actions: &RecordBatch, removed_since_ms: i64, kept: &mut Kept) -> Result<(), String> {
    for row in column(actions, "add")?.present() {
        kept.keep(row.path)?;
    }
    let removes = column(actions, "remove")?;
    let times = removes.all.column_by_name("deletionTimestamp").and_then(|times| times.as_primitive_opt::<Int64Type>());
    for row in removes.present() {
        // Without a time, nobody knows how old the tombstone is, so the file is kept.
        let removed_ms = times.filter(|times| times.is_valid(row.index)).map(|times| times.value(row.index));
        if removed_ms.is_none_or(|at| at >= removed_since_ms) {
            kept.keep(row.path)?;
        } else {
            kept.leave(row.path);
        }
    }
    Ok(())
}

/// The `add` or `remove` actions of a batch.
struct Files<'a> {
    all: &'a arrow::array::StructArray,
    paths: &'a StringArray,
}

struct Row<'a> {
    index: usize,
    path: &'a str,
}

impl<'a> Files<'a> {
    fn present(&self) -> impl Iterator<Item = Row<'a>> {
        let (all, paths) = (self.all, self.paths);
        (0..all.len())
            .filter(|&i| all.is_valid(i) && paths.is_valid(i))
            .map(|index| Row { index, path: paths.value(index) })
    }
}

fn column<'a>(actions: &'a RecordBatch, name: &str) -> Result<Files<'a>, String> {
    let all = actions.column_by_name(name).and_then(|column| column.as_struct_opt());
    let paths = all.and_then(|all| all.column_by_name("path")?.as_string_opt::<i32>());
    let (Some(all), Some(paths)) = (all, paths) else {
        return Err(format!("the log's `{name}` actions are of another shape"));
    };
    Ok(Files { all, paths })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_are_known_by_their_place_however_the_log_spells_it() {
        let mut kept = Kept::within(1 << 10);
        kept.keep("city=S%2525C3/a%20b.parquet").unwrap();
        assert!(kept.has("city=S%25C3/a b.parquet") && !kept.has("city=S%2525C3/a%20b.parquet"));
        assert!(kept.keep("s3a://lake/table/a.parquet").unwrap_err().contains("may lie anywhere"));
    }

    #[test]
    fn a_table_of_too_many_files_is_told_and_not_held() {
        let mut kept = Kept::within(2 * BYTES_PER_FILE);
        kept.keep("a").and_then(|()| kept.keep("b")).unwrap();
        assert_eq!(
            kept.keep("c").unwrap_err(),
            "the table has more than 2 files, which do not fit the memory for its vacuum"
        );
    }

    #[test]
    fn what_a_later_commit_adds_is_kept_and_a_change_of_the_table_is_told() {
        let mut kept = Kept::within(1 << 10);
        assert!(kept.keep_added(b"{\"add\":{\"path\":\"a.parquet\"}}\n{\"remove\":{\"path\":\"b.parquet\"}}").unwrap());
        assert!(kept.has("a.parquet") && !kept.has("b.parquet"));
        assert!(!kept.keep_added(b"{\"metaData\":{\"id\":\"x\"}}").unwrap());
    }
}
