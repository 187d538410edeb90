//! Asks a runtime pod for its progress. What it answers is `runtime/src/observe/progress.rs`; here is what the status needs of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::desired::pod::HTTP_PORT;

/// A pod that takes longer is not to hold up the others.
const DEADLINE: Duration = Duration::from_secs(3);

/// The report of the last epoch, or of the claim with which the process began.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The epoch's clock.
    pub timestamp: String,
    pub batch_id: i64,
    pub kind: Kind,
    pub input_rows_per_second: f64,
    pub processed_rows_per_second: f64,
    pub event_time: EventTime,
    pub state_operators: Vec<StateOperator>,
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    pub state_stored_bytes: i64,
    pub totals: Totals,
    /// Of the last state action that was done.
    #[serde(default)]
    pub state_action_token: Option<String>,
    /// Older runtimes do not say it.
    pub pending: Option<Pending>,
}

/// Whether the runtime has committed anything since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    Claim,
    Data,
}

/// An epoch that was closed and is not committed yet.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Pending {
    pub since: String,
    pub records: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    pub name: String,
    pub table_version: Option<i64>,
}

/// Since the checkpoint began.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub records_dropped: i64,
    pub records_rejected: i64,
    pub num_rows_dropped_by_watermark: i64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventTime {
    pub watermark: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateOperator {
    pub open_windows: i64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    /// Runtimes have said it since 0.1.
    pub because: Option<String>,
}

type Offsets = BTreeMap<String, BTreeMap<String, i64>>;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub name: String,
    pub watermark_held_by: Option<Partition>,
    pub end_offset: Offsets,
    pub latest_offset: Offsets,
}

impl Report {
    /// Records between what was read and the ends of the partitions.
    #[must_use]
    pub fn lag(&self) -> i64 {
        let of = |source: &Source| -> i64 {
            let latest = source.latest_offset.iter().flat_map(|(topic, partitions)| partitions.iter().map(move |(p, end)| (topic, p, end)));
            latest
                .map(|(topic, partition, latest)| {
                    let read = source.end_offset.get(topic).and_then(|t| t.get(partition)).unwrap_or(latest);
                    (latest - read).max(0)
                })
                .sum()
        };
        self.sources.iter().map(of).sum()
    }
}

/// Reads progress over HTTP.
#[derive(Debug, Clone)]
pub struct ProgressReader {
    client: reqwest::Client,
}

impl ProgressReader {
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new() -> reqwest::Result<Self> {
        Ok(Self { client: reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()? })
    }

    /// The last report; none before the checkpoint is claimed.
    ///
    /// # Errors
    /// One sentence: who did not answer, and how.
    pub async fn read(&self, pod_ip: &str) -> Result<Option<Report>, String> {
        let host = if pod_ip.contains(':') { format!("[{pod_ip}]") } else { pod_ip.to_owned() };
        let url = format!("http://{host}:{HTTP_PORT}/progress");
        let failed = |e: reqwest::Error| format!("{url} does not answer: {e}");
        let answer = self.client.get(&url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        if answer.status() == reqwest::StatusCode::NO_CONTENT {
            return Ok(None);
        }
        answer.json().await.map(Some).map_err(failed)
    }
}
