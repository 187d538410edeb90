//! The report of an epoch, under the names of Spark's `StreamingQueryProgress` where they fit. A runtime answers it at
//! `/progress` and appends it to the file of `--progress`; the operator reads it for the status. Both have these types,
//! so neither spells the names by hand. `docs/operating.md` describes the report for users.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The report of the last epoch, or of the claim with which the process began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The lineage of the checkpoint.
    pub id: String,
    /// An id of the process.
    pub run_id: String,
    /// The pipeline's name.
    pub name: String,
    /// The epoch's clock, RFC 3339.
    pub timestamp: String,
    /// The number of the epoch.
    pub batch_id: u64,
    pub kind: Kind,
    pub num_input_rows: u64,
    pub input_rows_per_second: f64,
    pub processed_rows_per_second: f64,
    pub duration_ms: DurationMs,
    pub event_time: EventTime,
    pub state_operators: Vec<StateOperator>,
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    pub rows_filtered: u64,
    /// Heap memory of open windows, in bytes.
    pub state_memory_bytes: u64,
    /// Bytes of the state files that the checkpoint refers to.
    pub state_stored_bytes: u64,
    pub totals: Totals,
    /// The token of the last `spec.stateAction` that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_action_token: Option<String>,
    /// The epoch after this one, if it is closed. Only `/progress` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// Whether the runtime has committed anything since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Claim,
    Data,
}

/// An epoch that is closed and not committed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The epoch's clock, RFC 3339.
    pub since: String,
    /// The records that it read.
    pub records: u64,
}

/// Sums over all epochs of the checkpoint. They are exact, whatever process committed the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub epochs: u64,
    pub num_input_rows: u64,
    /// Records without a value that were skipped.
    pub tombstones_skipped: u64,
    pub records_dropped: u64,
    pub records_rejected: u64,
    pub records_lost: u64,
    pub records_unreadable: u64,
    pub num_rows_dropped_by_watermark: u64,
}

/// How long the parts of the epoch took, in milliseconds. All are zero for a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DurationMs {
    pub read: u64,
    pub busy: u64,
    pub compute: u64,
    pub upload: u64,
    pub commit: u64,
    /// From the close of the epoch to its commit.
    pub trigger_execution: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTime {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
}

/// A step with state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateOperator {
    pub operator_name: String,
    /// Groups in open windows.
    pub num_rows_total: u64,
    pub num_rows_in: u64,
    pub num_rows_out: u64,
    pub num_rows_dropped_by_watermark: u64,
    pub open_windows: u64,
}

/// Offsets by topic and partition, as Spark's Kafka source writes them.
pub type Offsets = BTreeMap<String, BTreeMap<String, i64>>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub name: String,
    pub description: String,
    pub start_offset: Offsets,
    pub end_offset: Offsets,
    /// The ends of the partitions, as far as the client knows them.
    pub latest_offset: Offsets,
    pub num_input_rows: u64,
    pub input_rows_per_second: f64,
    pub records_decoded: u64,
    pub tombstones_skipped: u64,
    pub records_dropped: u64,
    /// Records that left through the output `Rejected`.
    pub records_rejected: u64,
    /// Offsets that Kafka no longer had when they were next to be read.
    pub records_lost: u64,
    /// Offsets whose batches could not be read.
    pub records_unreadable: u64,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// The partition whose watermark is the source's: the least of those that are not idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark_held_by: Option<Hold>,
    /// The partition that has waited longest for a schema; `None` if none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for_schema: Option<SchemaWait>,
    /// The watermark in microseconds, for the runtime's metrics. It is not part of the report.
    #[serde(skip)]
    pub watermark_us: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    pub name: String,
    pub description: String,
    /// The version of the table after this epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_version: Option<i64>,
    pub num_output_rows: u64,
}

/// The partition whose watermark is the source's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub topic: String,
    pub partition: i32,
    pub because: Because,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// Only an open transaction at the end of what can be read keeps the partition from being idle.
    OpenTransaction,
    /// The partition has been quiet for long, but its leader did not say in time that there is nothing more to read.
    LeaderSilent,
    /// No record of the partition was taken in yet, and it is not idle yet.
    NotReadYet,
    /// The next record of the partition waits for its schema.
    WaitsForSchema,
    /// The records of the partition are the oldest.
    Slowest,
    /// A reason that only a newer runtime knows, in its words.
    #[serde(untagged)]
    Other(String),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenTransaction => "OpenTransaction",
            Self::LeaderSilent => "LeaderSilent",
            Self::NotReadYet => "NotReadYet",
            Self::WaitsForSchema => "WaitsForSchema",
            Self::Slowest => "Slowest",
            Self::Other(because) => because,
        })
    }
}

/// A partition that is not read further until the schema of its next record is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaWait {
    pub topic: String,
    pub partition: i32,
    /// The offset of the record.
    pub offset: i64,
    /// The id by which the record names its schema.
    pub schema_id: String,
    /// Since when the partition waits, RFC 3339.
    pub since: String,
    /// How many partitions of the source wait for a schema, this one included.
    pub partitions: u64,
}

impl Report {
    /// Records between what was read and the ends of the partitions.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.sources.iter().flat_map(Source::lag_by_partition).map(|(_, _, lag)| lag).sum()
    }
}

impl Source {
    /// Topic, partition and lag, only for partitions whose end is known.
    pub fn lag_by_partition(&self) -> impl Iterator<Item = (&str, &str, i64)> {
        self.lag_behind(&self.end_offset)
    }

    /// Like [`Self::lag_by_partition`], while the epoch is not committed.
    pub fn lag_before_commit(&self) -> impl Iterator<Item = (&str, &str, i64)> {
        self.lag_behind(&self.start_offset)
    }

    fn lag_behind<'a>(&'a self, reached: &'a Offsets) -> impl Iterator<Item = (&'a str, &'a str, i64)> {
        self.latest_offset.iter().flat_map(move |(topic, partitions)| {
            partitions.iter().map(move |(partition, latest)| {
                let reached = reached.get(topic).and_then(|p| p.get(partition)).copied().unwrap_or(*latest);
                (topic.as_str(), partition.as_str(), (latest - reached).max(0))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A report as a runtime of version 0.1 writes it. Whoever changes it changes what `/progress` answers.
    const REPORT: &str = include_str!("../fixtures/report.json");

    #[test]
    fn a_report_is_read_and_written_byte_for_byte() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap() + "\n", REPORT);
        assert_eq!((report.kind, report.lag()), (Kind::Data, 3));
    }

    /// Runtimes of version 0.1 do not know the member, and an operator of that version passes over it.
    #[test]
    fn a_wait_for_a_schema_is_a_member_that_a_report_may_lack() {
        let mut report: Report = serde_json::from_str(REPORT).unwrap();
        assert_eq!(report.sources[0].waits_for_schema, None);
        report.sources[0].waits_for_schema = Some(SchemaWait {
            topic: "rides".into(),
            partition: 1,
            offset: 2464,
            schema_id: "7".into(),
            since: "2026-12-01T23:53:30.000Z".into(),
            partitions: 2,
        });
        let written = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "topic": "rides", "partition": 1, "offset": 2464, "schemaId": "7", "since": "2026-12-01T23:53:30.000Z",
            "partitions": 2,
        });
        assert_eq!(written["sources"][0]["waitsForSchema"], expected);
        assert_eq!(serde_json::from_value::<Report>(written).unwrap(), report);
    }

    #[test]
    fn a_reason_of_a_newer_runtime_is_kept() {
        let because: Because = serde_json::from_str("\"WordOfANewerRuntime\"").unwrap();
        assert_eq!(
            (because.to_string().as_str(), because),
            ("WordOfANewerRuntime", Because::Other("WordOfANewerRuntime".into()))
        );
        assert_eq!(serde_json::from_str::<Because>("\"Slowest\"").unwrap(), Because::Slowest);
    }
}
