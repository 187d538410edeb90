//! Prometheus metrics. Counters continue over restarts: they are set to the sums in the manifests, which are exact.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::progress::{Progress, Source};
use crate::checkpoint::manifest::SourceTotals;
use crate::sink::upkeep::Done;

/// Epochs take from a millisecond (local disk) to minutes (an unreachable object store).
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// One counter per process. The code that writes the log increments it.
static LOG_LINES_DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Counts a line of the log that was dropped because nobody took it.
pub fn log_line_dropped() {
    LOG_LINES_DROPPED.inc();
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Node {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Partition {
    source: String,
    topic: String,
    partition: String,
}

pub struct Metrics {
    registry: Registry,
    records_read: Family<Node, Counter>,
    records_decoded: Family<Node, Counter>,
    tombstones_skipped: Family<Node, Counter>,
    records_dropped: Family<Node, Counter>,
    records_rejected: Family<Node, Counter>,
    records_lost: Family<Node, Counter>,
    records_unreadable: Family<Node, Counter>,
    bytes_read: Family<Node, Counter>,
    rows_filtered: Family<Node, Counter>,
    rows_late: Family<Node, Counter>,
    rows_bad: Family<Node, Counter>,
    rows_written: Family<Node, Counter>,
    epochs: Counter,
    last_epoch: Gauge,
    last_commit_seconds: Gauge,
    epoch_seconds: Histogram,
    watermark_seconds: Family<Node, Gauge>,
    lag_records: Family<Partition, Gauge>,
    /// The partitions that the last epoch had.
    partitions: Mutex<HashSet<Partition>>,
    open_windows: Family<Node, Gauge>,
    groups: Family<Node, Gauge>,
    state_bytes: Gauge,
    state_stored_bytes: Gauge,
    partitions_waiting: Family<Node, Gauge>,
    files_compacted: Family<Node, Counter>,
    compactions: Family<Node, Counter>,
    compactions_given_up: Family<Node, Counter>,
    files_vacuumed: Family<Node, Counter>,
    bytes_vacuumed: Family<Node, Counter>,
    maintenance_failures: Family<Node, Counter>,
    memory_bytes: Gauge,
    memory_limit_bytes: Gauge,
}

impl Metrics {
    pub fn new(pipeline: &str, memory_limit_bytes: Option<u64>) -> Self {
        let labels = [("pipeline".into(), pipeline.to_owned().into())];
        let mut registry = Registry::with_prefix_and_labels("weir", labels.into_iter());
        let metrics = Self {
            records_read: Family::default(),
            records_decoded: Family::default(),
            tombstones_skipped: Family::default(),
            records_dropped: Family::default(),
            records_rejected: Family::default(),
            records_lost: Family::default(),
            records_unreadable: Family::default(),
            bytes_read: Family::default(),
            rows_filtered: Family::default(),
            rows_late: Family::default(),
            rows_bad: Family::default(),
            rows_written: Family::default(),
            epochs: Counter::default(),
            last_epoch: Gauge::default(),
            last_commit_seconds: Gauge::default(),
            epoch_seconds: Histogram::new(SECONDS),
            watermark_seconds: Family::default(),
            lag_records: Family::default(),
            partitions: Mutex::default(),
            open_windows: Family::default(),
            groups: Family::default(),
            state_bytes: Gauge::default(),
            state_stored_bytes: Gauge::default(),
            partitions_waiting: Family::default(),
            files_compacted: Family::default(),
            compactions: Family::default(),
            compactions_given_up: Family::default(),
            files_vacuumed: Family::default(),
            bytes_vacuumed: Family::default(),
            maintenance_failures: Family::default(),
            memory_bytes: Gauge::default(),
            memory_limit_bytes: Gauge::default(),
            registry: Registry::default(),
        };
        let r = &mut registry;
        r.register("records_read", "Records read from a source", metrics.records_read.clone());
        r.register("records_decoded", "Records decoded", metrics.records_decoded.clone());
        r.register(
            "tombstones_skipped",
            "Records without a value that were skipped",
            metrics.tombstones_skipped.clone(),
        );
        r.register("records_dropped", "Bad records dropped by policy", metrics.records_dropped.clone());
        r.register(
            "records_rejected",
            "Bad records that left by the output Rejected",
            metrics.records_rejected.clone(),
        );
        r.register(
            "records_lost",
            "Offsets that Kafka no longer had when they came next",
            metrics.records_lost.clone(),
        );
        r.register("records_unreadable", "Offsets whose batches could not be read", metrics.records_unreadable.clone());
        r.register("bytes_read", "Bytes of record values read", metrics.bytes_read.clone());
        r.register("rows_filtered", "Rows that a where left out", metrics.rows_filtered.clone());
        r.register("rows_bad", "Rows behind a window that could not be computed", metrics.rows_bad.clone());
        r.register("rows_late", "Rows that missed every window of a step", metrics.rows_late.clone());
        r.register("rows_written", "Rows committed to a sink", metrics.rows_written.clone());
        r.register("epochs", "Epochs committed", metrics.epochs.clone());
        r.register("last_epoch", "The last epoch committed", metrics.last_epoch.clone());
        r.register(
            "last_commit_timestamp_seconds",
            "Clock of the last epoch committed",
            metrics.last_commit_seconds.clone(),
        );
        r.register("epoch_seconds", "From the close of an epoch to its commit", metrics.epoch_seconds.clone());
        r.register("watermark_timestamp_seconds", "A source's watermark", metrics.watermark_seconds.clone());
        r.register(
            "lag_records",
            "Records between what was committed and the end of a partition",
            metrics.lag_records.clone(),
        );
        r.register("open_windows", "Open windows of a step", metrics.open_windows.clone());
        r.register("groups", "Groups in the open windows of a step", metrics.groups.clone());
        r.register("state_bytes", "Heap bytes of open windows", metrics.state_bytes.clone());
        r.register(
            "state_stored_bytes",
            "Bytes of state files that the checkpoint refers to",
            metrics.state_stored_bytes.clone(),
        );
        r.register(
            "partitions_waiting",
            "Partitions that wait for the slowest one, as maxSkew says",
            metrics.partitions_waiting.clone(),
        );
        r.register(
            "files_compacted",
            "Small files of a table that this process merged into fewer",
            metrics.files_compacted.clone(),
        );
        r.register("compactions", "Commits of compaction by this process", metrics.compactions.clone());
        r.register(
            "compactions_given_up",
            "Compactions that gave way to others' commits",
            metrics.compactions_given_up.clone(),
        );
        r.register("files_vacuumed", "Data files of a table that this process deleted", metrics.files_vacuumed.clone());
        r.register("bytes_vacuumed", "Bytes of data files that this process deleted", metrics.bytes_vacuumed.clone());
        r.register(
            "maintenance_failures",
            "Failed turns of a table's maintenance",
            metrics.maintenance_failures.clone(),
        );
        r.register("memory_bytes", "Memory of the process that is not backed by files", metrics.memory_bytes.clone());
        r.register(
            "memory_limit_bytes",
            "What the process may use; 0 without a limit",
            metrics.memory_limit_bytes.clone(),
        );
        r.register("log_lines_dropped", "Lines of the log that nobody took", LOG_LINES_DROPPED.clone());
        metrics.memory_limit_bytes.set(gauge(memory_limit_bytes.unwrap_or_default()));
        Self { registry, ..metrics }
    }

    /// An epoch is closed: what it read counts as lag until it is committed, which may take long.
    pub fn closed(&self, source: &Source) {
        self.set_lag(source, source.lag_before_commit());
    }

    pub fn partitions_waiting(&self, source: &str, count: usize) {
        self.partitions_waiting.get_or_create(&Node { name: source.to_owned() }).set(gauge(count as u64));
    }

    /// Creates the metrics of what is done for tables, so that they exist before anything is done. They count from 0 in
    /// each process, since no manifest sums them up.
    pub fn of_tables<'a>(&self, sinks: impl Iterator<Item = &'a str>) {
        for sink in sinks {
            self.maintained(sink, Done::Compacted { commits: 0, files_before: 0, files_after: 0, conflicts: 0 });
            self.maintained(sink, Done::Vacuumed { files: 0, bytes: 0 });
            let _ = self.maintenance_failures.get_or_create(&Node { name: sink.to_owned() });
        }
    }

    /// Something was done for the table of a sink.
    pub fn maintained(&self, sink: &str, done: Done) {
        let sink = Node { name: sink.to_owned() };
        match done {
            Done::Compacted { commits, files_before, conflicts, .. } => {
                self.compactions.get_or_create(&sink).inc_by(commits);
                self.files_compacted.get_or_create(&sink).inc_by(files_before);
                self.compactions_given_up.get_or_create(&sink).inc_by(conflicts);
            }
            Done::Vacuumed { files, bytes } => {
                self.files_vacuumed.get_or_create(&sink).inc_by(files);
                self.bytes_vacuumed.get_or_create(&sink).inc_by(bytes);
            }
            Done::Failed => {
                self.maintenance_failures.get_or_create(&sink).inc();
            }
        }
    }

    fn set_lag<'a>(&self, source: &Source, lag: impl Iterator<Item = (&'a str, &'a str, i64)>) {
        for (topic, partition, lag) in lag {
            let partition =
                Partition { source: source.name.clone(), topic: topic.to_owned(), partition: partition.to_owned() };
            self.lag_records.get_or_create(&partition).set(lag);
        }
    }

    /// Removes the lag of partitions that are not read any more, since it means nothing now.
    fn forget_others(&self, progress: &Progress) {
        let of = |source: &Source| {
            let all = source
                .end_offset
                .iter()
                .flat_map(|(topic, partitions)| partitions.keys().map(move |partition| (topic, partition)));
            let label = |(topic, partition): (&String, &String)| Partition {
                source: source.name.clone(),
                topic: topic.clone(),
                partition: partition.clone(),
            };
            all.map(label).collect::<Vec<_>>()
        };
        let now: HashSet<Partition> = progress.sources.iter().flat_map(of).collect();
        let mut known = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.difference(&now) {
            self.lag_records.remove(gone);
        }
        *known = now;
    }

    pub fn epoch(&self, progress: &Progress, now_us: i64) {
        self.epoch_seconds.observe(progress.took.as_secs_f64());
        self.show(progress, now_us);
    }

    /// Sets everything to what the report says. After a claim, that is the checkpoint's sums before this process.
    pub fn show(&self, progress: &Progress, now_us: i64) {
        let node = |name: &str| Node { name: name.to_owned() };
        let totals = &progress.counters;
        for (name, SourceTotals { counts, lost, unreadable }) in &totals.sources {
            let of_source = node(name);
            set(&self.records_lost.get_or_create(&of_source), *lost);
            set(&self.records_unreadable.get_or_create(&of_source), *unreadable);
            set(&self.records_read.get_or_create(&of_source), counts.read);
            set(&self.records_decoded.get_or_create(&of_source), counts.decoded);
            set(&self.tombstones_skipped.get_or_create(&of_source), counts.tombstones);
            set(&self.records_dropped.get_or_create(&of_source), counts.dropped);
            set(&self.records_rejected.get_or_create(&of_source), counts.rejected);
            set(&self.bytes_read.get_or_create(&of_source), counts.bytes);
            set(&self.rows_filtered.get_or_create(&of_source), counts.filtered);
        }
        for (name, counts) in &totals.steps {
            set(&self.rows_late.get_or_create(&node(name)), counts.rows_late);
            // The counter exists from the start, so that a rise from nothing to one is seen.
            drop(self.rows_bad.get_or_create(&node(name)));
        }
        for (name, rows) in &totals.rows_bad {
            set(&self.rows_bad.get_or_create(&node(name)), *rows);
        }
        for (name, rows) in &totals.sinks {
            set(&self.rows_written.get_or_create(&node(name)), *rows);
        }
        set(&self.epochs, totals.epochs);
        for source in &progress.sources {
            if let Some(us) = source.watermark_us {
                self.watermark_seconds.get_or_create(&node(&source.name)).set(us.div_euclid(1_000_000));
            }
            self.set_lag(source, source.lag_by_partition());
        }
        self.forget_others(progress);
        for step in &progress.state_operators {
            let of_step = node(&step.operator_name);
            self.open_windows.get_or_create(&of_step).set(gauge(step.open_windows));
            self.groups.get_or_create(&of_step).set(gauge(step.num_rows_total));
        }
        self.last_epoch.set(gauge(progress.batch_id));
        self.last_commit_seconds.set(now_us.div_euclid(1_000_000));
        self.state_bytes.set(gauge(progress.state_memory_bytes));
        self.state_stored_bytes.set(gauge(progress.state_stored_bytes));
    }

    /// The metrics in OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.memory_bytes.set(gauge(crate::memory::used_bytes().unwrap_or_default()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Sets a counter to a sum that never falls.
fn set(counter: &Counter, sum: u64) {
    counter.inner().store(sum, Ordering::Relaxed);
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Dashboards and alerts use the names of these metrics.
    #[test]
    fn what_is_done_for_tables_is_counted_by_sink_from_0_on() {
        let metrics = Metrics::new("rides", None);
        metrics.of_tables(["silver", "late"].into_iter());
        metrics.maintained("silver", Done::Compacted { commits: 2, files_before: 30, files_after: 4, conflicts: 1 });
        metrics.maintained("silver", Done::Vacuumed { files: 30, bytes: 4_096 });
        metrics.maintained("silver", Done::Failed);

        let text = metrics.encode().unwrap();
        let mut told: Vec<_> = text.lines().filter(|line| line.contains("name=\"")).collect();
        told.sort_unstable();
        let expected = [
            ("bytes_vacuumed", 0, 4_096),
            ("compactions_given_up", 0, 1),
            ("compactions", 0, 2),
            ("files_compacted", 0, 30),
            ("files_vacuumed", 0, 30),
            ("maintenance_failures", 0, 1),
        ];
        let line = |(metric, sink, count)| format!("weir_{metric}_total{{pipeline=\"rides\",name=\"{sink}\"}} {count}");
        let expected =
            expected.map(|(metric, late, silver)| [line((metric, "late", late)), line((metric, "silver", silver))]);
        assert_eq!(told, expected.concat());
    }
}
