//! One collection of garbage, which goes by what its writer knew when it began. It may run while its writer decides
//! more epochs, and go on after other writers have taken over; `gc` says why that is safe.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_base::failpoint;
use weir_base::failure::{Failure, Result};
use weir_plan::ids::{Epoch, Generation};

use super::gc::{self, Collector, GcReport};
use super::layout::{self, StateName};
use super::manifest::{Manifest, StateFile};
use super::store::{Outcome, Store};

/// What to collect, and for which writer.
#[derive(Debug, Clone)]
pub struct Collection {
    pub(super) store: Store,
    /// The checkpoint's lineage, as `identity` has it.
    pub(super) lineage: String,
    /// The writer's newest manifest when the collection began.
    pub(super) newest: Manifest,
    pub(super) keep: u32,
}

impl Collection {
    /// Deletes manifests and state files that nobody needs any more. It keeps the newest `keep` manifests and
    /// everything that they refer to, and also objects that are younger than `grace`.
    ///
    /// # Errors
    /// `Fenced`: another writer has taken over. `Retry`: the next collection deletes what this one left.
    pub async fn run(&self, now_us: i64, grace: Duration) -> Result<GcReport> {
        failpoint::reach("gc.before");
        let head = self.newest.head();
        let collector = Collector::new(&head, self.keep).sparing(being_written(&self.newest));
        // Files are listed before manifests; `gc` says why.
        let files = self.listed(layout::STATE).await?;
        let probes = self.listed(layout::PROBES).await?;
        let epochs: Vec<Epoch> = self
            .listed(layout::EPOCHS)
            .await?
            .iter()
            .filter_map(|o| layout::manifest_epoch(o.location.filename()?))
            .collect();
        let mut kept = references(&self.newest);
        if let Some(above) = epochs.iter().max().filter(|e| **e > head.epoch) {
            kept.extend(references(&self.own_manifest(*above, head.generation).await?));
        }
        let (mut old, recent): (Vec<Epoch>, Vec<Epoch>) = epochs.into_iter().partition(|e| *e < collector.keep_from());
        for epoch in recent.into_iter().filter(|e| *e < head.epoch) {
            kept.extend(references(&self.kept_manifest(epoch).await?));
        }
        let mut report = GcReport::default();
        // Delete manifests in order, and all of them before the first file: as long as a manifest is there, somebody
        // may restore from it.
        old.sort_unstable();
        for epoch in old {
            self.delete(&layout::manifest(epoch)).await?;
            report.manifests_deleted += 1;
        }
        failpoint::reach("gc.manifests.after");
        for file in files.iter().filter(|f| gc::is_old(f.last_modified.timestamp_micros(), now_us, grace)) {
            let Some(file_name) = file.location.filename() else { continue };
            if StateName::parse(file_name).is_some_and(|name| collector.takes(&name, &kept)) {
                self.delete(&format!("{}/{file_name}", layout::STATE)).await?;
                report.state_files_deleted += 1;
                report.state_bytes_deleted += file.size;
            }
        }
        let probe_grace = grace.max(gc::PROBE_GRACE);
        for probe in probes.iter().filter(|p| gc::is_old(p.last_modified.timestamp_micros(), now_us, probe_grace)) {
            let Some(file_name) = probe.location.filename() else { continue };
            self.delete(&format!("{}/{file_name}", layout::PROBES)).await?;
            report.probes_deleted += 1;
        }
        failpoint::reach("gc.after");
        Ok(report)
    }

    async fn listed(&self, folder: &str) -> Result<Vec<object_store::ObjectMeta>> {
        known(self.store.list(folder, None).await?, || format!("list {folder} in {}", self.store.uri()))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        known(self.store.delete(path).await?, || format!("delete {path} in {}", self.store.uri()))
    }

    /// Reads a manifest that was decided since this collection began. If another writer decided it, this collection is
    /// overtaken.
    async fn own_manifest(&self, epoch: Epoch, generation: Generation) -> Result<Manifest> {
        let manifest = self.kept_manifest(epoch).await?;
        if manifest.writer.generation == generation { Ok(manifest) } else { Err(self.overtaken(epoch)) }
    }

    /// Reads a manifest that we keep. If it is gone, a newer writer has collected it.
    async fn kept_manifest(&self, epoch: Epoch) -> Result<Manifest> {
        let path = layout::manifest(epoch);
        match self.store.read(&path).await? {
            Outcome::NotFound => Err(self.overtaken(epoch)),
            outcome => Manifest::decode(epoch, &self.lineage, &known(outcome, || format!("read {path}"))?),
        }
    }

    fn overtaken(&self, epoch: Epoch) -> Failure {
        Failure::fenced(format!(
            "another writer has taken over {}: it changed epoch {epoch} while epoch {} was the newest here",
            self.store.uri(),
            self.newest.epoch
        ))
    }
}

pub(super) fn known<T>(outcome: Outcome<T>, doing: impl FnOnce() -> String) -> Result<T> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Unknown(why) => Err(Failure::retry(why)),
        Outcome::AlreadyExists | Outcome::NotFound => {
            Err(Failure::retry(format!("{}: the store's answer makes no sense", doing())))
        }
    }
}

fn references(manifest: &Manifest) -> BTreeSet<StateName> {
    manifest.tasks.iter().flat_map(|t| &t.state).filter_map(StateFile::name).collect()
}

/// The tasks and epochs of the compactions that are under way by this manifest.
fn being_written(manifest: &Manifest) -> BTreeSet<(u32, Epoch)> {
    manifest.tasks.iter().filter_map(|t| Some((t.id, t.compacting?))).collect()
}
