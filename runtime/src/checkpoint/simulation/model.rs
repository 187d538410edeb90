//! The world: an object store that is linearizable and creates conditionally, two sinks that know the last epoch they took (as a Delta
//! table knows its `txn`), requests that are still under way, and the writers. [`World::apply`] does one thing and checks every invariant.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use weir_plan::ids::Epoch;

use super::process::Process;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::Kind;
use crate::checkpoint::protocol::{Head, Rule};

pub const SINKS: usize = 2;

/// A manifest, as far as the model goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decision {
    pub head: Head,
    /// Offsets `[start, end)`; of a claim, empty.
    pub start: u64,
    pub end: u64,
    pub state: BTreeSet<StateName>,
    /// Which sinks get rows. No rows, no commit.
    pub output: [bool; SINKS],
}

/// A request that its sender has given up on and that may still happen, or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnderWay {
    Create,
    Commit(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Sink {
    pub txn: u64,
    /// The epochs whose rows it holds, in order.
    pub rows: Vec<u64>,
}

/// What one writer's request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Done and answered.
    Answered,
    /// Done; the answer was lost.
    AnswerLost,
    /// Not done, and no answer.
    Lost,
    /// No answer; it may be done at any later time.
    Delayed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Start(usize),
    Crash(usize),
    Step(usize, Fate),
    /// Of a writer at rest: upload state for the next epoch.
    Upload(usize),
    /// Decide an epoch whose rows go to these sinks; `merge`: its state replaces the older files.
    Decide {
        writer: usize,
        output: [bool; SINKS],
        merge: bool,
    },
    Collect(usize),
    /// The oldest request under way happens, or never will.
    Land,
    Drop,
}

/// A sentence about what must never be true.
pub type Violation = String;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub manifests: BTreeMap<Epoch, Rc<Decision>>,
    /// What was created first under each number: the truth, for ever.
    pub decided: BTreeMap<Epoch, Rc<Decision>>,
    /// Numbers that were created again after a collection had freed them: nobody may go by those.
    pub leftovers: BTreeSet<Epoch>,
    pub files: BTreeSet<StateName>,
    pub sinks: [Sink; SINKS],
    pub under_way: Vec<(UnderWay, Rc<Decision>)>,
    pub writers: Vec<Option<Process>>,
    pub started: u32,
    pub keep: u32,
    pub broken: Option<Rule>,
}

impl World {
    pub fn new(writers: usize, keep: u32, broken: Option<Rule>) -> Self {
        Self {
            manifests: BTreeMap::new(),
            decided: BTreeMap::new(),
            leftovers: BTreeSet::new(),
            files: BTreeSet::new(),
            sinks: std::array::from_fn(|_| Sink::default()),
            under_way: vec![],
            writers: vec![None; writers],
            started: 0,
            keep,
            broken,
        }
    }

    pub fn apply(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Start(i) => {
                self.started += 1;
                self.writers[i] = Some(Process::start(self.started, self.broken));
                Ok(())
            }
            Action::Crash(i) => {
                self.writers[i] = None;
                Ok(())
            }
            Action::Land => {
                let (request, decision) = self.under_way.remove(0);
                match request {
                    UnderWay::Create => self.create(&decision).map(|_| ()),
                    UnderWay::Commit(sink) => self.commit(sink, &decision).map(|_| ()),
                }
            }
            Action::Drop => {
                self.under_way.remove(0);
                Ok(())
            }
            Action::Step(i, fate) => self.with(i, |process, world| process.step(world, fate)),
            Action::Upload(i) => self.with(i, Process::upload),
            Action::Decide { writer, output, merge } => self.with(writer, |process, world| process.decide(world, output, merge)),
            Action::Collect(i) => self.with(i, Process::collect),
        }
    }

    /// What is left when every writer has crashed and nothing is under way any more.
    pub fn ruins(&self) -> Self {
        Self { under_way: vec![], writers: vec![None; self.writers.len()], started: self.started, ..self.clone() }
    }

    /// Takes away the writers that have stopped; returns how many.
    pub fn bury(&mut self) -> u64 {
        let mut buried = 0;
        for writer in &mut self.writers {
            if writer.take_if(|p| p.stopped().is_some()).is_some() {
                buried += 1;
            }
        }
        buried
    }

    fn with(&mut self, i: usize, act: impl FnOnce(&mut Process, &mut Self) -> Result<(), Violation>) -> Result<(), Violation> {
        let mut process = self.writers[i].take().ok_or("no such writer")?;
        act(&mut process, self)?;
        self.writers[i] = Some(process);
        Ok(())
    }

    pub fn newest(&self) -> Option<&Rc<Decision>> {
        self.decided.last_key_value().map(|(_, d)| d)
    }

    /// Whether the number was free. A number that was freed by a collection can be created again; then it is a leftover.
    pub fn create(&mut self, decision: &Rc<Decision>) -> Result<bool, Violation> {
        let epoch = decision.head.epoch;
        if self.manifests.contains_key(&epoch) {
            return Ok(false);
        }
        self.manifests.insert(epoch, decision.clone());
        if self.decided.contains_key(&epoch) {
            self.leftovers.insert(epoch);
            return Ok(true);
        }
        let before = self.newest().cloned();
        let (last, end) = before.as_ref().map_or((0, 0), |d| (d.head.epoch.0, d.end));
        if epoch.0 != last + 1 {
            return Err(format!("epoch {epoch} was decided after {last}"));
        }
        if decision.start != end {
            return Err(format!("epoch {epoch} starts at offset {}, and {end} is where the last one ended", decision.start));
        }
        if let Some(before) = before
            && decision.head.generation < before.head.generation
        {
            return Err(format!("epoch {epoch} was decided by a generation below that of the last one"));
        }
        self.decided.insert(epoch, decision.clone());
        self.check_references()?;
        Ok(true)
    }

    /// As a table does it: `Some(true)` below the epoch, done; `Some(false)` equal; `None` above.
    pub fn commit(&mut self, sink: usize, decision: &Rc<Decision>) -> Result<Option<bool>, Violation> {
        let epoch = decision.head.epoch.0;
        let table = &mut self.sinks[sink];
        if table.txn >= epoch {
            return Ok((table.txn == epoch).then_some(false));
        }
        table.txn = epoch;
        table.rows.push(epoch);
        if self.decided.get(&decision.head.epoch) != Some(decision) {
            return Err(format!("sink {sink} took epoch {epoch}, which was not decided so"));
        }
        let due: Vec<u64> = self.due(sink).filter(|e| *e <= epoch).collect();
        if self.sinks[sink].rows != due {
            return Err(format!("sink {sink} holds the epochs {:?}, and {due:?} were decided", self.sinks[sink].rows));
        }
        Ok(Some(true))
    }

    /// The epochs with rows for a sink.
    fn due(&self, sink: usize) -> impl Iterator<Item = u64> + '_ {
        self.decided.values().filter(move |d| d.head.kind == Kind::Data && d.output[sink]).map(|d| d.head.epoch.0)
    }

    pub fn delete_manifest(&mut self, epoch: Epoch) -> Result<(), Violation> {
        self.manifests.remove(&epoch);
        self.leftovers.remove(&epoch);
        self.check_newest()
    }

    pub fn delete_file(&mut self, file: &StateName) -> Result<(), Violation> {
        self.files.remove(file);
        self.check_references()
    }

    /// Whatever is there and is no leftover can be restored from.
    fn check_references(&self) -> Result<(), Violation> {
        for (epoch, manifest) in self.manifests.iter().filter(|(e, _)| !self.leftovers.contains(*e)) {
            if let Some(missing) = manifest.state.iter().find(|f| !self.files.contains(*f)) {
                return Err(format!("manifest {epoch} refers to {missing}, which is gone"));
            }
        }
        Ok(())
    }

    /// The newest manifest is there, and so is the epoch in doubt.
    fn check_newest(&self) -> Result<(), Violation> {
        let Some(newest) = self.newest() else { return Ok(()) };
        let needed = [Some(newest.head.epoch), newest.head.unacknowledged()];
        match needed.into_iter().flatten().find(|e| !self.manifests.contains_key(e) || self.leftovers.contains(e)) {
            Some(epoch) => Err(format!("manifest {epoch} is gone and still needed")),
            None => Ok(()),
        }
    }

    /// After a writer has recovered and decided one more epoch without any fault.
    pub fn check_complete(&self) -> Result<(), Violation> {
        for sink in 0..SINKS {
            let due: Vec<u64> = self.due(sink).collect();
            if self.sinks[sink].rows != due {
                return Err(format!("at the end sink {sink} holds {:?}, and {due:?} were decided", self.sinks[sink].rows));
            }
        }
        let mut data = self.decided.values().filter(|d| d.head.kind == Kind::Data);
        let read = data.clone().map(|d| d.end - d.start).sum::<u64>();
        let end = data.next_back().map_or(0, |d| d.end);
        if read != end {
            return Err(format!("{read} records were taken in, and {end} are there"));
        }
        self.check_references()
    }
}
