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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use weir_plan::Plan;
use weir_plan::report::Hold;

use self::epoch_log::EpochLog;
use self::metrics::Metrics;
pub use self::metrics::log_line_dropped;
use self::progress::{LatestOffsets, Progress};
use self::progress_file::ProgressFile;
use self::shared::{Shared, lock};
use crate::checkpoint::manifest::SourceProgress;
use crate::clock::{steady, wall_us};
use crate::failure::{Failure, Result};
use crate::sink::upkeep::Tell;

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
    /// By source: what holds its watermark, as of the epoch that was closed last.
    held_by: BTreeMap<String, Option<Hold>>,
    on_epoch: Option<watch::Sender<Option<Progress>>>,
}

impl Observer {
    /// Opens the progress file and the HTTP port.
    pub async fn start(plan: &Plan, to: &Reporting, memory_limit_bytes: Option<u64>) -> Result<Self> {
        let progress_file = to.progress.as_deref().map(ProgressFile::open).transpose()?;
        let metrics = Metrics::new(&plan.pipeline, memory_limit_bytes);
        metrics.of_tables(plan.sinks.iter().map(|sink| sink.name.as_str()));
        let shared = Arc::new(Shared {
            metrics,
            latest: Mutex::new(None),
            pending: Mutex::new(None),
            ready: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        if let Some(address) = to.http {
            http::serve(address, Arc::clone(&shared)).await?;
        }
        Ok(Self {
            shared,
            progress_file,
            log: EpochLog::default(),
            held_by: BTreeMap::new(),
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
    pub fn watermark_held_by(&mut self, source: &str, hold: Option<Hold>) {
        if let Some(latest) = lock(&self.shared.latest).as_mut() {
            latest.set_held_by(source, hold.as_ref());
        }
        self.held_by.insert(source.to_owned(), hold);
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
        for (source, hold) in &self.held_by {
            progress.set_held_by(source, hold.as_ref());
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
