//! Makes the report of an epoch ([`weir_plan::report`]) from its manifest.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use weir_plan::Plan;
use weir_plan::report::{DurationMs, EventTime, Hold, Kind, Offsets, SchemaWait, Sink, StateOperator, Totals};
pub use weir_plan::report::{Pending, Report, Source};

use super::hold::hold;
use crate::checkpoint::manifest::{self, Manifest, PartitionProgress, SourceProgress, SourceTotals};
use crate::sink::SinkStatus;

/// By source name: the ends of its partitions, as the client knows them.
pub(crate) type LatestOffsets = BTreeMap<String, Vec<Option<i64>>>;

/// How long the parts of an epoch took. All are zero for a claim.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Durations {
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

/// What the driver tells of an epoch: the report, and what only the metrics show.
#[derive(Debug, Clone)]
pub struct Progress {
    pub report: Report,
    /// `durationMs.triggerExecution` to the microsecond: a commit to a local table takes less than a millisecond.
    pub took: Duration,
    /// The sums that the metrics are set to.
    pub counters: manifest::Totals,
}

/// What a source waits for. No manifest says it; whoever reads the topic reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    pub watermark_held_by: Option<Hold>,
    pub for_schema: Option<SchemaWait>,
}

impl Deref for Progress {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

fn totals_of(totals: &manifest::Totals) -> Totals {
    let SourceTotals { counts, lost, unreadable } = totals.of_sources();
    Totals {
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

impl Progress {
    #[must_use]
    pub(crate) fn of(
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
        let report = Report {
            id: manifest.lineage.clone(),
            run_id: manifest.writer.nonce.clone(),
            name: plan.pipeline.clone(),
            timestamp: rfc3339(manifest.clock_us).unwrap_or_default(),
            batch_id: manifest.epoch.0,
            kind: match manifest.kind {
                manifest::Kind::Claim => Kind::Claim,
                manifest::Kind::Data => Kind::Data,
            },
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
                .map(|s| Source { input_rows_per_second: took.input_rate(s.counts.read), ..source_of(s, latest) })
                .collect(),
            sinks: sinks.collect(),
            rows_filtered: manifest.sources.iter().map(|s| s.counts.filtered).sum(),
            state_memory_bytes: state_bytes as u64,
            state_stored_bytes: manifest.tasks.iter().flat_map(|t| &t.state).map(|f| f.bytes).sum(),
            totals: totals_of(&manifest.totals),
            state_action_token: manifest.state_action.as_ref().map(|done| done.token.clone()),
            pending: None,
        };
        Self { report, took: took.decide(), counters: manifest.totals.clone() }
    }

    /// Sets what a source waits for.
    pub(crate) fn set_waits(&mut self, source: &str, waits: &Waits) {
        for source in self.report.sources.iter_mut().filter(|s| s.name == source) {
            source.watermark_held_by = waits.watermark_held_by.clone();
            source.waits_for_schema = waits.for_schema.clone();
        }
    }
}

/// The report of a source.
#[must_use]
pub(crate) fn source_of(s: &SourceProgress, latest: &LatestOffsets) -> Source {
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
    Source {
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
        // A manifest does not say if a transaction is open; whoever reads the topic reports it (`Observer::waits`).
        watermark: s.watermark_after_us.and_then(rfc3339),
        watermark_held_by: hold(s, |_| None),
        waits_for_schema: None,
        watermark_us: s.watermark_after_us,
    }
}

/// The report of an epoch that is closed and not committed yet.
#[must_use]
pub fn pending(clock_us: i64, records: u64) -> Pending {
    Pending { since: rfc3339(clock_us).unwrap_or_default(), records }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `None` for a time beyond what the format has years for.
pub fn rfc3339(us: i64) -> Option<String> {
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
            let SinkKind::Delta(delta) = &mut sink.kind else { panic!("fixtures have tables") };
            delta.uri = uri.into();
            sink
        });
        let plan = fixtures::plan(vec![], vec![], sinks.into());
        let status = [("silver", Some(12)), ("rejected", Some(0)), ("late", None), ("gone", Some(5))];
        let status = status.map(|(sink, table_version)| (sink.to_owned(), SinkStatus { table_version })).into();
        let told = Progress::of(&manifest, &plan, &Durations::default(), 0, &LatestOffsets::new(), &status);
        let told = serde_json::to_value(&told.report).unwrap();
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
