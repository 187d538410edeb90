//! Reads tables with other engines: delta-rs' Python package, and DuckDB over a log that a script replays.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::services::{s3, script};
use crate::skip::Missing;

/// Creates the readers' virtual environment if it does not exist.
pub fn readers() -> Result<(), Missing> {
    script::fetch("the tables' readers", "readers")
}

/// The table's rows, read with delta-rs. `s3_endpoint` is for `s3://` URIs.
#[must_use]
pub fn read(uri: &str, s3_endpoint: Option<&str>) -> Vec<Json> {
    let mut args = vec![uri];
    if let Some(endpoint) = s3_endpoint {
        args.extend(["--endpoint", endpoint, "--key", s3::ACCESS_KEY, "--secret", s3::SECRET_KEY]);
    }
    run("read_table.py", &args)
}

/// The rows of a table in a local folder (also a bucket's folder), read with a replay of its log and DuckDB.
#[must_use]
pub fn read_log(folder: &Path) -> Vec<Json> {
    run("read_log.py", &[&folder.to_string_lossy()])
}

/// One version of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub version: u64,
    /// Application ids and their versions.
    pub txn: Vec<(String, i64)>,
    pub commit_info: Json,
    pub adds: u64,
    pub rows: u64,
}

/// Every version of a table in a local folder; none if there is no table.
#[must_use]
pub fn history(folder: &Path) -> Vec<Version> {
    if !folder.join("_delta_log").is_dir() {
        return Vec::new();
    }
    run("read_log.py", &[&folder.to_string_lossy(), "--history"])
        .into_iter()
        .map(|line| Version {
            version: line["version"].as_u64().unwrap(),
            txn: line["txn"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| (t[0].as_str().unwrap().to_owned(), t[1].as_i64().unwrap()))
                .collect(),
            commit_info: line["commitInfo"].clone(),
            adds: line["adds"].as_u64().unwrap(),
            rows: line["rows"].as_u64().unwrap(),
        })
        .collect()
}

/// The epochs that a table's versions committed, in the order of the versions.
#[must_use]
pub fn epochs(folder: &Path) -> Vec<u64> {
    let history = history(folder);
    let epochs = history.iter().flat_map(|v| &v.txn).filter(|(app_id, _)| app_id.starts_with("weir/"));
    epochs.map(|(_, epoch)| u64::try_from(*epoch).unwrap()).collect()
}

/// Lets another engine (delta-rs) restore a table in a local folder to an older version, by a new version.
pub fn restore(folder: &Path, version: u64) {
    run("restore_table.py", &[&folder.to_string_lossy(), &version.to_string()]);
}

/// DuckDB's answer to a query over a file of JSON lines, which is the view `input`.
#[must_use]
pub fn duckdb(json_lines: &Path, sql: &str) -> Vec<Json> {
    run("query.py", &[&json_lines.to_string_lossy(), sql])
}

fn run(reader: &str, args: &[&str]) -> Vec<Json> {
    let out = Command::new(script::path("readers")).arg("run").arg(reader).args(args).output().unwrap();
    assert!(out.status.success(), "{reader} {args:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{reader} printed `{line}`: {e}")))
        .collect()
}
