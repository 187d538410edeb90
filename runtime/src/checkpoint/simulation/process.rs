//! One writer in the model: its machine, and what a driver does for it. Each step is one request, or one deletion of a collection.

use std::collections::BTreeSet;
use std::rc::Rc;

use weir_plan::ids::Epoch;

use super::model::{Decision, Fate, SINKS, UnderWay, Violation, World};
use crate::checkpoint::gc::Collector;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::Kind;
use crate::checkpoint::protocol::{Answer, Head, Machine, Next, Request, Rest, Rule, Stop};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    machine: Machine,
    read: Option<Rc<Decision>>,
    candidate: Option<Rc<Decision>>,
    uploaded: Option<StateName>,
    /// How many files it has written: no name twice.
    files: u32,
    acknowledged: [bool; SINKS],
    collection: Option<Collection>,
    broken: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Collection {
    /// The files as they were listed; manifests are next.
    Listed(Vec<StateName>),
    /// The manifests as they were listed; those that are kept are read next.
    Reading {
        epochs: Vec<Epoch>,
        files: Vec<StateName>,
    },
    Deleting {
        manifests: Vec<Epoch>,
        files: Vec<StateName>,
    },
}

impl Process {
    /// Up to the point where it looks for the newest manifest: probe and identity don't touch what the writers share.
    pub fn start(number: u32, broken: Option<Rule>) -> Self {
        let mut machine = Machine::breaking(number.to_string().into(), broken);
        for answer in [Answer::Created, Answer::AlreadyExists, Answer::Deleted, Answer::IdentityFound] {
            machine.answer(answer);
        }
        let acknowledged = [false; SINKS];
        Self { machine, read: None, candidate: None, uploaded: None, files: 0, acknowledged, collection: None, broken }
    }

    pub fn stopped(&self) -> Option<Stop> {
        match self.machine.next() {
            Next::Stopped(stop) => Some(stop),
            _ => None,
        }
    }

    /// May upload, decide or collect.
    pub fn is_idle(&self) -> bool {
        self.machine.next() == Next::Rest(Rest::Ready) && self.collection.is_none()
    }

    pub fn has_uploaded(&self) -> bool {
        self.uploaded.is_some()
    }

    /// What may become of its next step, except to be answered. A listing or a read that gets lost is the same as a slow one.
    pub fn faults(&self) -> &'static [Fate] {
        match self.machine.next() {
            Next::Ask(Request::Create(_) | Request::Commit(_)) => &[Fate::AnswerLost, Fate::Lost, Fate::Delayed],
            _ => &[],
        }
    }

    pub fn step(&mut self, world: &mut World, fate: Fate) -> Result<(), Violation> {
        match self.machine.next() {
            Next::Rest(_) => return self.go_on_collecting(world),
            Next::Stopped(_) => {}
            Next::Ask(request) => {
                if let Some(answer) = self.ask(world, &request, fate)? {
                    self.machine.answer(answer);
                }
            }
        }
        self.go_on_alone();
        match self.stopped() {
            Some(stop @ (Stop::Misused | Stop::Lost(_) | Stop::Unexplained { .. })) => Err(format!("a writer ended with {stop:?}")),
            _ => Ok(()),
        }
    }

    /// Steps that nobody else can see are no steps of their own: that would only multiply the schedules.
    fn go_on_alone(&mut self) {
        loop {
            match self.machine.next() {
                Next::Rest(Rest::Opened) => self.machine.claim(),
                Next::Rest(Rest::Claimed) => self.machine.recover(),
                Next::Ask(Request::Commit(epoch)) if self.owes(epoch).is_none() => self.machine.answer(Answer::Acknowledged),
                Next::Rest(Rest::Ready) => return self.forget(),
                _ => return,
            }
        }
    }

    /// What a writer at rest no longer looks at makes no two states of one.
    fn forget(&mut self) {
        self.candidate = Some(self.newest().clone());
        self.read = None;
        self.acknowledged = [false; SINKS];
    }

    /// The next sink that has not acknowledged an epoch.
    fn owes(&self, epoch: Epoch) -> Option<usize> {
        let decision = self.at_hand(epoch);
        (0..SINKS).find(|s| decision.output[*s] && !self.acknowledged[*s])
    }

    pub fn upload(&mut self, world: &mut World) -> Result<(), Violation> {
        let newest = self.newest().head.clone();
        let name = StateName { generation: newest.generation, epoch: newest.epoch.next(), task: 0, n: self.files };
        self.files += 1;
        if !world.files.insert(name) {
            return Err(format!("state file {name} was written twice"));
        }
        self.uploaded = Some(name);
        Ok(())
    }

    pub fn decide(&mut self, world: &mut World, output: [bool; SINKS], merge: bool) -> Result<(), Violation> {
        if self.uploaded.is_none() {
            self.upload(world)?;
        }
        let before = self.newest().clone();
        self.machine.decide();
        let Next::Ask(Request::Create(head)) = self.machine.next() else { return Err("a writer at rest could not decide".into()) };
        let mut state = if merge { BTreeSet::new() } else { before.state.clone() };
        state.extend(self.uploaded.take());
        self.candidate = Some(Rc::new(Decision { head, start: before.end, end: before.end + 1, state, output }));
        self.acknowledged = [false; SINKS];
        Ok(())
    }

    pub fn collect(&mut self, world: &mut World) -> Result<(), Violation> {
        self.collection = Some(Collection::Listed(world.files.iter().copied().collect()));
        Ok(())
    }

    /// `None`: done in part, the same request is next.
    fn ask(&mut self, world: &mut World, request: &Request, fate: Fate) -> Result<Option<Answer>, Violation> {
        if let Request::Create(head) = request {
            self.prepare(head);
        }
        if fate == Fate::Lost {
            return Ok(Some(Answer::Unknown));
        }
        Ok(match request {
            Request::List { above } => {
                let greatest = world.manifests.last_key_value().map(|(e, _)| *e);
                Some(Answer::Listed(greatest.filter(|e| Some(*e) > *above)))
            }
            Request::Read(epoch) => {
                let found = world.manifests.get(epoch).cloned();
                let answer = found.as_ref().map_or(Answer::NotFound, |d| Answer::Found(d.head.clone()));
                self.read = found.or_else(|| self.read.take());
                self.acknowledged = [false; SINKS];
                Some(answer)
            }
            Request::Create(head) => {
                let decision = self.at_hand(head.epoch).clone();
                if fate == Fate::Delayed {
                    world.under_way.push((UnderWay::Create, decision));
                    return Ok(Some(Answer::Unknown));
                }
                let created = world.create(&decision)?;
                Some(match (fate, created) {
                    (Fate::AnswerLost, _) => Answer::Unknown,
                    (_, true) => Answer::Created,
                    (_, false) => Answer::AlreadyExists,
                })
            }
            Request::Commit(epoch) => self.commit(world, *epoch, fate)?,
            other => return Err(format!("the model does not answer {other:?}")),
        })
    }

    /// One sink at a time, in order: two at once are two writers' worth of interleavings, which the model has anyway.
    fn commit(&mut self, world: &mut World, epoch: Epoch, fate: Fate) -> Result<Option<Answer>, Violation> {
        let decision = self.at_hand(epoch).clone();
        let Some(sink) = self.owes(epoch) else { return Ok(Some(Answer::Acknowledged)) };
        if fate == Fate::Delayed {
            world.under_way.push((UnderWay::Commit(sink), decision));
            return Ok(Some(Answer::Unknown));
        }
        let told = world.commit(sink, &decision)?;
        Ok(match (fate, told) {
            (Fate::AnswerLost, _) => Some(Answer::Unknown),
            (_, None) => Some(Answer::SinkFenced),
            (_, Some(_)) => {
                self.acknowledged[sink] = true;
                None
            }
        })
    }

    fn go_on_collecting(&mut self, world: &mut World) -> Result<(), Violation> {
        match self.collection.take() {
            None => Ok(()),
            Some(Collection::Listed(files)) => {
                let newest = self.newest().head.epoch;
                if world.manifests.last_key_value().is_some_and(|(e, _)| *e > newest) {
                    return Ok(());
                }
                self.collection = Some(Collection::Reading { epochs: world.manifests.keys().copied().collect(), files });
                Ok(())
            }
            Some(Collection::Reading { epochs, files }) => {
                let newest = self.newest();
                let collector = Collector::new(&newest.head, world.keep).breaking(self.broken);
                let mut kept = newest.state.clone();
                let (old, recent): (Vec<_>, Vec<_>) = epochs.into_iter().partition(|e| *e < collector.keep_from());
                for epoch in recent.into_iter().filter(|e| *e != newest.head.epoch) {
                    // Gone since: overtaken.
                    let Some(manifest) = world.manifests.get(&epoch) else { return Ok(()) };
                    kept.extend(&manifest.state);
                }
                let files = files.into_iter().filter(|f| collector.takes(f, &kept)).collect();
                self.collection = Some(Collection::Deleting { manifests: old.into_iter().rev().collect(), files });
                Ok(())
            }
            Some(Collection::Deleting { mut manifests, mut files }) => {
                let done = match (manifests.pop(), files.is_empty()) {
                    (Some(epoch), _) => world.delete_manifest(epoch),
                    (None, false) => files.pop().map_or(Ok(()), |file| world.delete_file(&file)),
                    (None, true) => return Ok(()),
                };
                self.collection = (!manifests.is_empty() || !files.is_empty()).then_some(Collection::Deleting { manifests, files });
                done
            }
        }
    }

    /// The content of a claim; that of a data epoch was made by `decide`.
    fn prepare(&mut self, head: &Head) {
        if self.candidate.as_ref().is_some_and(|c| c.head == *head) {
            return;
        }
        debug_assert_eq!(head.kind, Kind::Claim);
        let before = self.read.as_ref().filter(|d| d.head.epoch.next() == head.epoch);
        let (end, state) = before.map_or((0, BTreeSet::new()), |d| (d.end, d.state.clone()));
        self.candidate = Some(Rc::new(Decision { head: head.clone(), start: end, end, state, output: [false; SINKS] }));
    }

    /// What the machine holds for the newest.
    fn newest(&self) -> &Rc<Decision> {
        let epoch = self.machine.newest().map_or(Epoch(0), |h| h.epoch);
        self.at_hand(epoch)
    }

    fn at_hand(&self, epoch: Epoch) -> &Rc<Decision> {
        let known = [&self.candidate, &self.read].into_iter().flatten().find(|d| d.head.epoch == epoch);
        known.unwrap_or_else(|| panic!("epoch {epoch} is not at hand: {self:?}"))
    }
}
