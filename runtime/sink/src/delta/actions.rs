//! The actions of the Delta protocol that Weir reads and writes, as JSON lines. When Weir reads a commit, it skips
//! actions that do not matter to whether an append fits (`add`, `remove`, `cdc`, `domainMetadata`).
//!
//! <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#actions>

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weir_base::failure::{Failure, Result};

/// What an engine must understand to read and to write the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) min_reader_version: i32,
    pub(super) min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) writer_features: Option<Vec<String>>,
}

impl Protocol {
    /// The protocol of a new table: the oldest one, which every reader knows.
    pub(super) const NEW: Self =
        Self { min_reader_version: 1, min_writer_version: 2, reader_features: None, writer_features: None };
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) id: String,
    pub(super) schema_string: String,
    #[serde(default)]
    pub(super) partition_columns: Vec<String>,
    #[serde(default)]
    pub(super) configuration: HashMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Txn {
    pub(super) app_id: String,
    pub(super) version: i64,
}

/// The parts of a commit that an appending writer must know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) protocol: Option<Protocol>,
    pub(super) metadata: Option<Metadata>,
    pub(super) txns: Vec<Txn>,
}

impl Commit {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Line {
            protocol: Option<Protocol>,
            meta_data: Option<Metadata>,
            txn: Option<Txn>,
        }
        let mut commit = Self::default();
        for line in serde_json::Deserializer::from_slice(bytes).into_iter::<Line>() {
            let line = line.map_err(|e| Failure::config(format!("the commit is not valid JSON lines: {e}")))?;
            commit.protocol = line.protocol.or(commit.protocol);
            commit.metadata = line.meta_data.or(commit.metadata);
            commit.txns.extend(line.txn);
        }
        Ok(commit)
    }
}

/// Whether a commit adds data files. A commit that can't be read counts as one that does.
pub(super) fn adds_files(commit: &[u8]) -> bool {
    let mut lines = serde_json::Deserializer::from_slice(commit).into_iter::<Map<String, Value>>();
    lines.any(|line| line.map_or(true, |action| action.contains_key("add")))
}

/// The first commit of a new table.
pub(super) fn creation(metadata: &Metadata, pipeline: &str, now_ms: i64) -> Vec<u8> {
    let info = json!({
        "timestamp": now_ms,
        "operation": "CREATE TABLE",
        "operationParameters": {"isManaged": "false", "partitionBy": json!(metadata.partition_columns).to_string(), "properties": "{}"},
        "isBlindAppend": true,
        "engineInfo": engine_info(),
        "userMetadata": json!({"pipeline": pipeline}).to_string(),
    });
    lines([json!({"commitInfo": info}), json!({"protocol": Protocol::NEW}), metadata_action(metadata, now_ms)])
}

/// A commit that changes columns and touches no row.
pub(super) fn change_of_columns(metadata: &Metadata, pipeline: &str, now_ms: i64) -> Vec<u8> {
    let info = json!({
        "timestamp": now_ms,
        "operation": "CHANGE COLUMN",
        "operationParameters": {},
        "isBlindAppend": true,
        "engineInfo": engine_info(),
        "userMetadata": json!({"pipeline": pipeline}).to_string(),
    });
    lines([json!({"commitInfo": info}), metadata_action(metadata, now_ms)])
}

fn metadata_action(metadata: &Metadata, now_ms: i64) -> Value {
    json!({"metaData": {
        "id": metadata.id,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": metadata.schema_string,
        "partitionColumns": metadata.partition_columns,
        "configuration": metadata.configuration,
        "createdTime": now_ms,
    }})
}

/// The commit of one epoch: its transactions, which say that it is done and which manifest decided it, and its files.
/// `info` goes into `userMetadata`, which `DESCRIBE HISTORY` shows unchanged.
pub(super) fn append(
    txns: &[Txn],
    adds: &[Value],
    partition_columns: &[String],
    info: &Map<String, Value>,
    now_ms: i64,
) -> Vec<u8> {
    let size: u64 = adds.iter().filter_map(|add| add["size"].as_u64()).sum();
    let mut metrics = BTreeMap::from([("numFiles", adds.len().to_string()), ("numOutputBytes", size.to_string())]);
    if let Some(rows) = adds.iter().map(num_records).sum::<Option<u64>>() {
        metrics.insert("numOutputRows", rows.to_string());
    }
    let info = json!({
        "timestamp": now_ms,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append", "partitionBy": json!(partition_columns).to_string()},
        "isBlindAppend": true,
        "operationMetrics": metrics,
        "engineInfo": engine_info(),
        "userMetadata": json!(info).to_string(),
    });
    let txns =
        txns.iter().map(|txn| json!({"txn": {"appId": txn.app_id, "version": txn.version, "lastUpdated": now_ms}}));
    lines([json!({"commitInfo": info})].into_iter().chain(txns).chain(adds.iter().map(|add| json!({"add": add}))))
}

/// A commit that replaces one set of data files by another with the same rows. `removes` and `adds` are the actions'
/// inner objects; `txn_id` tells this commit from any other.
pub(super) fn compaction(txn_id: &str, read_version: i64, removes: &[Value], adds: &[Value], now_ms: i64) -> Vec<u8> {
    let bytes = |files: &[Value]| files.iter().filter_map(|file| file["size"].as_u64()).sum::<u64>().to_string();
    let info = json!({
        "timestamp": now_ms,
        "operation": "OPTIMIZE",
        "operationParameters": {"predicate": "[]"},
        "readVersion": read_version,
        "isBlindAppend": false,
        "operationMetrics": {
            "numRemovedFiles": removes.len().to_string(),
            "numRemovedBytes": bytes(removes),
            "numAddedFiles": adds.len().to_string(),
            "numAddedBytes": bytes(adds),
        },
        "engineInfo": engine_info(),
        "txnId": txn_id,
    });
    let removes = removes.iter().map(|remove| json!({"remove": remove}));
    lines([json!({"commitInfo": info})].into_iter().chain(removes).chain(adds.iter().map(|add| json!({"add": add}))))
}

fn num_records(add: &Value) -> Option<u64> {
    let stats: Value = serde_json::from_str(add["stats"].as_str()?).ok()?;
    stats["numRecords"].as_u64()
}

fn engine_info() -> String {
    format!("weir/{}", env!("CARGO_PKG_VERSION"))
}

fn lines(actions: impl IntoIterator<Item = Value>) -> Vec<u8> {
    let lines: Vec<String> = actions.into_iter().map(|a| a.to_string()).collect();
    (lines.join("\n") + "\n").into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_commit_is_read_for_what_an_append_must_know() {
        let text = concat!(
            "{\"commitInfo\":{\"operation\":\"WRITE\",\"txn\":\"not this one\"}}\n",
            "{\"txn\":{\"appId\":\"a\",\"version\":7,\"lastUpdated\":1}}\n",
            "{\"add\":{\"path\":\"x\",\"partitionValues\":{},\"size\":1}}\n",
            "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"x\"],\"writerFeatures\":[\"x\"]}}\n",
        );
        let features = Some(vec!["x".to_owned()]);
        let protocol = Protocol {
            min_reader_version: 3,
            min_writer_version: 7,
            reader_features: features.clone(),
            writer_features: features,
        };
        let expected =
            Commit { protocol: Some(protocol), metadata: None, txns: vec![Txn { app_id: "a".into(), version: 7 }] };
        assert_eq!(Commit::parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_torn_commit_is_an_error() {
        let failure = Commit::parse(b"{\"txn\":{\"appId\":\"a\",\"ver").unwrap_err();
        assert!(failure.message.starts_with("the commit is not valid JSON lines"), "{failure}");
    }
}
