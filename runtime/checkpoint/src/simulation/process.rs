//! One writer in the model: its machine, and what a driver does for it. Each step is one request, or one deletion of a
//! collection.

use std::collections::BTreeSet;
use std::rc::Rc;

use weir_plan::ids::Epoch;

use super::model::{Decision, Fate, SINKS, Told, UnderWay, Violation, World, place};
use crate::gc::Collector;
use crate::layout::{COMPACTED_FROM, StateName};
use crate::manifest::Kind;
use crate::protocol::{self, Answer, Head, Held, Machine, Next, Request, Rest, Rule, Stop, Whose};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    machine: Machine,
    number: u32,
    /// The newest manifest, as it was read before the claim.
    base: Option<Rc<Decision>>,
    read: Option<Rc<Decision>>,
    /// The manifest that a state action goes back to.
    restores: Option<Rc<Decision>>,
    /// The writer has refused to go on, because that manifest is gone.
    refused: bool,
    candidate: Option<Rc<Decision>>,
    uploaded: Option<StateName>,
    /// A compaction's file that no manifest refers to yet.
    compacted: Option<StateName>,
    /// How many files the writer has written, so that no name is used twice.
    files: u32,
    acknowledged: [bool; SINKS],
    collection: Option<Collection>,
    broken: Option<Rule>,
}

/// A collection, which runs beside what its writer does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Collection {
    /// The writer's newest manifest when the collection began.
    newest: Rc<Decision>,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Stage {
    /// The files were listed; next the manifests are listed.
    Listed(Vec<StateName>),
    /// The manifests were listed; next the kept ones are read.
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
    /// Starts a writer, up to the point where it asks the sinks. What it has read by then only says what a state action
    /// goes back to. `restores` is the number of epochs to go back.
    pub fn start(world: &World, restores: Option<u64>) -> Self {
        let newest = world.manifests.last_key_value().map(|(_, d)| d.clone());
        let mut machine = Machine::breaking(world.started.to_string().into(), world.broken);
        let looked = match &newest {
            None => vec![Answer::Listed(None)],
            Some(newest) => vec![Answer::Listed(Some(newest.head.epoch)), Answer::Found(newest.head.clone())],
        };
        for answer in
            [Answer::Created, Answer::AlreadyExists, Answer::Deleted, Answer::IdentityFound].into_iter().chain(looked)
        {
            machine.answer(answer);
        }
        machine.claim();
        let goal = |back: u64| {
            let epoch = newest.as_ref()?.head.epoch.0.checked_sub(back)?;
            world.manifests.get(&Epoch(epoch)).filter(|_| !world.leftovers.contains(&Epoch(epoch))).cloned()
        };
        let goal = restores.and_then(goal);
        Self {
            machine,
            number: world.started,
            base: newest,
            read: None,
            refused: restores.is_some() && goal.is_none(),
            restores: goal,
            candidate: None,
            uploaded: None,
            compacted: None,
            files: 0,
            acknowledged: [false; SINKS],
            collection: None,
            broken: world.broken,
        }
    }

    pub fn is_over(&self) -> bool {
        self.refused || self.stopped().is_some()
    }

    pub fn stopped(&self) -> Option<Stop> {
        match self.machine.next() {
            Next::Stopped(stop) => Some(stop),
            _ => None,
        }
    }

    /// Whether the writer may upload, compact, decide or begin a collection.
    pub fn is_at_rest(&self) -> bool {
        self.machine.next() == Next::Rest(Rest::Ready)
    }

    pub fn is_collecting(&self) -> bool {
        self.collection.is_some()
    }

    pub fn has_uploaded(&self) -> bool {
        self.uploaded.is_some()
    }

    pub fn has_compacted(&self) -> bool {
        self.compacted.is_some()
    }

    /// What may happen to the writer's next step, apart from an answer. A lost listing or read is the same as a slow
    /// one.
    pub fn faults(&self) -> &'static [Fate] {
        match self.machine.next() {
            Next::Ask(Request::Create(_) | Request::Commit(_)) => &[Fate::AnswerLost, Fate::Lost, Fate::Delayed],
            _ => &[],
        }
    }

    pub fn step(&mut self, world: &mut World, fate: Fate) -> Result<(), Violation> {
        match self.machine.next() {
            _ if self.refused => return Ok(()),
            Next::Ask(Request::Create(head))
                if head.kind == Kind::Claim && self.restores.is_some() && !self.is_prepared(&head) =>
            {
                return self.prepare_restoring(world, head);
            }
            Next::Rest(_) | Next::Stopped(_) => {}
            Next::Ask(request) => {
                if let Some(answer) = self.ask(world, &request, fate)? {
                    self.machine.answer(answer);
                }
                if let Some(read) = self.read.clone().filter(|read| self.machine.newest() == Some(&read.head)) {
                    self.base = Some(read);
                }
            }
        }
        self.go_on_alone();
        match self.stopped() {
            Some(Stop::Disagrees(_)) if world.ruined => Ok(()),
            Some(Stop::Lost(_)) if world.torn => Ok(()),
            Some(Stop::NoConditionalPut | Stop::Fenced { .. } | Stop::Crowded) | None => Ok(()),
            Some(stop) => Err(format!("a writer ended with {stop:?}")),
        }
    }

    /// Performs steps that nobody else can see at once; separate steps would only multiply the schedules.
    fn go_on_alone(&mut self) {
        loop {
            match self.machine.next() {
                Next::Rest(Rest::Claimed) => self.machine.recover(),
                Next::Ask(Request::Commit(epoch)) if self.owes(epoch).is_none() => {
                    self.machine.answer(Answer::Acknowledged)
                }
                Next::Rest(Rest::Ready) => return self.forget(),
                _ => return,
            }
        }
    }

    /// Forgets what a writer at rest no longer looks at, so that it does not split one state into two.
    fn forget(&mut self) {
        self.candidate = Some(self.newest().clone());
        (self.read, self.base, self.restores) = (None, None, None);
        self.acknowledged = [false; SINKS];
    }

    /// The next sink that has not acknowledged an epoch.
    fn owes(&self, epoch: Epoch) -> Option<usize> {
        let decision = self.at_hand(epoch);
        (0..SINKS).find(|s| decision.output[*s] && !self.acknowledged[*s])
    }

    pub fn upload(&mut self, world: &mut World) -> Result<(), Violation> {
        self.uploaded = Some(self.write(world, 0)?);
        Ok(())
    }

    /// Begins a compaction. Its file is there at once, so that garbage collection has every chance to delete it.
    pub fn compact(&mut self, world: &mut World) -> Result<(), Violation> {
        self.compacted = Some(self.write(world, COMPACTED_FROM)?);
        Ok(())
    }

    fn write(&mut self, world: &mut World, from: u32) -> Result<StateName, Violation> {
        let newest = &self.newest().head;
        let name =
            StateName { generation: newest.generation, epoch: newest.epoch.next(), task: 0, n: from + self.files };
        self.files += 1;
        if !world.files.insert(name) {
            return Err(format!("state file {name} was written twice"));
        }
        Ok(name)
    }

    pub fn decide(&mut self, world: &mut World, output: [bool; SINKS], merge: bool) -> Result<(), Violation> {
        if self.uploaded.is_none() {
            self.upload(world)?;
        }
        let before = self.newest().clone();
        self.machine.decide((0..SINKS).filter(|sink| output[*sink]).map(place).collect());
        let Next::Ask(Request::Create(head)) = self.machine.next() else {
            return Err("a writer at rest could not decide".into());
        };
        let mut state = if merge { BTreeSet::from_iter(self.compacted.take()) } else { before.state.clone() };
        state.extend(self.uploaded.take());
        let compacting = self.compacted.map(|name| name.epoch);
        self.candidate =
            Some(Rc::new(Decision { head, start: before.end, end: before.end + 1, state, compacting, output }));
        self.acknowledged = [false; SINKS];
        Ok(())
    }

    pub fn collect(&mut self, world: &mut World) -> Result<(), Violation> {
        let stage = Stage::Listed(world.files.iter().copied().collect());
        self.collection = Some(Collection { newest: Rc::clone(self.newest()), stage });
        Ok(())
    }

    /// Performs one request. `None` means that it is done in part, and the same request comes next.
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
            Request::Fence(epoch) => {
                let above = world.manifests.last_key_value().map(|(e, _)| *e).filter(|e| e > epoch);
                let before = *epoch == Epoch::FIRST || world.manifests.contains_key(&Epoch(epoch.0 - 1));
                Some(Answer::Fenced { above, before })
            }
            Request::AskSinks | Request::AskSinksAnew => {
                let held = (0..).zip(&world.sinks).flat_map(|(sink, table)| {
                    let held = move |(begun, (epoch, mark))| Held {
                        sink,
                        whose: Whose::Ours { begun },
                        epoch,
                        mark: Some(mark),
                    };
                    table.txns.clone().into_iter().map(held)
                });
                Some(Answer::SinksHold(protocol::Told { asked: (0..SINKS).map(place).collect(), held: held.collect() }))
            }
            Request::Excuse(_) => Some(Answer::NotExcused),
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

    /// Commits to one sink at a time, in order. Two at once would be like the interleavings of two writers, which the
    /// model has anyway.
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
            (_, Told::Refused) => Some(Answer::SinkFenced),
            (_, Told::Taken | Told::Done) => {
                self.acknowledged[sink] = true;
                None
            }
        })
    }

    /// Performs one step of the collection under way.
    pub fn sweep(&mut self, world: &mut World) -> Result<(), Violation> {
        let Some(Collection { newest, stage }) = self.collection.take() else { return Ok(()) };
        let stage = match stage {
            Stage::Listed(files) => Some(Stage::Reading { epochs: world.manifests.keys().copied().collect(), files }),
            Stage::Reading { epochs, files } => self.choose(world, &newest, epochs, files),
            Stage::Deleting { mut manifests, mut files } => {
                match (manifests.pop(), files.is_empty()) {
                    (Some(epoch), _) => world.delete_manifest(epoch)?,
                    (None, false) => files.pop().map_or(Ok(()), |file| world.delete_file(&file))?,
                    (None, true) => {}
                }
                (!manifests.is_empty() || !files.is_empty()).then_some(Stage::Deleting { manifests, files })
            }
        };
        self.collection = stage.map(|stage| Collection { newest, stage });
        Ok(())
    }

    /// Chooses what to delete; nothing if the writer was overtaken.
    fn choose(&self, world: &World, newest: &Decision, epochs: Vec<Epoch>, files: Vec<StateName>) -> Option<Stage> {
        let being_written = newest.compacting.map(|epoch| (0, epoch)).into_iter().collect();
        let collector = Collector::new(&newest.head, world.keep).sparing(being_written).breaking(self.broken);
        let mut kept = newest.state.clone();
        if let Some(above) = epochs.last().filter(|e| **e > newest.head.epoch) {
            // Our own writer has decided it since, or others have taken over.
            let above = world.manifests.get(above).filter(|m| m.head.generation == newest.head.generation)?;
            kept.extend(&above.state);
        }
        let (old, recent): (Vec<_>, Vec<_>) = epochs.into_iter().partition(|e| *e < collector.keep_from());
        for epoch in recent.into_iter().filter(|e| *e < newest.head.epoch) {
            // It is gone since: this writer was overtaken.
            kept.extend(&world.manifests.get(&epoch)?.state);
        }
        let files: Vec<_> = files.into_iter().filter(|f| collector.takes(f, &kept)).collect();
        let is_nothing = old.is_empty() && files.is_empty();
        (!is_nothing).then(|| Stage::Deleting { manifests: old.into_iter().rev().collect(), files })
    }

    fn is_prepared(&self, head: &Head) -> bool {
        self.candidate.as_ref().is_some_and(|c| c.head == *head)
    }

    /// Prepares the content of a claim; `decide` made that of a data epoch.
    fn prepare(&mut self, head: &Head) {
        if self.is_prepared(head) {
            return;
        }
        debug_assert_eq!(head.kind, Kind::Claim);
        let before = self.base.as_ref().filter(|d| d.head.epoch.next() == head.epoch);
        let (end, state) = before.map_or((0, BTreeSet::new()), |d| (d.end, d.state.clone()));
        self.candidate = Some(Rc::new(Decision {
            head: head.clone(),
            start: end,
            end,
            state,
            compacting: None,
            output: [false; SINKS],
        }));
    }

    /// For a claim that goes back: copies every file to a name of its own, or refuses.
    fn prepare_restoring(&mut self, world: &mut World, mut head: Head) -> Result<(), Violation> {
        let Some(goal) = self.restores.clone() else { return Ok(()) };
        let mut state = goal.state.clone();
        if self.broken != Some(Rule::CopyWhatIsRestored) {
            state = BTreeSet::new();
            for file in &goal.state {
                if !world.files.contains(file) {
                    self.refused = true;
                    return Ok(());
                }
                let name = StateName {
                    generation: head.generation,
                    epoch: head.epoch,
                    task: 0,
                    n: 1000 * self.number + self.files,
                };
                self.files += 1;
                world.files.insert(name);
                state.insert(name);
            }
        }
        self.machine.begin_lineage();
        if let Next::Ask(Request::Create(settled)) = self.machine.next() {
            head = settled;
        }
        self.candidate = Some(Rc::new(Decision {
            head,
            start: goal.end,
            end: goal.end,
            state,
            compacting: None,
            output: [false; SINKS],
        }));
        Ok(())
    }

    /// The manifest that the machine takes for the newest.
    fn newest(&self) -> &Rc<Decision> {
        let epoch = self.machine.newest().map_or(Epoch(0), |h| h.epoch);
        self.at_hand(epoch)
    }

    fn at_hand(&self, epoch: Epoch) -> &Rc<Decision> {
        let known = [&self.candidate, &self.read, &self.base].into_iter().flatten().find(|d| d.head.epoch == epoch);
        known.unwrap_or_else(|| panic!("epoch {epoch} is not at hand: {self:?}"))
    }
}
