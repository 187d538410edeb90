//! What a running pipeline reports: progress per epoch (to a file and over HTTP), Prometheus metrics, and health.

mod epoch_log;
pub(crate) mod hold;
mod http;
mod metrics;
pub mod progress;
pub mod progress_file;
mod shared;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use weir_plan::Plan;

use self::epoch_log::EpochLog;
use self::http::Guard;
use self::metrics::Metrics;
pub use self::metrics::log_line_dropped;
use self::progress::{LatestOffsets, Progress, Waits};
use self::progress_file::ProgressFile;
use self::shared::{Shared, lock};
use crate::checkpoint::manifest::SourceProgress;
use crate::clock::{steady, wall_us};
use crate::failure::{Failure, Result};
use crate::sink::upkeep::Tell;
use crate::storage::Secrets;

/// Where the reports of a run go.
#[derive(Debug, Clone, Default)]
pub struct Reporting {
    /// The file to which one JSON object per epoch is appended.
    pub progress: Option<PathBuf>,
    /// The address at which progress, metrics and health are served.
    pub http: Option<SocketAddr>,
    /// Receives the report of each epoch.
    pub on_epoch: Option<watch::Sender<Option<Progress>>>,
}

/// Receives reports from the driver. The HTTP server reads them.
pub(crate) struct Observer {
    shared: Arc<Shared>,
    progress_file: Option<ProgressFile>,
    log: EpochLog,
    /// By source: what it waits for, as of the epoch that was closed last.
    waits: BTreeMap<String, Waits>,
    on_epoch: Option<watch::Sender<Option<Progress>>>,
}

impl Observer {
    /// Opens the progress file and the HTTP port.
    pub async fn start(
        plan: &Plan,
        to: &Reporting,
        secrets: &Secrets,
        memory_limit_bytes: Option<u64>,
    ) -> Result<Self> {
        let progress_file = to.progress.as_deref().map(ProgressFile::open).transpose()?;
        let metrics = Metrics::new(&plan.pipeline, memory_limit_bytes);
        metrics.of_tables(plan.sinks.iter().map(|sink| sink.name.as_str()));
        let shared = Arc::new(Shared::new(metrics));
        if let Some(address) = to.http {
            http::serve(address, Guard::new(&plan.http, secrets), Arc::clone(&shared)).await?;
        }
        Ok(Self {
            shared,
            progress_file,
            log: EpochLog::default(),
            waits: BTreeMap::new(),
            on_epoch: to.on_epoch.clone(),
        })
    }

    /// The checkpoint is claimed. The report of the claim is shown until an epoch has one.
    pub fn claimed(&self, progress: Progress) {
        self.shared.metrics.show(&progress, wall_us());
        *lock(&self.shared.latest) = Some(progress);
    }

    /// The lanes have begun to read.
    pub fn ready(&self) {
        self.shared.ready.store(true, Ordering::Relaxed);
    }

    /// An epoch is closed and about to be committed, however long that takes. `latest` has the partitions' ends.
    pub fn closed(&self, sources: &[SourceProgress], clock_us: i64, latest: &LatestOffsets) {
        for source in sources {
            self.shared.metrics.closed(&progress::source_of(source, latest));
        }
        *lock(&self.shared.pending) =
            Some(progress::pending(clock_us, sources.iter().map(|source| source.counts.read).sum()));
    }

    /// An epoch is closed. Even one that takes in nothing, and is not committed, may find another partition or reason:
    /// an open transaction is noticed only when nothing comes any more.
    pub fn waits(&mut self, source: &str, waits: Waits) {
        self.shared.metrics.partitions_waiting_for_schema(source, waits.for_schema.as_ref());
        if let Some(latest) = lock(&self.shared.latest).as_mut() {
            latest.set_waits(source, &waits);
        }
        self.waits.insert(source.to_owned(), waits);
    }

    /// Some records of the open epoch were bad. `first` names the first one and the reason.
    pub fn bad_records(&mut self, count: u64, first: &str) {
        self.log.bad_records(count, first, steady());
    }

    /// Some rows behind a window could not be computed: how many per step, and the first of them.
    pub fn bad_rows(&mut self, by_step: &BTreeMap<String, u64>, first: &str) {
        self.log.bad_rows(by_step.values().sum(), first, steady());
    }

    /// Returns the function that counts what is done for the sinks.
    #[must_use]
    pub fn of_maintenance(&self) -> Tell {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |sink, done| shared.metrics.maintained(sink, done))
    }

    /// How many partitions of a source wait for the slowest one.
    pub fn partitions_waiting(&self, source: &str, count: usize) {
        self.shared.metrics.partitions_waiting(source, count);
    }

    /// An epoch is committed.
    pub fn epoch(&mut self, mut progress: Progress) -> Result<()> {
        for (source, waits) in &self.waits {
            progress.set_waits(source, waits);
        }
        if let Some(file) = &mut self.progress_file {
            let json = serde_json::to_string(&progress.report).map_err(|e| Failure::bug(format!("progress: {e}")))?;
            // A full disk under the progress file is no reason to stop.
            if let Err(error) = file.add(&json) {
                tracing::warn!(epoch = progress.batch_id, "the progress file lacks this epoch: {error}");
            }
        }
        self.shared.metrics.epoch(&progress, wall_us());
        self.log.epoch(&progress, steady());
        if let Some(listener) = &self.on_epoch {
            listener.send_replace(Some(progress.clone()));
        }
        *lock(&self.shared.pending) = None;
        *lock(&self.shared.latest) = Some(progress);
        Ok(())
    }

    /// The run has ended.
    pub fn ended(&self, result: &Result<()>) {
        self.shared.ready.store(false, Ordering::Relaxed);
        self.shared.ended.store(result.is_err(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use weir_plan::report::{Because, Hold, SchemaWait};

    use super::*;
    use crate::checkpoint::manifest::Totals;

    /// An epoch that takes in nothing is closed and not committed, so its report never comes.
    #[test]
    fn what_a_source_waits_for_is_shown_at_once_and_in_the_reports_of_later_epochs() {
        let shared = Arc::new(Shared::new(Metrics::new("rides", None)));
        let mut observer = Observer {
            shared: Arc::clone(&shared),
            progress_file: None,
            log: EpochLog::default(),
            waits: BTreeMap::new(),
            on_epoch: None,
        };
        let report = serde_json::from_str(include_str!("../../../plan/fixtures/report.json")).unwrap();
        let progress = Progress { report, took: Duration::ZERO, counters: Totals::default() };
        let waits = Waits {
            watermark_held_by: Some(Hold { topic: "rides".into(), partition: 1, because: Because::WaitsForSchema }),
            for_schema: Some(SchemaWait {
                topic: "rides".into(),
                partition: 1,
                offset: 2464,
                schema_id: "7".into(),
                since: "2026-12-01T23:53:30.000Z".into(),
                partitions: 2,
            }),
        };
        let shown = || {
            let source = lock(&shared.latest).as_ref().unwrap().sources[0].clone();
            let text = shared.metrics.encode().unwrap();
            let gauge = text.lines().find_map(|line| {
                line.strip_prefix("weir_partitions_waiting_for_schema{pipeline=\"rides\",name=\"rides\"} ")
            });
            let waits = Waits { watermark_held_by: source.watermark_held_by, for_schema: source.waits_for_schema };
            (waits, gauge.unwrap().to_owned())
        };
        observer.claimed(progress.clone());
        observer.waits("rides", waits.clone());
        assert_eq!(shown(), (waits.clone(), "2".to_owned()));
        observer.epoch(progress).unwrap();
        assert_eq!(shown(), (waits, "2".to_owned()));
        observer.waits("rides", Waits::default());
        assert_eq!(shown(), (Waits::default(), "0".to_owned()));
    }
}
