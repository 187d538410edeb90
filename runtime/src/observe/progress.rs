//! The progress report of one epoch, under the names of Spark's `StreamingQueryProgress` where they fit.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use weir_plan::Plan;

use crate::checkpoint::manifest::{Kind, Manifest, PartitionProgress, SourceProgress};
use crate::checkpoint::totals::{self, SourceTotals};
use crate::engine::source_run::LatestOffsets;
use crate::engine::source_run::hold::{Hold, hold};
use crate::sink::SinkStatus;

/// How long the parts of an epoch took. All are zero for a claim.
#[derive(Debug, Clone, Copy, Default)]
pub struct Durations {
    /// From the opening of the epoch, which is when the epoch before was closed, to its close. It overlaps with the
    /// commit of the epoch before.
    pub read: Duration,
    /// The part of `read` that the busiest lane spent on records. The rest is the wait for records and for the trigger.
    pub busy: Duration,
    pub compute: Duration,
    pub upload: Duration,
    pub commit: Duration,
}

/// The shortest time by which a rate is computed. Spark does the same.
const PROCESSING_MIN: Duration = Duration::from_millis(1);

impl Durations {
    /// From the close of the epoch to its commit.
    fn decide(&self) -> Duration {
        self.compute + self.upload + self.commit
    }

    /// Rows that came in per second since the last trigger, like Spark's `inputRowsPerSecond`. Our trigger is the close
    /// of an epoch.
    fn input_rate(&self, rows: u64) -> f64 {
        if self.read.is_zero() { 0.0 } else { rows as f64 / self.read.as_secs_f64() }
    }

    /// Rows per second of work on them, from the first record to the commit, like Spark's `processedRowsPerSecond`.
    /// Waiting is not work. Epochs overlap, so the rate that can be kept up for long is higher than this, up to twice
    /// as high.
    fn processing_rate(&self, rows: u64) -> f64 {
        rows as f64 / (self.busy + self.decide()).max(PROCESSING_MIN).as_secs_f64()
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The lineage of the checkpoint.
    pub id: String,
    /// An id of this process.
    pub run_id: String,
    pub name: String,
    /// The epoch's clock, RFC 3339.
    pub timestamp: String,
    /// The number of the epoch.
    pub batch_id: u64,
    /// `Claim` means that nothing was committed since the process started.
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
    /// `durationMs.triggerExecution` to the microsecond: a commit to a local table takes less than a millisecond.
    #[serde(skip)]
    pub took: Duration,
    /// The sums that the metrics are set to.
    #[serde(skip)]
    pub counters: totals::Totals,
    /// The token of the last `spec.stateAction` that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_action_token: Option<String>,
}

/// Sums over all epochs of the checkpoint. They are exact, whatever process committed the epochs.
#[derive(Debug, Clone, Copy, Serialize)]
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

impl Totals {
    fn of(totals: &totals::Totals) -> Self {
        let SourceTotals { counts, lost, unreadable } = totals.of_sources();
        Self {
            epochs: totals.epochs,
            num_input_rows: counts.read,
            tombstones_skipped: counts.tombstones,
            records_dropped: counts.dropped,
            records_rejected: counts.rejected,
            records_lost: lost,
            records_unreadable: unreadable,
            num_rows_dropped_by_watermark: totals.rows_late(),
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
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

#[derive(Debug, Clone, Serialize)]
pub struct EventTime {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
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

#[derive(Debug, Clone, Serialize)]
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
    #[serde(skip)]
    pub watermark_us: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    pub name: String,
    pub description: String,
    /// The version of the table after this epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_version: Option<i64>,
    pub num_output_rows: u64,
}

impl Progress {
    #[must_use]
    pub fn of(
        manifest: &Manifest,
        plan: &Plan,
        took: &Durations,
        state_bytes: usize,
        latest: &LatestOffsets,
        status: &BTreeMap<String, SinkStatus>,
    ) -> Self {
        let rows: u64 = manifest.sources.iter().map(|s| s.counts.read).sum();
        let steps = manifest.tasks.iter().flat_map(|t| &t.steps).map(|s| StateOperator {
            operator_name: s.name.clone(),
            num_rows_total: s.entries(),
            num_rows_in: s.rows_in(),
            num_rows_out: s.rows_out,
            num_rows_dropped_by_watermark: s.rows_late(),
            open_windows: s.open_windows.unwrap_or_default(),
        });
        let sinks = plan.sinks.iter().map(|sink| Sink {
            name: sink.name.clone(),
            description: sink.kind.to_string(),
            table_version: status.get(&sink.name).and_then(|status| status.table_version),
            num_output_rows: manifest.committables.iter().filter(|c| c.sink == sink.name).map(|c| c.rows).sum(),
        });
        Self {
            id: manifest.lineage.clone(),
            run_id: manifest.writer.nonce.clone(),
            name: plan.pipeline.clone(),
            timestamp: rfc3339(manifest.clock_us).unwrap_or_default(),
            batch_id: manifest.epoch.0,
            kind: manifest.kind,
            num_input_rows: rows,
            input_rows_per_second: took.input_rate(rows),
            processed_rows_per_second: took.processing_rate(rows),
            duration_ms: DurationMs {
                read: ms(took.read),
                busy: ms(took.busy),
                compute: ms(took.compute),
                upload: ms(took.upload),
                commit: ms(took.commit),
                trigger_execution: ms(took.decide()),
            },
            event_time: EventTime { watermark: manifest.watermark_us(plan).and_then(rfc3339) },
            state_operators: steps.collect(),
            sources: manifest
                .sources
                .iter()
                .map(|s| Source { input_rows_per_second: took.input_rate(s.counts.read), ..Source::of(s, latest) })
                .collect(),
            sinks: sinks.collect(),
            rows_filtered: manifest.sources.iter().map(|s| s.counts.filtered).sum(),
            state_memory_bytes: state_bytes as u64,
            state_stored_bytes: manifest.tasks.iter().flat_map(|t| &t.state).map(|f| f.bytes).sum(),
            totals: Totals::of(&manifest.totals),
            took: took.decide(),
            counters: manifest.totals.clone(),
            state_action_token: manifest.state_action.as_ref().map(|done| done.token.clone()),
        }
    }

    /// Sets what holds the watermark of a source.
    pub fn set_held_by(&mut self, source: &str, hold: Option<&Hold>) {
        for source in self.sources.iter_mut().filter(|s| s.name == source) {
            source.watermark_held_by = hold.cloned();
        }
    }

    /// Records between what was read and the ends of the partitions.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.sources.iter().flat_map(Source::lag_by_partition).map(|(_, _, lag)| lag).sum()
    }
}

impl Source {
    #[must_use]
    pub fn of(s: &SourceProgress, latest: &LatestOffsets) -> Self {
        let latest = latest.get(&s.name).map_or(&[][..], Vec::as_slice);
        let offsets = |of: &dyn Fn(usize) -> Option<i64>| {
            let mut all = Offsets::new();
            for (i, p) in s.partitions.iter().enumerate() {
                if let Some(offset) = of(i) {
                    all.entry(p.topic.clone()).or_default().insert(p.partition.to_string(), offset);
                }
            }
            all
        };
        let topics: std::collections::BTreeSet<_> = s.partitions.iter().map(|p| p.topic.as_str()).collect();
        Self {
            name: s.name.clone(),
            description: format!("kafka[{}]", topics.into_iter().collect::<Vec<_>>().join(",")),
            start_offset: offsets(&|i| Some(s.partitions[i].start)),
            end_offset: offsets(&|i| Some(s.partitions[i].end)),
            latest_offset: offsets(&|i| latest.get(i).copied().flatten()),
            num_input_rows: s.counts.read,
            input_rows_per_second: 0.0,
            records_decoded: s.counts.decoded,
            tombstones_skipped: s.counts.tombstones,
            records_dropped: s.counts.dropped,
            records_rejected: s.counts.rejected,
            records_lost: s.partitions.iter().map(PartitionProgress::lost_count).sum(),
            records_unreadable: s.partitions.iter().map(PartitionProgress::unreadable_count).sum(),
            bytes: s.counts.bytes,
            // A manifest does not say if a transaction is open; whoever reads the topic reports it
            // (`Observer::watermark_held_by`).
            watermark: s.watermark_after_us.and_then(rfc3339),
            watermark_held_by: hold(s, |_| None),
            watermark_us: s.watermark_after_us,
        }
    }

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

/// An epoch that was closed and is not committed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The epoch's clock, RFC 3339.
    pub since: String,
    /// The records that it read.
    pub records: u64,
}

impl Pending {
    #[must_use]
    pub fn new(clock_us: i64, records: u64) -> Self {
        Self { since: rfc3339(clock_us).unwrap_or_default(), records }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn rfc3339(us: i64) -> Option<String> {
    DateTime::from_timestamp_micros(us).map(|t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use serde_json::json;
    use weir_plan::ids::Epoch;
    use weir_plan::plan::{Input, SinkKind};

    use super::*;
    use crate::fixtures;

    #[test]
    fn sinks_are_told_in_the_order_of_the_plan_with_their_rows_and_the_version_of_a_table_that_is_known() {
        let data = include_bytes!("../../fixtures/manifest-v1-data.json");
        let manifest = Manifest::decode(Epoch(43), "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491", data).unwrap();
        let sinks = [
            ("rejected", "s3://lake/rejected/rides"),
            ("silver", "s3://lake/silver/rides_agg"),
            ("late", "file:///lake/late"),
        ];
        let sinks = sinks.map(|(name, uri)| {
            let mut sink = fixtures::sink(name, Input::Source(0), Arc::new(Schema::empty()));
            let SinkKind::Delta(delta) = &mut sink.kind;
            delta.uri = uri.into();
            sink
        });
        let plan = fixtures::plan(vec![], vec![], sinks.into());
        let status = [("silver", Some(12)), ("rejected", Some(0)), ("late", None), ("gone", Some(5))];
        let status = status.map(|(sink, table_version)| (sink.to_owned(), SinkStatus { table_version })).into();
        let told = serde_json::to_value(Progress::of(
            &manifest,
            &plan,
            &Durations::default(),
            0,
            &LatestOffsets::new(),
            &status,
        ))
        .unwrap();
        let expected = json!([
            {"name": "rejected", "description": "delta[s3://lake/rejected/rides]", "tableVersion": 0, "numOutputRows": 2},
            {"name": "silver", "description": "delta[s3://lake/silver/rides_agg]", "tableVersion": 12, "numOutputRows": 7},
            {"name": "late", "description": "delta[file:///lake/late]", "numOutputRows": 0},
        ]);
        assert_eq!(told["sinks"], expected);
    }

    fn took(read_ms: u64, busy_ms: u64, decide_ms: u64) -> Durations {
        let [read, busy, commit] = [read_ms, busy_ms, decide_ms].map(Duration::from_millis);
        Durations { read, busy, compute: Duration::ZERO, upload: Duration::ZERO, commit }
    }

    fn check(took: Durations, input: f64, processed: f64) {
        assert_eq!((took.input_rate(1_000), took.processing_rate(1_000)), (input, processed), "{took:?}");
    }

    #[test]
    fn waiting_for_the_trigger_counts_for_the_rate_of_input_and_not_for_that_of_processing() {
        check(took(10_000, 300, 200), 100.0, 2_000.0);
    }

    #[test]
    fn without_waiting_both_count_the_work() {
        check(took(1_000, 1_000, 1_000), 1_000.0, 500.0);
    }

    #[test]
    fn no_time_at_all_gives_no_infinite_rate() {
        check(took(0, 0, 0), 0.0, 1_000_000.0);
    }
}
