//! The writer of a checkpoint: open, claim, recover, then one epoch after the other. The order is in the types; the decisions are
//! `protocol`'s.
//!
//! A future that is dropped midway, or a call that failed, leaves the writer unusable: what became of it is unknown, and only a new claim
//! finds out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::path::Path;
use weir_plan::ids::{Epoch, Generation};

use super::continuity;
use super::driver::{Driver, one_per_sink};
use super::gc::{self, Collector, GcReport};
use super::identity::Identity;
use super::layout::{self, StateName};
use super::manifest::{ActedUpon, Committable, Kind, MANIFEST_V1, Manifest, PinnedTable, SourceProgress, Task, Until, Writer};
use super::protocol::{Head, Machine, Next, Request};
use super::state_files::StateFiles;
use super::store::{Outcome, Store};
use super::totals::Totals;
use crate::failpoint;
use crate::failure::{Failure, Result};
use crate::retry::{Jitter, RetryPolicy};
use crate::storage::Standing;

/// How to reach the store and how long to try.
#[derive(Debug, Clone)]
pub struct Options {
    /// The checkpoint's URI as the person wrote it, for sentences.
    pub uri: String,
    pub retry: RetryPolicy,
    /// For each call to the object store.
    pub call_deadline: Duration,
    /// Random.
    pub jitter_seed: u64,
    pub standing: Standing,
}

impl Options {
    /// The usual times.
    #[must_use]
    pub fn new(uri: impl Into<String>, jitter_seed: u64) -> Self {
        Self {
            uri: uri.into(),
            retry: RetryPolicy::default(),
            call_deadline: Duration::from_secs(30),
            jitter_seed,
            standing: Standing::default(),
        }
    }
}

/// What a claim carries on from its predecessor; of a new lineage, what it pins.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    pub clock_us: i64,
    pub fingerprint: serde_json::Value,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub tables: Vec<PinnedTable>,
    pub until: Option<Until>,
    /// The last one that was done, now or before.
    pub state_action: Option<ActedUpon>,
    /// State was discarded or restored: what follows is another history, and its transactions in the tables have another name.
    pub begins_lineage: bool,
}

/// One epoch, ready to be decided: its data and state are uploaded. Fingerprint and tables are those of the claim.
#[derive(Debug, Clone, PartialEq)]
pub struct DataEpoch {
    pub clock_us: i64,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub committables: Vec<Committable>,
    pub until: Option<Until>,
}

/// Commits one sink's part of an epoch. Called again for the same epoch after any doubt, so it must be idempotent.
pub trait Committer: Send + Sync {
    /// # Errors
    /// `Retry` is tried again; `Fenced` if the table holds a later epoch; anything else ends the writer.
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<()>>;
}

/// The checkpoint is ours to read: the store keeps its promise, and the identity fits.
pub struct Opened {
    driver: Driver,
    newest: Option<Manifest>,
}

/// Opens or begins the checkpoint under `root`. `new_lineage` counts only if it is new; `nonce` is random and drawn for this call.
///
/// # Errors
/// `Config`: bucket, keys, a store without conditional puts, another pipeline's checkpoint, a later format. `Retry` if the store is away.
pub async fn open(
    store: Arc<dyn ObjectStore>,
    root: Path,
    pipeline: &str,
    new_lineage: String,
    nonce: String,
    options: Options,
) -> Result<Opened> {
    let mut driver = Driver {
        store: Store::new(store, root, &options.uri, options.call_deadline).in_run(&options.standing),
        machine: Machine::new(nonce.as_str().into()),
        nonce,
        identity: Identity::new(new_lineage, pipeline.to_owned()),
        read: None,
        candidate: None,
        retry: options.retry,
        jitter: Jitter::new(options.jitter_seed),
        why: String::new(),
    };
    driver.run(None).await?;
    let newest = driver.read.clone();
    Ok(Opened { driver, newest })
}

impl Opened {
    /// `None`: nothing was ever decided here.
    #[must_use]
    pub fn newest(&self) -> Option<&Manifest> {
        self.newest.as_ref()
    }

    /// The manifest of an epoch, if it is still there.
    ///
    /// # Errors
    /// `Retry` if the store is away, `Config` if it is not one of this checkpoint.
    pub async fn manifest(&self, epoch: Epoch) -> Result<Option<Manifest>> {
        let path = layout::manifest(epoch);
        let doing = format!("read {path} in {}", self.driver.store.uri());
        let read = async || match self.driver.store.read(&path).await? {
            Outcome::NotFound => Ok(None),
            outcome => Manifest::decode(epoch, &self.driver.identity.lineage, &known(outcome, || doing.clone())?).map(Some),
        };
        self.driver.retry.persist(&doing, read).await
    }

    /// Takes over: every other writer is fenced from here on. `content` gets the newest manifest and returns what the claim carries; it is
    /// called again if another writer gets in between.
    ///
    /// # Errors
    /// `Fenced` if another claims at the same time and wins; `Retry`, `Config`; whatever `content` fails with.
    pub async fn claim<F>(mut self, mut content: F) -> Result<CheckpointWriter>
    where
        F: AsyncFnMut(Option<&Manifest>) -> Result<Carried>,
    {
        let driver = &mut self.driver;
        driver.machine.claim();
        let mut patience = driver.patience();
        while let Next::Ask(request) = driver.machine.next() {
            if let Request::Create(head) = &request
                && driver.candidate.as_ref().is_none_or(|c| c.head() != *head)
            {
                // The machine claims upon the manifest that it read last.
                let before = driver.read.as_ref().filter(|m| m.epoch.next() == head.epoch);
                let carried = content(before).await?;
                match before.filter(|_| !carried.begins_lineage) {
                    Some(before) => continuity::check(before, &carried.sources, true)?,
                    None => continuity::check_beginning(&carried.sources)?,
                }
                let lineage = match before {
                    _ if carried.begins_lineage => driver.identity.lineage_from(head.generation),
                    Some(before) => before.lineage.clone(),
                    None => driver.identity.lineage.clone(),
                };
                let totals = before.map(|m| m.totals.clone()).unwrap_or_default();
                driver.candidate = Some(claim_manifest(lineage, head, carried, totals));
            }
            driver.turn(request, None, &mut patience).await?;
        }
        driver.run(None).await?;
        let newest = claimed(driver)?;
        Ok(CheckpointWriter { driver: self.driver, newest, failed: None })
    }
}

/// The one that may write, until somebody else claims.
pub struct CheckpointWriter {
    driver: Driver,
    newest: Manifest,
    failed: Option<Failure>,
}

impl CheckpointWriter {
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.newest.writer.generation
    }

    #[must_use]
    pub fn lineage(&self) -> &str {
        &self.newest.lineage
    }

    /// The manifest to go on from: the claim, then the last epoch that was committed.
    #[must_use]
    pub fn newest(&self) -> &Manifest {
        &self.newest
    }

    /// Reads and writes state files under this writer's generation.
    #[must_use]
    pub fn states(&self) -> StateFiles {
        StateFiles {
            store: self.driver.store.clone(),
            generation: self.generation(),
            retry: self.driver.retry,
            jitter: self.driver.jitter.clone(),
        }
    }

    /// Commits the data epoch that may be missing in some sink; returns its number. To be called once, before the first [`Self::commit`].
    ///
    /// # Errors
    /// As the committer's; `Fenced`, `Config` or `Retry` from the store.
    pub async fn recover(&mut self, committer: &dyn Committer) -> Result<Option<Epoch>> {
        self.check_usable()?;
        failpoint::reach("recover.before");
        self.driver.machine.recover();
        let ended = self.driver.run(Some(committer)).await;
        self.remember(ended)?;
        failpoint::reach("recover.after");
        Ok(self.newest.in_doubt)
    }

    /// Decides one epoch and has every sink commit it. On `Ok` all have.
    ///
    /// # Errors
    /// `Fenced`: somebody else writes now. `Retry`: the store or a sink was away for longer than the policy allows; the epoch may be
    /// decided. A bug, if the epoch doesn't follow the last one; then nothing was done.
    pub async fn commit(&mut self, epoch: DataEpoch, committer: &dyn Committer) -> Result<&Manifest> {
        self.check_usable()?;
        let ended = self.decide(epoch, committer).await;
        self.newest = self.remember(ended)?;
        failpoint::reach("epoch.done");
        Ok(&self.newest)
    }

    /// Deletes manifests and state files that nobody needs any more: the newest `keep` manifests stay, and whatever they refer to. Objects
    /// younger than `grace` stay too.
    ///
    /// # Errors
    /// `Fenced`: somebody else writes now. `Retry`: it may be called again.
    pub async fn collect_garbage(&self, keep: u32, now_us: i64, grace: Duration) -> Result<GcReport> {
        failpoint::reach("gc.before");
        let head = self.newest.head();
        let collector = Collector::new(&head, keep);
        // Files before manifests: see `gc`.
        let files = self.listed(layout::STATE).await?;
        let probes = self.listed(layout::PROBES).await?;
        let epochs: Vec<Epoch> =
            self.listed(layout::EPOCHS).await?.iter().filter_map(|o| layout::manifest_epoch(o.location.filename()?)).collect();
        if let Some(above) = epochs.iter().find(|e| **e > head.epoch) {
            return Err(self.overtaken(*above));
        }
        let mut report = GcReport::default();
        let mut kept = references(&self.newest);
        let (mut old, recent): (Vec<Epoch>, Vec<Epoch>) = epochs.into_iter().partition(|e| *e < collector.keep_from());
        for epoch in recent.into_iter().filter(|e| *e != head.epoch) {
            kept.extend(references(&self.kept_manifest(epoch).await?));
        }
        // In order, and all of them before the first file: a manifest that is there can be restored from.
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

    async fn decide(&mut self, epoch: DataEpoch, committer: &dyn Committer) -> Result<Manifest> {
        continuity::check(&self.newest, &epoch.sources, false)?;
        one_per_sink(&epoch.committables)?;
        self.driver.machine.decide();
        if let Next::Ask(Request::Create(head)) = self.driver.machine.next() {
            self.driver.candidate = Some(data_manifest(&self.newest, &head, epoch));
        }
        self.driver.run(Some(committer)).await?;
        claimed(&self.driver)
    }

    fn check_usable(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn remember<T>(&mut self, ended: Result<T>) -> Result<T> {
        ended.inspect_err(|failure| self.failed = Some(failure.clone()))
    }

    async fn listed(&self, folder: &str) -> Result<Vec<object_store::ObjectMeta>> {
        known(self.driver.store.list(folder, None).await?, || format!("list {folder} in {}", self.driver.store.uri()))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        known(self.driver.store.delete(path).await?, || format!("delete {path} in {}", self.driver.store.uri()))
    }

    /// One that we keep and that is gone was collected by a newer writer.
    async fn kept_manifest(&self, epoch: Epoch) -> Result<Manifest> {
        let path = layout::manifest(epoch);
        match self.driver.store.read(&path).await? {
            Outcome::NotFound => Err(self.overtaken(epoch)),
            outcome => Manifest::decode(epoch, &self.driver.identity.lineage, &known(outcome, || format!("read {path}"))?),
        }
    }

    fn overtaken(&self, epoch: Epoch) -> Failure {
        Failure::fenced(format!(
            "another writer has taken over {}: it changed epoch {epoch} while epoch {} was the newest here",
            self.driver.store.uri(),
            self.newest.epoch
        ))
    }
}

fn known<T>(outcome: Outcome<T>, doing: impl FnOnce() -> String) -> Result<T> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Unknown(why) => Err(Failure::retry(why)),
        Outcome::AlreadyExists | Outcome::NotFound => Err(Failure::retry(format!("{}: the store's answer makes no sense", doing()))),
    }
}

/// The manifest that the machine has just decided, as it is stored.
fn claimed(driver: &Driver) -> Result<Manifest> {
    let epoch = driver.machine.newest().map(|h| h.epoch).ok_or_else(|| Failure::bug("the writer is ready and has claimed nothing"))?;
    driver.at_hand(epoch).cloned()
}

fn references(manifest: &Manifest) -> BTreeSet<StateName> {
    let paths = manifest.tasks.iter().flat_map(|t| &t.state).map(|f| f.path.as_str());
    paths.filter_map(|path| StateName::parse(path.rsplit('/').next()?)).collect()
}

fn claim_manifest(lineage: String, head: &Head, carried: Carried, totals: Totals) -> Manifest {
    Manifest {
        format: MANIFEST_V1.into(),
        lineage,
        epoch: head.epoch,
        kind: Kind::Claim,
        writer: Writer { generation: head.generation, nonce: head.nonce.to_string() },
        clock_us: carried.clock_us,
        fingerprint: carried.fingerprint,
        in_doubt: head.in_doubt,
        sources: carried.sources,
        tasks: carried.tasks,
        committables: vec![],
        tables: carried.tables,
        until: carried.until,
        state_action: carried.state_action,
        totals,
    }
}

fn data_manifest(before: &Manifest, head: &Head, epoch: DataEpoch) -> Manifest {
    Manifest {
        format: MANIFEST_V1.into(),
        lineage: before.lineage.clone(),
        epoch: head.epoch,
        kind: Kind::Data,
        writer: Writer { generation: head.generation, nonce: head.nonce.to_string() },
        clock_us: epoch.clock_us,
        fingerprint: before.fingerprint.clone(),
        in_doubt: None,
        totals: before.totals.plus(&epoch.sources, &epoch.tasks, &epoch.committables),
        sources: epoch.sources,
        tasks: epoch.tasks,
        committables: epoch.committables,
        tables: before.tables.clone(),
        until: epoch.until,
        state_action: before.state_action.clone(),
    }
}
