//! Commits what a manifest says a sink is to commit. Idempotent: the table's transaction for this lineage and sink decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::Mutex;
use weir_plan::Plan;
use weir_plan::quote::quoted;

use crate::checkpoint::manifest::{Committable, Manifest, Payload, PinnedTable};
use crate::checkpoint::writer::Committer;
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;
use crate::sink::delta::{CommitOutcome, DeltaTable};
use crate::storage::{self, Secrets};

pub struct TableCommitter {
    plan: Arc<Plan>,
    secrets: Secrets,
    retry: RetryPolicy,
    /// A table is used by one commit at a time.
    tables: BTreeMap<String, Mutex<DeltaTable>>,
}

impl TableCommitter {
    #[must_use]
    pub fn new(plan: Arc<Plan>, secrets: Secrets, retry: RetryPolicy, tables: Vec<DeltaTable>) -> Self {
        let tables = plan.sinks.iter().zip(tables).map(|(sink, table)| (sink.name.clone(), Mutex::new(table))).collect();
        Self { plan, secrets, retry, tables }
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
        let pinned = manifest.tables.iter().find(|t| t.sink == committable.sink).ok_or_else(|| {
            Failure::bug(format!("epoch {} has rows for {} and does not name its table", manifest.epoch, quoted(&committable.sink)))
        })?;
        let writes_there = self.plan.sinks.iter().any(|s| s.name == pinned.sink && s.delta.uri == pinned.uri);
        match self.tables.get(&pinned.sink).filter(|_| writes_there) {
            Some(table) => self.commit_to(&mut *table.lock().await, manifest, committable, pinned).await,
            // The epoch was decided under a document that had this sink.
            None => self.commit_to(&mut self.open_former(pinned).await?, manifest, committable, pinned).await,
        }
    }

    async fn commit_to(&self, table: &mut DeltaTable, manifest: &Manifest, committable: &Committable, pinned: &PinnedTable) -> Result<()> {
        let (sink, epoch, rows) = (&committable.sink, manifest.epoch, committable.rows);
        if table.table_id() != pinned.table_id {
            // Only a state action lets a pipeline start on a table that was made anew.
            tracing::warn!(%sink, %epoch, rows, "the rows were for the table at {} that is gone", pinned.uri);
            return Ok(());
        }
        let Payload::DeltaAppend { adds } = &committable.payload;
        let app_id = format!("weir/{}/{sink}", manifest.lineage);
        let outcome = table.commit(&app_id, epoch.0, adds, &self.provenance(manifest)).await?;
        if let CommitOutcome::Committed { version } = outcome {
            tracing::debug!(%sink, %epoch, version, rows, "committed");
        }
        Ok(())
    }

    async fn open_former(&self, pinned: &PinnedTable) -> Result<DeltaTable> {
        let open = async {
            let location = storage::open(&pinned.uri, self.plan.storage_for(&pinned.uri), &self.secrets)?;
            DeltaTable::open(location, self.retry).await
        };
        open.await.map_err(|e| {
            e.context(format_args!(
                "rows that were decided for {}, which the document no longer names, are to be committed before anything else",
                pinned.uri
            ))
        })
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
            ("pipeline", json!(self.plan.pipeline)),
            ("lineage", json!(manifest.lineage)),
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
