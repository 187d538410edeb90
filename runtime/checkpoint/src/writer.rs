//! The writer of a checkpoint: open, claim, recover, then one epoch after the other. The types enforce this order;
//! `protocol` makes the decisions.
//!
//! After a future was dropped midway or a call failed, the writer is unusable: what happened is unknown, and only a new
//! claim finds out.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use weir_base::failpoint;
use weir_base::failure::{Failure, Result};
use weir_base::retry::{Jitter, RetryPolicy};
use weir_base::storage::{Access, Standing};
use weir_plan::ids::{Epoch, Generation};

use super::collection::{Collection, known};
use super::content::{Carried, DataEpoch, claim_manifest, data_manifest, place, places};
use super::continuity;
use super::driver::{Driver, Outside, one_per_sink};
use super::identity::Identity;
use super::layout;
use super::manifest::{Kind, Manifest};
use super::protocol::{Machine, Next, Request};
use super::sinks::{Committer, Sinks};
use super::state_files::StateFiles;
use super::store::{Outcome, Store};

/// How to reach the store and how long to try.
#[derive(Debug, Clone)]
pub struct Options {
    /// The checkpoint's URI as the user wrote it, for messages.
    pub uri: String,
    /// How the store is reached, for messages.
    pub access: Access,
    pub retry: RetryPolicy,
    /// The deadline of each call to the object store.
    pub call_deadline: Duration,
    /// A random seed for the jitter of retries.
    pub jitter_seed: u64,
    pub standing: Standing,
}

impl Options {
    /// Options with the default times.
    #[must_use]
    pub fn new(uri: impl Into<String>, jitter_seed: u64) -> Self {
        Self {
            uri: uri.into(),
            access: Access::Folder,
            retry: RetryPolicy::default(),
            call_deadline: Duration::from_secs(30),
            jitter_seed,
            standing: Standing::default(),
        }
    }
}

/// A checkpoint that we may read: the store is fit, and the identity is ours.
pub struct Opened {
    driver: Driver,
    newest: Option<Manifest>,
}

/// Opens the checkpoint under `root`, or begins one. `new_lineage` counts only for a new checkpoint; `nonce` is random
/// and drawn for this call.
///
/// # Errors
/// `Config`: the bucket, the keys, a store without conditional puts, another pipeline's checkpoint, a later format.
/// `Retry`: the store is away.
pub async fn open(
    store: Arc<dyn ObjectStore>,
    root: Path,
    pipeline: &str,
    new_lineage: String,
    nonce: String,
    options: Options,
) -> Result<Opened> {
    let store = Store::new(store, root, &options.uri, options.call_deadline)
        .reached_by(options.access.clone())
        .in_run(&options.standing);
    open_in(store, pipeline, new_lineage, nonce, options).await
}

pub(super) async fn open_in(
    store: Store,
    pipeline: &str,
    new_lineage: String,
    nonce: String,
    options: Options,
) -> Result<Opened> {
    let mut driver = Driver {
        store,
        machine: Machine::new(nonce.as_str().into()),
        nonce,
        identity: Identity::new(new_lineage, pipeline.to_owned()),
        newest: None,
        read: None,
        candidate: None,
        retry: options.retry,
        jitter: Jitter::new(options.jitter_seed),
        why: String::new(),
        memories: Vec::new(),
    };
    driver.run(Outside::Nobody).await?;
    let newest = driver.newest.clone();
    Ok(Opened { driver, newest })
}

impl Opened {
    /// Sends large objects to the store in numbered parts.
    #[must_use]
    pub fn in_parts(mut self, parts: Option<Arc<dyn MultipartStore>>) -> Self {
        self.driver.store = self.driver.store.in_parts(parts);
        self
    }

    /// The newest manifest; `None` if nothing was ever decided here.
    #[must_use]
    pub fn newest(&self) -> Option<&Manifest> {
        self.newest.as_ref()
    }

    /// The manifest of an epoch, if it is still there.
    ///
    /// # Errors
    /// `Retry` if the store is away, `Config` if the manifest does not belong to this checkpoint.
    pub async fn manifest(&self, epoch: Epoch) -> Result<Option<Manifest>> {
        let path = layout::manifest(epoch);
        let doing = format!("read {path} in {}", self.driver.store.uri());
        let read = async || match self.driver.store.read(&path).await? {
            Outcome::NotFound => Ok(None),
            outcome => {
                Manifest::decode(epoch, &self.driver.identity.lineage, &known(outcome, || doing.clone())?).map(Some)
            }
        };
        self.driver.retry.persist(&doing, read).await
    }

    /// Reads state files, and writes them under the generation that [`StateFiles::of_generation`] gets.
    #[must_use]
    pub fn states(&self) -> StateFiles {
        StateFiles {
            store: self.driver.store.clone(),
            generation: self.newest.as_ref().map_or(Generation(0), |m| m.writer.generation),
            retry: self.driver.retry,
            jitter: self.driver.jitter.clone(),
        }
    }

    /// Takes over: from here on every other writer is fenced. `content` gets the newest manifest and the claim's
    /// generation, and returns what the claim carries; it is called again if another writer claims first. Before the
    /// first call, the writer has compared what the sinks hold with the checkpoint.
    ///
    /// # Errors
    /// `Fenced` if another writer claims at the same time and wins; `Retry`; `Config`, also if a sink holds what this
    /// checkpoint did not decide; any failure of `content`.
    pub async fn claim<F>(mut self, sinks: &dyn Sinks, mut content: F) -> Result<CheckpointWriter>
    where
        F: AsyncFnMut(Option<&Manifest>, Generation) -> Result<Carried>,
    {
        let driver = &mut self.driver;
        driver.machine.claim();
        let mut patience = driver.patience();
        let mut given_up = None;
        while let Next::Ask(mut request) = driver.machine.next() {
            if let Request::Create(head) = &mut request
                && driver.candidate.as_ref().is_none_or(|c| c.head() != *head)
            {
                // The machine claims upon the newest manifest that it has read.
                let before = driver.newest.as_ref().filter(|m| m.epoch.next() == head.epoch);
                let mut carried = content(before, head.generation).await?;
                carried.begins_lineage |= driver.machine.is_emptied();
                match before.filter(|_| !carried.begins_lineage) {
                    Some(before) => continuity::check(before, &carried.sources, true)?,
                    None => continuity::check_beginning(&carried.sources)?,
                }
                let lineage = match before {
                    _ if carried.begins_lineage => driver.identity.lineage_from(head.generation),
                    Some(before) => before.lineage.clone(),
                    None => driver.identity.lineage.clone(),
                };
                if carried.begins_lineage {
                    driver.machine.begin_lineage();
                }
                driver.machine.pin(&carried.sinks.iter().map(|sink| place(&sink.name, &sink.id)).collect::<Vec<_>>());
                if let Next::Ask(Request::Create(settled)) = driver.machine.next() {
                    *head = settled;
                }
                let committed_nowhere =
                    before.map(Manifest::head).filter(|before| before.kind == Kind::Claim || !before.writes.is_empty());
                given_up =
                    committed_nowhere.and_then(|before| before.unacknowledged()).filter(|_| head.in_doubt.is_none());
                let totals = before.map(|m| m.totals.clone()).unwrap_or_default();
                driver.candidate = Some(claim_manifest(lineage, head, carried, totals));
            }
            driver.turn(request, Outside::Claiming(sinks), &mut patience).await?;
        }
        driver.run(Outside::Nobody).await?;
        if let Some(epoch) = given_up {
            tracing::warn!(
                "epoch {epoch} is not committed to sinks that do not have it: they disagree with the checkpoint, and \
                 a state action goes on"
            );
        }
        let newest = claimed(driver)?;
        Ok(CheckpointWriter { driver: self.driver, newest, failed: None })
    }
}

/// The writer that may write, until somebody else claims.
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

    /// The manifest to go on from: first the claim, then the last committed epoch.
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

    /// Commits the data epoch that some sink may lack, and returns its number. Call this once, before the first
    /// [`Self::commit`].
    ///
    /// # Errors
    /// Those of the committer; `Fenced`, `Config` or `Retry` from the store.
    pub async fn recover(&mut self, committer: &dyn Committer) -> Result<Option<Epoch>> {
        self.check_usable()?;
        failpoint::reach("recover.before");
        self.driver.machine.recover();
        let ended = self.driver.run(Outside::Committing(committer)).await;
        self.remember(ended)?;
        failpoint::reach("recover.after");
        Ok(self.newest.in_doubt)
    }

    /// Decides one epoch and makes every sink commit it. On `Ok` all sinks have it.
    ///
    /// # Errors
    /// `Fenced`: another writer has taken over. `Retry`: the store or a sink was away for longer than the policy
    /// allows, and the epoch may be decided. `Bug`: the epoch does not follow the last one, and nothing was done.
    pub async fn commit(&mut self, epoch: DataEpoch, committer: &dyn Committer) -> Result<&Manifest> {
        self.check_usable()?;
        let ended = self.decide(epoch, committer).await;
        self.newest = self.remember(ended)?;
        failpoint::reach("epoch.done");
        Ok(&self.newest)
    }

    /// Prepares a collection of garbage that goes by the current state: it keeps the newest `keep` manifests and
    /// everything that they refer to.
    #[must_use]
    pub fn collection(&self, keep: u32) -> Collection {
        let (store, lineage) = (self.driver.store.clone(), self.driver.identity.lineage.clone());
        Collection { store, lineage, newest: self.newest.clone(), keep }
    }

    async fn decide(&mut self, epoch: DataEpoch, committer: &dyn Committer) -> Result<Manifest> {
        continuity::check(&self.newest, &epoch.sources, false)?;
        one_per_sink(&epoch.committables)?;
        self.driver.machine.decide(places(&self.newest.sinks, &epoch.committables));
        if let Next::Ask(Request::Create(head)) = self.driver.machine.next() {
            let candidate = data_manifest(&self.newest, &head, epoch);
            for committable in &candidate.committables {
                let doing = format!("look whether sink {} can take epoch {}", committable.sink, head.epoch);
                let ready =
                    self.driver.retry.persist(&doing, async || committer.ready(&candidate, committable).await).await;
                ready.map_err(|f| f.context(format_args!("sink {}", committable.sink)))?;
            }
            self.driver.candidate = Some(candidate);
        }
        self.driver.run(Outside::Committing(committer)).await?;
        claimed(&self.driver)
    }

    fn check_usable(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn remember<T>(&mut self, ended: Result<T>) -> Result<T> {
        ended.inspect_err(|failure| self.failed = Some(failure.clone()))
    }
}

/// The manifest that the machine has just decided, as it is stored.
fn claimed(driver: &Driver) -> Result<Manifest> {
    let epoch = driver
        .machine
        .newest()
        .map(|h| h.epoch)
        .ok_or_else(|| Failure::bug("the writer is ready and has claimed nothing"))?;
    driver.at_hand(epoch).cloned()
}

#[cfg(test)]
mod tests;
