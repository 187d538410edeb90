//! Does what the machine asks and tells it the result. Every request of the protocol passes through [`Driver::act`],
//! between two fail points.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use weir_base::failpoint;
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::retry::{Jitter, Patience, RetryPolicy};
use weir_plan::ids::Epoch;
use weir_plan::quote::quoted;

use super::content::places;
use super::identity::Identity;
use super::layout;
use super::manifest::{Committable, Kind, Manifest};
use super::protocol::{Answer, Doubt, Held, Machine, Next, Place, Request, Rest, Stop, Told, Whose, Why};
use super::sinks::{Committer, Landed, SinkMemory, Sinks};
use super::store::{Outcome, Store};

pub(super) struct Driver {
    pub store: Store,
    pub machine: Machine,
    pub nonce: String,
    /// What `identity` shall hold if it does not exist yet; later, what it does hold.
    pub identity: Identity,
    /// The newest manifest, as it was read before the claim.
    pub newest: Option<Manifest>,
    /// The manifest that was read last.
    pub read: Option<Manifest>,
    /// The manifest that is being created.
    pub candidate: Option<Manifest>,
    pub retry: RetryPolicy,
    pub jitter: Jitter,
    /// Why the last answer was unknown, or what a sink with a later epoch said.
    pub why: String,
    /// What the sinks last said before the claim.
    pub memories: Vec<SinkMemory>,
}

/// Who answers the requests that the store can't answer.
#[derive(Clone, Copy)]
pub(super) enum Outside<'a> {
    Nobody,
    Claiming(&'a dyn Sinks),
    Committing(&'a dyn Committer),
}

impl Driver {
    /// Runs the machine until it rests. Creating a claim needs its content, which `claim` in `writer` prepares.
    pub async fn run(&mut self, outside: Outside<'_>) -> Result<Rest> {
        let mut patience = self.patience();
        loop {
            match self.machine.next() {
                Next::Rest(rest) => return Ok(rest),
                Next::Stopped(stop) => return Err(self.stopped(stop).await),
                Next::Ask(request) => self.turn(request, outside, &mut patience).await?,
            }
        }
    }

    pub fn patience(&mut self) -> Patience {
        // Each operation draws its own jitter; otherwise all would follow the same rhythm.
        self.jitter.draw();
        Patience::new(self.retry, self.jitter.clone())
    }

    /// Performs one request and passes on its answer; waits if the answer made no progress.
    pub async fn turn(&mut self, request: Request, outside: Outside<'_>, patience: &mut Patience) -> Result<()> {
        let retries = self.machine.retries();
        let answer = self.act(request, outside).await?;
        self.machine.answer(answer);
        if let (Some(read), Some(newest)) = (&self.read, self.machine.newest())
            && read.head() == *newest
            && self.newest.as_ref().is_none_or(|known| known.epoch < read.epoch)
        {
            self.newest = Some(read.clone());
        }
        match self.machine.retries() {
            now if now > retries => patience.wait(now, &self.why).await,
            0 => {
                patience.progress();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The manifest of `epoch`, if it is at hand and was decided. The stored one takes precedence, since it is what was
    /// decided.
    pub fn at_hand(&self, epoch: Epoch) -> Result<&Manifest> {
        let known = [&self.read, &self.candidate, &self.newest]
            .into_iter()
            .flatten()
            .find(|m| m.epoch == epoch && self.is_decided(m));
        known.ok_or_else(|| Failure::bug(format!("epoch {epoch} is to be committed, and its manifest was never read")))
    }

    fn is_decided(&self, manifest: &Manifest) -> bool {
        let newest = self.machine.newest();
        newest.is_none_or(|n| n.epoch != manifest.epoch || *n.nonce == *manifest.writer.nonce)
    }

    async fn act(&mut self, request: Request, outside: Outside<'_>) -> Result<Answer> {
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
            Request::List { above } => {
                let listed = self.list(above).await?;
                Ok(self.told(listed, |epochs| Answer::Listed(epochs.into_iter().max())))
            }
            Request::Fence(epoch) => {
                let before = Epoch(epoch.0 - 1);
                let listed = self.list(Some(Epoch(epoch.0.saturating_sub(2)))).await?;
                failpoint::reach("fence.after");
                Ok(self.told(listed, |epochs| Answer::Fenced {
                    above: epochs.iter().copied().max().filter(|e| *e > epoch),
                    before: epoch == Epoch::FIRST || epochs.contains(&before),
                }))
            }
            Request::AskSinks => self.ask_sinks(outside, false).await,
            Request::AskSinksAnew => self.ask_sinks(outside, true).await,
            Request::Excuse(_) => {
                let Outside::Claiming(sinks) = outside else { return Err(unasked("sinks")) };
                Ok(if sinks.excuses(self.newest.as_ref()) { Answer::Excused } else { Answer::NotExcused })
            }
            Request::Read(epoch) => self.read_manifest(epoch).await,
            Request::Create(head) => {
                let Some(candidate) = self.candidate.as_ref().filter(|c| c.head() == head) else {
                    return Err(Failure::bug(format!(
                        "the manifest of epoch {} is to be created, and has no content",
                        head.epoch
                    )));
                };
                let bytes = candidate.encode()?;
                let is_claim = head.kind == Kind::Claim;
                failpoint::reach(if is_claim { "claim.before" } else { "manifest.create.before" });
                let created = self.store.create(&layout::manifest(head.epoch), bytes).await?;
                failpoint::reach(if is_claim { "claim.after" } else { "manifest.create.after" });
                Ok(self.told(created, |()| Answer::Created))
            }
            Request::Commit(epoch) => {
                let Outside::Committing(committer) = outside else { return Err(unasked("committer")) };
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

    /// The epochs above this one, or all epochs.
    async fn list(&self, above: Option<Epoch>) -> Result<Outcome<Vec<Epoch>>> {
        let path = above.filter(|e| e.0 > 0).map(layout::manifest);
        Ok(match self.store.list(layout::EPOCHS, path.as_deref()).await? {
            Outcome::Done(objects) => Outcome::Done(
                objects
                    .iter()
                    .filter_map(|o| layout::manifest_epoch(o.location.filename()?))
                    .filter(|e| above.is_none_or(|above| *e > above))
                    .collect(),
            ),
            Outcome::AlreadyExists => Outcome::AlreadyExists,
            Outcome::NotFound => Outcome::NotFound,
            Outcome::Unknown(why) => Outcome::Unknown(why),
        })
    }

    /// Asks each sink for its newest epoch of this checkpoint, and for any epoch of other checkpoints of this pipeline.
    async fn ask_sinks(&mut self, outside: Outside<'_>, anew: bool) -> Result<Answer> {
        let Outside::Claiming(sinks) = outside else { return Err(unasked("sinks")) };
        failpoint::reach("sinks.ask.before");
        match sinks.held(anew).await {
            Ok(memories) => self.memories = memories,
            Err(failure) if failure.remedy == Remedy::Retry => {
                self.why = failure.message;
                return Ok(Answer::Unknown);
            }
            Err(failure) => return Err(failure),
        }
        failpoint::reach("sinks.ask.after");
        let mut told = Told::default();
        for (sink, memory) in (0..).zip(&self.memories) {
            told.asked.push(Place { sink: memory.sink.as_str().into(), id: memory.id.as_str().into() });
            told.held.extend(memory.held.iter().filter_map(|held| {
                let whose = match self.identity.begun(&held.lineage) {
                    Some(begun) => Whose::Ours { begun },
                    None if held.is_named => Whose::Others,
                    None => return None,
                };
                Some(Held { sink, whose, epoch: held.epoch, mark: held.mark })
            }));
        }
        Ok(Answer::SinksHold(told))
    }

    async fn read_manifest(&mut self, epoch: Epoch) -> Result<Answer> {
        match self.store.read(&layout::manifest(epoch)).await? {
            Outcome::Done(bytes) => {
                let manifest =
                    Manifest::decode(epoch, &self.identity.lineage, &bytes).map_err(|f| f.context(self.store.uri()))?;
                let head = manifest.head();
                self.read = Some(manifest);
                Ok(Answer::Found(head))
            }
            other => Ok(self.told(other, |_| Answer::NotFound)),
        }
    }

    /// Commits to all sinks at once and retries each one by itself. The first sink that can't go on ends this. The
    /// others lose nothing, since the epoch stays decided.
    async fn commit(&mut self, epoch: Epoch, committer: &dyn Committer) -> Result<Answer> {
        failpoint::reach("commit.before");
        let sinks = self.at_hand(epoch)?.committables.len();
        let patience: Vec<_> = (0..sinks).map(|_| self.patience()).collect();
        let manifest = self.at_hand(epoch)?;
        let mut sinks: FuturesUnordered<_> = manifest
            .committables
            .iter()
            .zip(patience)
            .map(|(committable, p)| commit_one(committer, manifest, committable, p))
            .collect();
        let mut without = Vec::new();
        while let Some(done) = sinks.next().await {
            match done.map_err(|f| f.context(format_args!("commit epoch {epoch}"))) {
                Ok((_, Landed::Committed)) => {}
                Ok((committable, Landed::GivenUp)) => {
                    without.extend(places(&manifest.sinks, std::slice::from_ref(committable)))
                }
                Err(failure) if failure.remedy == Remedy::Fenced => {
                    drop(sinks);
                    self.why = failure.message;
                    return Ok(Answer::SinkFenced);
                }
                Err(failure) => return Err(failure),
            }
        }
        drop(sinks);
        failpoint::reach("commit.after");
        Ok(if without.is_empty() { Answer::Acknowledged } else { Answer::AcknowledgedBut(without) })
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

    /// The failure to report. If the checkpoint is gone, this also deletes the manifest that was just created in it;
    /// otherwise the next start would find a manifest without an identity.
    async fn stopped(&self, stop: Stop) -> Failure {
        if let Stop::Vanished(epoch) = stop
            && matches!(self.store.read(layout::IDENTITY).await, Ok(Outcome::NotFound))
        {
            let left = self.store.delete(&layout::manifest(epoch)).await;
            tracing::debug!(?left, "the manifest of epoch {epoch} was created in a checkpoint that is gone");
        }
        self.sentence(stop)
    }

    fn sentence(&self, stop: Stop) -> Failure {
        let uri = self.store.uri();
        match stop {
            Stop::NoConditionalPut => Failure::config(format!(
                "the store at {uri} does not refuse a second create (conditional put), \
                 so two writers could overwrite each other; use a store that honours If-None-Match"
            )),
            Stop::Fenced { ours, found } => Failure::fenced(format!(
                "another writer has taken over {uri}: epoch {found} is there, and this one was at {ours}"
            )),
            Stop::OvertakenInSink(epoch) => Failure::config(format!(
                "no other writer has taken over {uri}, and yet a sink is ahead of epoch {epoch}: the checkpoint was \
                 put back from an old \
                 copy, or lost its newest epochs ({}); {HOW_TO_GO_ON}",
                self.why
            )),
            Stop::Vanished(epoch) => Failure::config(format!(
                "{} is gone from {uri}, although no other writer has taken over: the checkpoint was deleted or \
                 replaced while this pipeline \
                 ran; nothing of epoch {epoch} is committed; put the checkpoint back as it was, or delete what is \
                 left of it and say with \
                 spec.stateAction that the pipeline may begin again",
                layout::manifest(Epoch(epoch.0.saturating_sub(1)))
            )),
            Stop::NoIdentity(epoch) => Failure::config(format!(
                "{uri} has {} and no {}, so it can't be told whose checkpoint it is; put {} back, or delete the \
                 folder `{}` to begin a new one",
                layout::manifest(epoch),
                layout::IDENTITY,
                layout::IDENTITY,
                layout::EPOCHS
            )),
            Stop::Disagrees(doubt) => self.disagrees(doubt),
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

    fn disagrees(&self, doubt: Doubt) -> Failure {
        let (uri, held) = (self.store.uri(), doubt.held);
        let memory = self.memories.get(doubt.sink as usize);
        let (sink, place) = memory.map_or((quoted("?"), ""), |memory| (quoted(&memory.sink), memory.place.as_str()));
        let lineage = memory
            .and_then(|memory| memory.held.iter().find(|h| h.epoch == held))
            .map_or("", |held| held.lineage.as_str());
        let ends = match self.machine.newest() {
            Some(newest) => format!("ends at epoch {}", newest.epoch),
            None => "has no epochs".to_owned(),
        };
        Failure::config(match doubt.why {
            Why::Behind => format!(
                "sink {sink}: {place} holds epoch {held} of this pipeline, and the checkpoint at {uri} {ends}: it was \
                 put back from an old \
                 copy, or has lost its newest epochs; {HOW_TO_GO_ON}"
            ),
            Why::Another => format!(
                "sink {sink}: {place} holds epoch {held} of this pipeline, and {} in {uri} is not the manifest that \
                 decided it: the \
                 checkpoint was put back from an old copy and has gone on from there; {HOW_TO_GO_ON}",
                layout::manifest(held)
            ),
            Why::WentBack { from } => {
                let (holds, again) = match held {
                    Epoch(0) => {
                        ("no epoch".to_owned(), "`discard: {offsets: StartFrom}` reads everything again".to_owned())
                    }
                    held => (
                        format!("epoch {held} as its newest"),
                        format!(
                            "`restore: {{epoch: {held}}}`, if it is still in the checkpoint, brings them again, in \
                             the other sinks too"
                        ),
                    ),
                };
                format!(
                    "sink {sink}: {place} has {holds} of this pipeline, and has had epoch {from}: it was put back \
                     from an old copy, and the \
                     rows of the epochs since are missing; put the newest copy of it back, or say with a new \
                     spec.stateAction how to go on: \
                     {again}; `discard` goes on without them"
                )
            }
            Why::Forgotten => format!(
                "sink {sink}: {place} holds epoch {held} of an earlier checkpoint of this pipeline (lineage \
                 {lineage}), and the checkpoint \
                 at {uri} is a new one, which would write rows again; put the earlier checkpoint back, write to \
                 another place, or say with \
                 spec.stateAction (`{{token: …, discard: {{}}}}`) that it may write there all the same"
            ),
        })
    }
}

/// The two remedies when sinks hold what the checkpoint does not know.
const HOW_TO_GO_ON: &str = "put back the checkpoint that wrote it, or go on from what is here with spec.stateAction \
                            (`discard`, or `restore` \
                            of an epoch that is here), after which rows that are there already may come again";

fn unasked(whom: &str) -> Failure {
    Failure::bug(format!("the {whom} should be asked, and there is none"))
}

async fn commit_one<'a>(
    committer: &dyn Committer,
    manifest: &Manifest,
    committable: &'a Committable,
    mut patience: Patience,
) -> Result<(&'a Committable, Landed)> {
    let mut retry = 0;
    let landed = loop {
        failpoint::reach("commit.sink.before");
        match committer.commit(manifest, committable).await {
            Ok(landed) => break landed,
            Err(failure) if failure.remedy == Remedy::Retry => {
                retry += 1;
                tracing::warn!(sink = %committable.sink, epoch = %manifest.epoch, retry, "a commit failed and is \
                    tried again: {failure}");
                patience
                    .wait(retry, &failure.message)
                    .await
                    .map_err(|f| f.context(format_args!("sink {}", committable.sink)))?;
            }
            Err(failure) => return Err(failure.context(format_args!("sink {}", committable.sink))),
        }
    };
    failpoint::reach("commit.sink.after");
    Ok((committable, landed))
}

/// Refuses two committables for one sink: they would share one `txn`, and the second would be lost.
pub(super) fn one_per_sink(committables: &[Committable]) -> Result<()> {
    let twice = committables.iter().enumerate().find(|(i, c)| committables.iter().take(*i).any(|d| d.sink == c.sink));
    twice.map_or(Ok(()), |(_, c)| Err(Failure::bug(format!("sink {} has two committables in one epoch", c.sink))))
}
