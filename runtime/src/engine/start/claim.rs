//! What the claim of a starting process carries: where reading continues, which state there is, and what a state action
//! makes of both. Pure: what the store and the brokers say comes in as arguments.
//!
//! A state action begins another lineage in the same checkpoint. The numbers of epochs continue, so that fencing stays
//! what it is, and the transactions in the tables get another name (`docs/decisions/0007-state-actions.md`).

use std::collections::{BTreeMap, BTreeSet};

use weir_plan::compat::{self, Fingerprint};
use weir_plan::ids::{Epoch, TopicPartition};
use weir_plan::plan::{Offsets, OnLostOffsets, StartFrom, StateAction, StateActionKind, Trigger};
use weir_plan::quote::quoted;

use crate::checkpoint::content::Carried;
use crate::checkpoint::home::Home;
use crate::checkpoint::manifest::{
    ActedUpon, Manifest, PartitionProgress, PinnedSink, SourceCounts, SourceProgress, StateFile, StepProgress, Task,
    Until, UntilPartition, token_digest,
};
use crate::engine::source_run::start_from::Topics;
use crate::engine::source_run::{start_from, topic_watch};
use crate::engine::state_action::due;
use crate::failure::{Failure, Result};
use crate::sink;
use crate::source::kafka::OffsetBounds;

/// What a claim continues from.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    newest: Option<&'a Manifest>,
    /// The action that is done now. A token that was acted upon before does not count.
    action: Option<&'a StateAction>,
    /// The document's action, if it was done before and another one after it. It is not done again.
    repeated: Option<&'a StateAction>,
    /// The manifest whose offsets and watermarks count; `None` as for a new pipeline.
    progress: Option<&'a Manifest>,
    /// The manifest whose state counts.
    state: Option<&'a Manifest>,
}

/// What the document asks for beyond what the newest manifest can say.
#[derive(Clone)]
pub struct Wanted<'a> {
    pub sources: &'a [WantedSource<'a>],
    pub trigger: Trigger,
    /// The name of this run, if it has one.
    pub run: Option<&'a str>,
    pub fingerprint: &'a Fingerprint,
    /// The sinks that exist.
    pub sinks: &'a [PinnedSink],
    /// Name and place of each missing sink.
    pub missing: &'a [(String, String)],
    pub home: &'a Home,
}

/// What the document asks for of one source.
#[derive(Clone)]
pub struct WantedSource<'a> {
    pub name: &'a str,
    pub start_from: &'a StartFrom,
    pub on_lost_offsets: OnLostOffsets,
    /// Whether topics are found by `topicPattern`.
    pub by_pattern: bool,
}

/// The most state actions that are done in one checkpoint. It could not remember the tokens of more, and a forgotten
/// token would act again.
pub const TOKENS_MAX: usize = 1_000;

impl<'a> Base<'a> {
    /// `restored` is the manifest of the epoch to go back to, if the action asks for one and the manifest still exists.
    ///
    /// # Errors
    /// `Config`, for an epoch that cannot be restored, and for one action too many.
    pub fn of(
        action: Option<&'a StateAction>,
        newest: Option<&'a Manifest>,
        restored: Option<&'a Manifest>,
    ) -> Result<Self> {
        let last = newest.and_then(|m| m.state_action.as_ref()).map(|done| done.token.as_str());
        let Some(action) = due(action, newest) else {
            let repeated = action.filter(|action| last != Some(action.token.as_str()));
            return Ok(Self { newest, action: None, repeated, progress: newest, state: newest });
        };
        if newest.is_some_and(|newest| newest.tokens_done.len() >= TOKENS_MAX) {
            return Err(Failure::config(format!(
                "spec.stateAction: found the token {}, and this checkpoint has done {TOKENS_MAX} state actions, as \
                 many as it remembers; \
                 leave stateAction out, or begin a new checkpoint",
                quoted(&action.token)
            )));
        }
        let (progress, state) = match action.kind {
            StateActionKind::Discard { offsets: Offsets::Keep } => (newest, None),
            StateActionKind::Discard { offsets: Offsets::StartFrom } => (None, None),
            StateActionKind::Restore { epoch } => {
                let restored = restored.filter(|m| m.epoch == epoch).ok_or_else(|| gone(epoch, newest))?;
                (Some(restored), Some(restored))
            }
        };
        Ok(Self { newest, action: Some(action), repeated: None, progress, state })
    }

    /// Whether the claim begins a lineage. A new pipeline has nothing to discard, so an action only notes its token
    /// there.
    fn begins_lineage(&self) -> bool {
        self.action.is_some() && self.newest.is_some()
    }

    /// Whether the claim goes back to an epoch.
    #[must_use]
    pub fn restores(&self) -> bool {
        self.action.is_some_and(|action| matches!(action.kind, StateActionKind::Restore { .. }))
    }

    /// Refuses to continue with state that another document left, or into a table that took the place of the pinned
    /// one.
    ///
    /// # Errors
    /// `Config`, with everything that does not fit.
    pub fn check_fit(&self, wanted: &Wanted<'_>) -> Result<()> {
        if let Some(newest) = self.newest {
            wanted.home.check(newest)?;
            // This is checked before the claim: what cannot be committed after it would be in doubt for every version.
            let of_sink = |name: &str, failure: Failure| {
                failure.context(format_args!("sink {}, {}", quoted(name), newest.named()))
            };
            for pinned in &newest.sinks {
                sink::check_kind(&pinned.kind).map_err(|e| of_sink(&pinned.name, e))?;
            }
            for decided in &newest.committables {
                sink::check_payload(&decided.payload.kind).map_err(|e| of_sink(&decided.sink, e))?;
            }
        }
        self.check_state_fits(wanted.fingerprint)?;
        if self.action.is_some() {
            return Ok(());
        }
        for was in self.newest.iter().flat_map(|m| &m.sinks) {
            if wanted.missing.iter().any(|(sink, place)| *sink == was.name && *place == was.place) {
                return Err(Failure::config(format!(
                    "sink {}: there is no table at {}, and this pipeline has written to one (its id is {}): put it \
                     back, or begin another \
                     history for a new one with spec.stateAction",
                    quoted(&was.name),
                    was.place,
                    was.id
                )));
            }
            if let Some(is) = wanted.sinks.iter().find(|p| p.name == was.name && p.place == was.place && p.id != was.id)
            {
                return Err(Failure::config(format!(
                    "sink {}: the table at {} has the id {} and had {} when this checkpoint began: it was deleted and \
                     made anew; \
                     restore it, or begin another history for it with spec.stateAction",
                    quoted(&is.name),
                    is.place,
                    is.id,
                    was.id
                )));
            }
        }
        Ok(())
    }

    /// Refuses to continue with state that another document left.
    ///
    /// # Errors
    /// `Config`, with everything that does not fit.
    pub fn check_state_fits(&self, fingerprint: &Fingerprint) -> Result<()> {
        if let Some(state) = self.state {
            let saved: Fingerprint = serde_json::from_value(state.fingerprint.clone()).map_err(|e| {
                Failure::config(format!(
                    "the checkpoint's fingerprint can't be read ({e}); was it written by a newer version?"
                ))
            })?;
            let differences = compat::differences(&saved, fingerprint);
            if !differences.is_empty() {
                return Err(Failure::config(format!(
                    "the document has changed so that the state of epoch {} does not fit: {}; undo the change, or \
                     discard the state with \
                     spec.stateAction",
                    state.epoch,
                    differences.join("; ")
                )));
            }
        }
        Ok(())
    }

    /// For the log: what a person should know about how the document has changed.
    #[must_use]
    pub fn notices(&self, wanted: &Wanted<'_>) -> Vec<String> {
        let saved = self.state.and_then(|state| serde_json::from_value::<Fingerprint>(state.fingerprint.clone()).ok());
        saved.map_or_else(Vec::new, |saved| compat::notices(&saved, wanted.fingerprint))
    }

    /// The time about which the brokers have to be asked, if reading of something begins there.
    #[must_use]
    pub fn start_time_ms(&self, wanted: &WantedSource<'_>) -> Option<i64> {
        match wanted.start_from {
            StartFrom::Timestamp { at_ms } if self.saved(wanted).is_none() || !wanted.by_pattern => Some(*at_ms),
            _ => None,
        }
    }

    /// Whether a topic is read from where the document says: in a new pipeline, or if the document was changed to name
    /// the topic. A topic that came to match a pattern is read as a whole.
    fn begins(&self, wanted: &WantedSource<'_>, topic: &str) -> bool {
        self.saved(wanted).is_none_or(|s| !wanted.by_pattern && !s.partitions.iter().any(|p| p.topic == topic))
    }

    /// The topics of a source that were read so far.
    #[must_use]
    pub fn topics(&self, wanted: &WantedSource<'_>) -> BTreeSet<String> {
        self.saved(wanted).into_iter().flat_map(|s| &s.partitions).map(|p| p.topic.clone()).collect()
    }

    /// How far a source has been read; `None` if it begins.
    fn saved(&self, wanted: &WantedSource<'_>) -> Option<&'a SourceProgress> {
        self.progress.and_then(|m| m.sources.iter().find(|s| s.name == wanted.name))
    }

    /// Where a source continues.
    fn source(&self, wanted: &WantedSource<'_>, topics: &Topics) -> Result<SourceProgress> {
        let saved = self.saved(wanted);
        if let Some(saved) = saved {
            topic_watch::check_same(&saved.topic_ids, &topics.ids)?;
        }
        let begins = |id: &TopicPartition| self.begins(wanted, &id.topic);
        let first = start_from::first_offsets(wanted.start_from, wanted.on_lost_offsets, topics, begins)?;
        let partitions = topics.partitions.iter().map(|(id, bounds)| match first.get(id) {
            Some(first) => at_rest(id, *first, None),
            None => resumed(saved, id, *bounds),
        });
        let watermark_us = saved.and_then(|s| s.watermark_after_us);
        Ok(SourceProgress {
            name: wanted.name.to_owned(),
            topic_ids: topics.ids.clone(),
            topics_gone: topics.gone.clone(),
            watermark_before_us: watermark_us,
            watermark_after_us: watermark_us,
            processing_time_us: None,
            moved_by: None,
            held_by: None,
            partitions: partitions.collect(),
            counts: SourceCounts::default(),
            bad_share: saved.map(|s| s.bad_share).unwrap_or_default(),
        })
    }

    /// What the claim carries. `topics` has the topics of each source.
    ///
    /// # Errors
    /// `Config`, if a topic is not the one that the offsets belong to.
    pub fn carried(&self, wanted: &Wanted<'_>, topics: &[Topics], clock_us: i64) -> Result<Carried> {
        let sources = wanted.sources.iter().zip(topics).map(|(source, topics)| self.source(source, topics));
        let sources = sources.collect::<Result<_>>()?;
        let state = self.state.map_or_else(Vec::new, state_of);
        let fingerprint =
            serde_json::to_value(wanted.fingerprint).map_err(|e| Failure::bug(format!("fingerprint: {e}")))?;
        Ok(Carried {
            clock_us,
            fingerprint,
            until: self.until(wanted, topics),
            sources,
            tasks: vec![Task {
                id: 0,
                key_groups: (0, weir_plan::key_group::KEY_GROUPS),
                state,
                compacting: None,
                steps: self.state.map_or_else(Vec::new, steps_of),
                rows_bad: BTreeMap::new(),
            }],
            sinks: wanted.sinks.to_vec(),
            state_action: match self.action {
                Some(action) => Some(ActedUpon { token: action.token.clone(), restored: self.state.map(|m| m.epoch) }),
                None => self.newest.and_then(|m| m.state_action.clone()),
            },
            tokens_done: self.tokens_done(),
            namespace: wanted.home.namespace().or_else(|| self.newest.and_then(|m| m.writer.namespace.clone())),
            begins_lineage: self.begins_lineage(),
        })
    }

    fn tokens_done(&self) -> Vec<String> {
        let mut done = self.newest.map(|m| m.tokens_done.clone()).unwrap_or_default();
        // A checkpoint of an older version remembers only the last one.
        let last = self.newest.and_then(|m| m.state_action.as_ref()).map(|done| done.token.as_str());
        for token in last.into_iter().chain(self.action.map(|action| action.token.as_str())) {
            let digest = token_digest(token);
            if !done.contains(&digest) {
                done.push(digest);
            }
        }
        done
    }

    /// Where an AvailableNow run ends. A run that did not reach its ends continues to the same ends. A run that did,
    /// and has a name, is not done again. A source that came into the document since then has ends of its own.
    fn until(&self, wanted: &Wanted<'_>, topics: &[Topics]) -> Option<Until> {
        if wanted.trigger != Trigger::AvailableNow {
            return None;
        }
        let goes_on = |until: &&Until| match (until.run.as_deref(), wanted.run) {
            (Some(was), Some(is)) => was == is,
            _ => !until.reached,
        };
        let before = self.newest.filter(|_| !self.begins_lineage()).and_then(|m| m.until.as_ref()).filter(goes_on);
        if let Some(done) = before.filter(|before| before.reached) {
            return Some(done.clone());
        }
        let begins = |source: &WantedSource<'_>| before.is_none() || self.saved(source).is_none();
        let ends_now =
            wanted.sources.iter().zip(topics).filter(|(source, _)| begins(source)).flat_map(|(source, topics)| {
                topics.partitions.iter().map(|(id, bounds)| UntilPartition {
                    source: source.name.to_owned(),
                    topic: id.topic.clone(),
                    partition: id.partition,
                    end: bounds.end,
                })
            });
        let ends = before.into_iter().flat_map(|before| before.ends.iter().cloned()).chain(ends_now).collect();
        let run = before.map_or_else(|| wanted.run.map(str::to_owned), |before| before.run.clone());
        Some(Until { run, ends, reached: false })
    }

    /// For the log: what the action did.
    #[must_use]
    pub fn says(&self) -> Option<String> {
        if let Some(repeated) = self.repeated {
            let token = quoted(&repeated.token);
            return Some(format!(
                "state action {token} was done before, and others since: it is not done again; to do it once more, \
                 write another token"
            ));
        }
        let (action, newest) = (self.action?, self.newest?);
        let token = quoted(&action.token);
        Some(match action.kind {
            StateActionKind::Discard { offsets } => format!(
                "state action {token}: the state of epoch {} is discarded; windows that were open are lost, the rows \
                 of tables stay, and reading goes \
                 on {}",
                newest.epoch,
                match offsets {
                    Offsets::Keep => "where it was",
                    Offsets::StartFrom => "at startFrom: rows that are read again come into the tables again",
                }
            ),
            StateActionKind::Restore { epoch } => format!(
                "state action {token}: back at the end of epoch {epoch}; the rows that epochs {} to {} wrote stay in \
                 the tables and come again",
                epoch.next(),
                newest.epoch
            ),
        })
    }
}

/// Continues at saved offsets. Partitions that were found later, and topics of a pattern, begin at their earliest
/// offset.
fn resumed(saved: Option<&SourceProgress>, id: &TopicPartition, bounds: OffsetBounds) -> PartitionProgress {
    let before =
        saved.into_iter().flat_map(|s| &s.partitions).find(|p| p.topic == id.topic && p.partition == id.partition);
    let rest = at_rest(id, before.map_or(bounds.low, |b| b.end), before.and_then(|b| b.watermark_us));
    PartitionProgress { leader_epoch: before.and_then(|b| b.leader_epoch), ..rest }
}

/// The progress of a partition in an epoch that takes nothing in.
fn at_rest(id: &TopicPartition, next: i64, watermark_us: Option<i64>) -> PartitionProgress {
    PartitionProgress {
        topic: id.topic.clone(),
        partition: id.partition,
        start: next,
        end: next,
        lost: Vec::new(),
        unreadable: Vec::new(),
        watermark_us,
        idle: false,
        leader_epoch: None,
    }
}

/// The files that together are the keyed state. There is one task for now.
#[must_use]
pub fn state_of(manifest: &Manifest) -> Vec<StateFile> {
    manifest.tasks.iter().flat_map(|t| t.state.iter().cloned()).collect()
}

/// The progress of the steps with state.
fn steps_of(manifest: &Manifest) -> Vec<StepProgress> {
    manifest.tasks.iter().flat_map(|task| &task.steps).map(StepProgress::at_rest).collect()
}

fn gone(epoch: Epoch, newest: Option<&Manifest>) -> Failure {
    let there = match newest {
        Some(newest) => format!("the newest is {}, and checkpoint.keep says how many before it are kept", newest.epoch),
        None => "the checkpoint is empty".to_owned(),
    };
    Failure::config(format!("spec.stateAction.restore.epoch: found {epoch}, which is not in the checkpoint: {there}"))
}

#[cfg(test)]
mod tests;
