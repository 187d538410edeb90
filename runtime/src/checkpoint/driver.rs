//! Does what the machine asks, and tells it what became of it. Every request of the protocol passes through [`Driver::act`], between two
//! fail points.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use weir_plan::ids::Epoch;

use super::identity::Identity;
use super::layout;
use super::manifest::{Committable, Kind, Manifest};
use super::protocol::{Answer, Machine, Next, Request, Rest, Stop};
use super::store::{Outcome, Store};
use super::writer::Committer;
use crate::failpoint;
use crate::failure::{Failure, Remedy, Result};
use crate::retry::{Jitter, Patience, RetryPolicy};

pub(super) struct Driver {
    pub store: Store,
    pub machine: Machine,
    pub nonce: String,
    /// What `identity` is to hold if it isn't there yet; then what it does hold.
    pub identity: Identity,
    /// The manifest that was read last.
    pub read: Option<Manifest>,
    /// The one that is being created.
    pub candidate: Option<Manifest>,
    pub retry: RetryPolicy,
    pub jitter: Jitter,
    /// Why the last answer was unknown.
    pub why: String,
}

impl Driver {
    /// Runs the machine until it rests. Creating a claim needs its content: `claim` in `writer` prepares it.
    pub async fn run(&mut self, committer: Option<&dyn Committer>) -> Result<Rest> {
        let mut patience = self.patience();
        loop {
            match self.machine.next() {
                Next::Rest(rest) => return Ok(rest),
                Next::Stopped(stop) => return Err(self.sentence(stop)),
                Next::Ask(request) => self.turn(request, committer, &mut patience).await?,
            }
        }
    }

    pub fn patience(&mut self) -> Patience {
        // Each operation draws its own rhythm, else all would follow the same one.
        self.jitter.draw();
        Patience::new(self.retry, self.jitter.clone())
    }

    /// One request and its answer; if it led nowhere, a wait.
    pub async fn turn(&mut self, request: Request, committer: Option<&dyn Committer>, patience: &mut Patience) -> Result<()> {
        let retries = self.machine.retries();
        let answer = self.act(request, committer).await?;
        self.machine.answer(answer);
        match self.machine.retries() {
            now if now > retries => patience.wait(now, &self.why).await,
            0 => {
                patience.progress();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The manifest of `epoch`, if it is one of the two at hand; the stored one counts, since it is what was decided.
    pub fn at_hand(&self, epoch: Epoch) -> Result<&Manifest> {
        let known = [&self.read, &self.candidate].into_iter().flatten().find(|m| m.epoch == epoch && self.is_decided(m));
        known.ok_or_else(|| Failure::bug(format!("epoch {epoch} is to be committed, and its manifest was never read")))
    }

    fn is_decided(&self, manifest: &Manifest) -> bool {
        let newest = self.machine.newest();
        newest.is_none_or(|n| n.epoch != manifest.epoch || *n.nonce == *manifest.writer.nonce)
    }

    async fn act(&mut self, request: Request, committer: Option<&dyn Committer>) -> Result<Answer> {
        match request {
            Request::ProbeFirst(attempt) => {
                failpoint::reach("probe.before");
                self.create_probe(attempt).await
            }
            Request::ProbeSecond(attempt) => self.create_probe(attempt).await,
            Request::ProbeDelete(attempt) => {
                let deleted = self.store.delete(&layout::probe(&self.nonce, attempt)).await?;
                failpoint::reach("probe.after");
                Ok(self.told(deleted, |()| Answer::Deleted))
            }
            Request::ReadIdentity => self.read_identity().await,
            Request::CreateIdentity => {
                failpoint::reach("identity.before");
                let created = self.store.create(layout::IDENTITY, self.identity.encode()?).await?;
                failpoint::reach("identity.after");
                Ok(self.told(created, |()| Answer::Created))
            }
            Request::List { above } => self.list(above).await,
            Request::Read(epoch) => self.read_manifest(epoch).await,
            Request::Create(head) => {
                let Some(candidate) = self.candidate.as_ref().filter(|c| c.head() == head) else {
                    return Err(Failure::bug(format!("the manifest of epoch {} is to be created, and has no content", head.epoch)));
                };
                let bytes = candidate.encode()?;
                let is_claim = head.kind == Kind::Claim;
                failpoint::reach(if is_claim { "claim.before" } else { "manifest.create.before" });
                let created = self.store.create(&layout::manifest(head.epoch), bytes).await?;
                failpoint::reach(if is_claim { "claim.after" } else { "manifest.create.after" });
                Ok(self.told(created, |()| Answer::Created))
            }
            Request::Commit(epoch) => {
                let committer = committer.ok_or_else(|| Failure::bug(format!("epoch {epoch} is to be committed, and nobody can")))?;
                self.commit(epoch, committer).await
            }
        }
    }

    async fn create_probe(&mut self, attempt: u32) -> Result<Answer> {
        let path = layout::probe(&self.nonce, attempt);
        let created = self.store.create(&path, bytes::Bytes::from_static(b"probe")).await?;
        Ok(self.told(created, |()| Answer::Created))
    }

    async fn read_identity(&mut self) -> Result<Answer> {
        let bytes = match self.store.read(layout::IDENTITY).await? {
            Outcome::Done(bytes) => bytes,
            other => return Ok(self.told(other, |_| Answer::NotFound)),
        };
        let found = Identity::decode(&bytes).map_err(|f| f.context(self.store.uri()))?;
        found.check(&self.identity.pipeline, self.store.uri())?;
        self.identity = found;
        Ok(Answer::IdentityFound)
    }

    async fn list(&mut self, above: Option<Epoch>) -> Result<Answer> {
        let path = above.map(layout::manifest);
        let listed = self.store.list(layout::EPOCHS, path.as_deref()).await?;
        if above.is_some() {
            failpoint::reach("fence.after");
        }
        Ok(self.told(listed, |objects| {
            Answer::Listed(objects.iter().filter_map(|o| layout::manifest_epoch(o.location.filename()?)).max().filter(|e| Some(*e) > above))
        }))
    }

    async fn read_manifest(&mut self, epoch: Epoch) -> Result<Answer> {
        match self.store.read(&layout::manifest(epoch)).await? {
            Outcome::Done(bytes) => {
                let manifest = Manifest::decode(epoch, &self.identity.lineage, &bytes).map_err(|f| f.context(self.store.uri()))?;
                let head = manifest.head();
                self.read = Some(manifest);
                Ok(Answer::Found(head))
            }
            other => Ok(self.told(other, |_| Answer::NotFound)),
        }
    }

    /// All sinks at once, each retried by itself. The first one that can't go on ends it: the others lose nothing, since the epoch stays
    /// decided.
    async fn commit(&mut self, epoch: Epoch, committer: &dyn Committer) -> Result<Answer> {
        failpoint::reach("commit.before");
        let sinks = self.at_hand(epoch)?.committables.len();
        let patience: Vec<_> = (0..sinks).map(|_| self.patience()).collect();
        let manifest = self.at_hand(epoch)?;
        let mut sinks: FuturesUnordered<_> =
            manifest.committables.iter().zip(patience).map(|(committable, p)| commit_one(committer, manifest, committable, p)).collect();
        while let Some(done) = sinks.next().await {
            done.map_err(|f| f.context(format_args!("commit epoch {epoch}")))?;
        }
        failpoint::reach("commit.after");
        Ok(Answer::Acknowledged)
    }

    fn told<T>(&mut self, outcome: Outcome<T>, done: impl FnOnce(T) -> Answer) -> Answer {
        match outcome {
            Outcome::Done(value) => done(value),
            Outcome::AlreadyExists => {
                self.why = format!("{}: a create was refused, and nothing is there", self.store.uri());
                Answer::AlreadyExists
            }
            Outcome::NotFound => Answer::NotFound,
            Outcome::Unknown(why) => {
                self.why = why;
                Answer::Unknown
            }
        }
    }

    fn sentence(&self, stop: Stop) -> Failure {
        let uri = self.store.uri();
        match stop {
            Stop::NoConditionalPut => Failure::config(format!(
                "the store at {uri} does not refuse a second create (conditional put), \
                 so two writers could overwrite each other; use a store that honours If-None-Match"
            )),
            Stop::Fenced { ours, found } => {
                Failure::fenced(format!("another writer has taken over {uri}: epoch {found} is there, and this one was at {ours}"))
            }
            Stop::FencedBySink(epoch) => {
                Failure::fenced(format!("a sink holds an epoch above {epoch}, so another writer has taken over {uri}"))
            }
            Stop::Lost(epoch) => Failure::config(format!(
                "{uri} has lost {}, which is still to be committed; restore it, or start a new checkpoint",
                layout::manifest(epoch)
            )),
            Stop::Unexplained { epoch, generation, ours } => Failure::bug(format!(
                "epoch {epoch} in {uri} was written by generation {generation}, and this is generation {ours}; \
                 the checkpoint was changed by hand"
            )),
            Stop::Crowded => Failure::retry(format!("too many writers are starting on {uri} at once")),
            Stop::Misused => Failure::bug(format!("the writer of {uri} was used after it had failed, or out of turn")),
        }
    }
}

async fn commit_one(committer: &dyn Committer, manifest: &Manifest, committable: &Committable, mut patience: Patience) -> Result<()> {
    let mut retry = 0;
    loop {
        failpoint::reach("commit.sink.before");
        match committer.commit(manifest, committable).await {
            Ok(()) => break,
            Err(failure) if failure.remedy == Remedy::Retry => {
                retry += 1;
                tracing::warn!(sink = %committable.sink, epoch = %manifest.epoch, retry, "a commit failed and is tried again: {failure}");
                patience.wait(retry, &failure.message).await.map_err(|f| f.context(format_args!("sink {}", committable.sink)))?;
            }
            Err(failure) => return Err(failure.context(format_args!("sink {}", committable.sink))),
        }
    }
    failpoint::reach("commit.sink.after");
    Ok(())
}

/// Two committables for one sink would share one `txn`, and the second would be lost.
pub(super) fn one_per_sink(committables: &[Committable]) -> Result<()> {
    let twice = committables.iter().enumerate().find(|(i, c)| committables.iter().take(*i).any(|d| d.sink == c.sink));
    twice.map_or(Ok(()), |(_, c)| Err(Failure::bug(format!("sink {} has two committables in one epoch", c.sink))))
}
