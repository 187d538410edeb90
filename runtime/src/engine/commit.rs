//! Commits what a manifest says a sink is to commit. Idempotent: the table's transaction for this lineage and sink decides.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::Mutex;
use weir_plan::Plan;
use weir_plan::quote::quoted;

use crate::checkpoint::manifest::{Committable, Manifest, Payload};
use crate::checkpoint::writer::Committer;
use crate::failure::{Failure, Result};
use crate::sink::delta::{CommitOutcome, DeltaTable};

pub struct TableCommitter {
    lineage: String,
    pipeline: String,
    /// A table is used by one commit at a time.
    tables: BTreeMap<String, Mutex<DeltaTable>>,
}

impl TableCommitter {
    #[must_use]
    pub fn new(lineage: &str, plan: &Plan, tables: Vec<DeltaTable>) -> Self {
        let tables = plan.sinks.iter().zip(tables).map(|(sink, table)| (sink.name.clone(), Mutex::new(table))).collect();
        Self { lineage: lineage.to_owned(), pipeline: plan.pipeline.clone(), tables }
    }

    /// Shortens what has to be read of the tables' logs at the next start. Waits for nothing.
    pub async fn checkpoint_long_logs(&self) {
        for table in self.tables.values() {
            table.lock().await.checkpoint_log_if_long();
        }
    }

    /// The newest version of each sink's table that is known here.
    pub async fn versions(&self) -> BTreeMap<String, i64> {
        let mut versions = BTreeMap::new();
        for (sink, table) in &self.tables {
            versions.insert(sink.clone(), table.lock().await.version());
        }
        versions
    }

    async fn commit_one(&self, manifest: &Manifest, committable: &Committable) -> Result<()> {
        let table = self.tables.get(&committable.sink).ok_or_else(|| {
            Failure::config(format!(
                "epoch {} still has rows for sink {}, which the document no longer has; put the sink back until that epoch is committed",
                manifest.epoch,
                quoted(&committable.sink)
            ))
        })?;
        let Payload::DeltaAppend { adds } = &committable.payload;
        let app_id = format!("weir/{}/{}", self.lineage, committable.sink);
        let outcome = table.lock().await.commit(&app_id, manifest.epoch.0, adds, &self.provenance(manifest)).await?;
        if let CommitOutcome::Committed { version } = outcome {
            tracing::debug!(sink = committable.sink, epoch = manifest.epoch.0, version, rows = committable.rows, "committed");
        }
        Ok(())
    }

    /// Where a version of the table came from: offsets are half-open, times in µs.
    fn provenance(&self, manifest: &Manifest) -> serde_json::Map<String, serde_json::Value> {
        let sources: Vec<_> = manifest
            .sources
            .iter()
            .map(|s| {
                let offsets: Vec<_> = s
                    .partitions
                    .iter()
                    .map(|p| json!({"topic": p.topic, "partition": p.partition, "start": p.start, "end": p.end}))
                    .collect();
                json!({"name": s.name, "watermarkUs": s.watermark_after_us, "offsets": offsets})
            })
            .collect();
        let fields = [
            ("pipeline", json!(self.pipeline)),
            ("lineage", json!(self.lineage)),
            ("epoch", json!(manifest.epoch)),
            ("sources", json!(sources)),
        ];
        fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    }
}

impl Committer for TableCommitter {
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.commit_one(manifest, committable))
    }
}
