//! The commits that came while a compaction was under way, and how they affect it. Pure. Appends do not affect it. A
//! commit that touches one of its files, or changes the table's metadata or protocol, wins.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use weir_base::failure::{Failure, Result};

use crate::delta::stored::path_of;

/// What is known about the log since a look at it.
#[derive(Debug)]
pub(super) struct Winners {
    /// The newest version that was read.
    pub(super) version: i64,
    watched: HashSet<String>,
    /// The watched files that another commit has named.
    touched: HashSet<String>,
    table_changed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<File>,
    remove: Option<File>,
    protocol: Option<IgnoredAny>,
    meta_data: Option<IgnoredAny>,
    commit_info: Option<CommitInfo>,
}

#[derive(Deserialize)]
struct File {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitInfo {
    txn_id: Option<String>,
}

impl Winners {
    /// Watches files, given by their names in the log, from `version` on.
    pub(super) fn since<'a>(version: i64, watched: impl Iterator<Item = &'a str>) -> Self {
        Self { version, watched: watched.map(key).collect(), touched: HashSet::new(), table_changed: false }
    }

    /// Takes the commit of the next version. True if it is the commit of `txn_id`: ours, whose answer was lost.
    pub(super) fn take(&mut self, commit: &[u8], txn_id: Option<&str>) -> Result<bool> {
        let (mut named, mut changed, mut ours) = (Vec::new(), false, false);
        for line in serde_json::Deserializer::from_slice(commit).into_iter::<Line>() {
            let line = line
                .map_err(|e| Failure::config(format!("version {} is not valid JSON lines: {e}", self.version + 1)))?;
            // A file that is added again has a new deletion vector or other statistics, so what we read from it is
            // outdated.
            named.extend(line.add.into_iter().chain(line.remove).map(|file| key(&file.path)));
            changed |= line.protocol.is_some() || line.meta_data.is_some();
            ours |= txn_id.is_some() && line.commit_info.is_some_and(|info| info.txn_id.as_deref() == txn_id);
        }
        self.version += 1;
        if !ours {
            self.touched.extend(named.into_iter().filter(|path| self.watched.contains(path)));
            self.table_changed |= changed;
        }
        Ok(ours)
    }

    /// Notes that our own commit has taken the next version.
    pub(super) fn committed(&mut self) {
        self.version += 1;
    }

    /// Why these files must not be replaced any more, if so; half a sentence.
    pub(super) fn conflict<'a>(&self, mut inputs: impl Iterator<Item = &'a str>) -> Option<String> {
        if self.table_changed {
            return Some("another commit changed the table's metadata or protocol".to_owned());
        }
        let taken = inputs.find(|path| self.touched.contains(&key(path)))?;
        Some(format!("another commit took away or changed {taken}"))
    }
}

/// Different spellings of one URI have the same key.
fn key(path: &str) -> String {
    path_of(path).map_or_else(|| path.to_owned(), |path| path.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn after(commits: &[&[Value]]) -> Winners {
        let mut winners = Winners::since(7, ["date=1/a.parquet", "b%2520c.parquet"].into_iter());
        for actions in commits {
            let lines: Vec<_> = actions.iter().map(Value::to_string).collect();
            assert!(!winners.take(lines.join("\n").as_bytes(), Some("ours")).unwrap());
        }
        winners
    }

    fn conflict(commits: &[&[Value]], inputs: &[&str]) -> Option<String> {
        after(commits).conflict(inputs.iter().copied())
    }

    #[test]
    fn appends_and_transactions_of_others_do_not_conflict() {
        let append =
            [json!({"txn": {"appId": "a", "version": 1}}), json!({"add": {"path": "new.parquet", "dataChange": true}})];
        let winners = after(&[&append, &append]);
        assert_eq!((winners.conflict(["date=1/a.parquet"].into_iter()), winners.version), (None, 9));
    }

    #[test]
    fn a_file_that_was_removed_or_added_again_conflicts_with_those_who_read_it_and_with_no_others() {
        let says = |path: &str| Some(format!("another commit took away or changed {path}"));
        for action in ["remove", "add"] {
            let commit = [json!({action: {"path": "date=1/a.parquet", "dataChange": true}})];
            assert_eq!(conflict(&[&commit], &["b%2520c.parquet", "date=1/a.parquet"]), says("date=1/a.parquet"));
            assert_eq!(conflict(&[&commit], &["b%2520c.parquet"]), None);
        }
    }

    #[test]
    fn the_same_file_in_another_spelling_conflicts() {
        let commit = [json!({"remove": {"path": "b%25%32%30c%2Eparquet"}})];
        assert!(conflict(&[&commit], &["b%2520c.parquet"]).is_some());
    }

    #[test]
    fn changed_metadata_and_protocol_conflict_with_everything() {
        for action in [json!({"metaData": {"id": "x"}}), json!({"protocol": {"minReaderVersion": 1}})] {
            let says = "another commit changed the table's metadata or protocol";
            assert_eq!(conflict(&[&[action]], &["b%2520c.parquet"]).as_deref(), Some(says));
        }
    }

    #[test]
    fn our_own_commit_is_told_by_its_number_and_is_no_conflict() {
        let mut winners = after(&[]);
        let commit = format!(
            "{}\n{}",
            json!({"commitInfo": {"txnId": "ours"}}),
            json!({"remove": {"path": "date=1/a.parquet"}})
        );
        assert!(winners.take(commit.as_bytes(), Some("ours")).unwrap());
        assert_eq!((winners.version, winners.conflict(["date=1/a.parquet"].into_iter())), (8, None));
    }
}
