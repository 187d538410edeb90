//! How one commit changed the rows of its table. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use weir_base::failure::{Failure, Result};

/// A data file with new rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AddedFile {
    /// The path as in the log: a URI, relative to the table.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) partition_values: HashMap<String, Option<String>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// The added files, in the order of the commit.
    pub(super) added: Vec<AddedFile>,
    /// The operation, if the commit removed or rewrote rows that were there before.
    pub(super) rows_changed_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<Add>,
    remove: Option<Remove>,
    commit_info: Option<CommitInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    path: String,
    size: u64,
    #[serde(default)]
    partition_values: HashMap<String, Option<String>>,
    data_change: bool,
    deletion_vector: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remove {
    data_change: bool,
}

#[derive(Deserialize)]
struct CommitInfo {
    operation: Option<String>,
}

impl Changes {
    pub(super) fn parse(commit: &[u8]) -> Result<Self> {
        let (mut added, mut operation, mut changed) = (Vec::new(), None, false);
        for line in serde_json::Deserializer::from_slice(commit).into_iter::<Line>() {
            let line = line.map_err(|e| Failure::config(format!("the commit is not valid JSON lines: {e}")))?;
            operation = line.commit_info.and_then(|info| info.operation).or(operation);
            changed |= line.remove.is_some_and(|remove| remove.data_change);
            // An `add` without a change of data comes from a compaction; its rows came in earlier versions.
            if let Some(add) = line.add.filter(|add| add.data_change) {
                changed |= add.deletion_vector.is_some();
                added.push(AddedFile { path: add.path, size: add.size, partition_values: add.partition_values });
            }
        }
        let operation = operation.unwrap_or_else(|| "an operation that it does not name".to_owned());
        Ok(Self { added, rows_changed_by: changed.then_some(operation) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn parse(actions: &[Value]) -> Changes {
        let lines: Vec<_> = actions.iter().map(Value::to_string).collect();
        Changes::parse(lines.join("\n").as_bytes()).unwrap()
    }

    fn add(path: &str, data_change: bool) -> Value {
        let values = json!({"topic": "a", "path": null});
        json!({"add": {"path": path, "partitionValues": values, "size": 7, "modificationTime": 1, "dataChange": data_change}})
    }

    fn remove(data_change: bool) -> Value {
        json!({"remove": {"path": "x", "dataChange": data_change}})
    }

    fn info(operation: &str) -> Value {
        json!({"commitInfo": {"operation": operation, "operationMetrics": {"numFiles": "1"}}})
    }

    #[test]
    fn files_of_an_append_are_new_in_its_order() {
        let found =
            parse(&[info("WRITE"), json!({"txn": {"appId": "a", "version": 1}}), add("b", true), add("a", true)]);
        let partition_values = HashMap::from([("topic".to_owned(), Some("a".to_owned())), ("path".to_owned(), None)]);
        let file = |path: &str| AddedFile { path: path.into(), size: 7, partition_values: partition_values.clone() };
        assert_eq!(found, Changes { added: vec![file("b"), file("a")], rows_changed_by: None });
    }

    #[test]
    fn files_of_a_compaction_are_not_new() {
        assert_eq!(parse(&[info("OPTIMIZE"), remove(false), add("a", false)]), Changes::default());
    }

    #[test]
    fn a_commit_that_takes_rows_away_is_told_by_its_operation() {
        assert_eq!(parse(&[info("DELETE"), remove(true), add("a", true)]).rows_changed_by.as_deref(), Some("DELETE"));
        let mut marked = add("a", true);
        marked["add"]["deletionVector"] = json!({"storageType": "u", "cardinality": 1});
        assert_eq!(parse(&[marked]).rows_changed_by.as_deref(), Some("an operation that it does not name"));
    }
}
