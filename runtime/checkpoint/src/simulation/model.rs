//! The world that the simulation runs in. It has an object store that is linearizable and creates conditionally. It has
//! two sinks; each knows the last epoch that it took of each lineage and the mark of its manifest, as a table's log
//! does. It has requests that are still under way, people who put back an old checkpoint or an old copy of a sink or
//! delete the newest manifests, and the writers. [`World::apply`] does one thing and checks every invariant.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use weir_plan::ids::{Epoch, Generation};

use super::process::Process;
use crate::layout::StateName;
use crate::manifest::Kind;
use crate::protocol::{Head, Mark, Place, Rule};

pub const SINKS: usize = 2;

pub fn place(sink: usize) -> Place {
    Place { sink: sink.to_string().into(), id: "".into() }
}

/// A manifest, with the parts that the model needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decision {
    pub head: Head,
    /// Offsets `[start, end)`; empty in a claim.
    pub start: u64,
    pub end: u64,
    pub state: BTreeSet<StateName>,
    /// The epoch that the compaction's files are named for, while it is under way.
    pub compacting: Option<Epoch>,
    /// Which sinks get rows. A sink without rows gets no commit.
    pub output: [bool; SINKS],
}

/// A request that its sender has given up on; it may still take effect, or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnderWay {
    Create,
    Commit(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Sink {
    /// The last epoch and its mark, by the generation that began the lineage.
    pub txns: BTreeMap<Generation, (Epoch, Mark)>,
    /// The epochs whose rows it holds, in order.
    pub rows: Vec<u64>,
}

/// What happens to one request of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It takes effect and is answered.
    Answered,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// It does not take effect and is not answered.
    Lost,
    /// It is not answered, and may take effect at any later time.
    Delayed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Start(usize),
    /// Starts a writer with a state action that goes back this many epochs.
    StartRestoring(usize, u64),
    Crash(usize),
    Step(usize, Fate),
    /// A writer at rest uploads state for the next epoch.
    Upload(usize),
    /// A writer at rest writes a file that will replace the older ones.
    Compact(usize),
    /// A writer decides an epoch whose rows go to these sinks. With `merge`, its state replaces the older files, and
    /// also uses a compaction's file.
    Decide {
        writer: usize,
        output: [bool; SINKS],
        merge: bool,
    },
    /// A writer begins a collection; its steps happen between the writer's own.
    Collect(usize),
    Sweep(usize),
    /// The oldest request under way takes effect, or (`Drop`) never will.
    Land,
    Drop,
    /// All writers end, nothing is under way any more, and the newest manifests disappear with everything that only
    /// they refer to: somebody deletes them, or puts back an old copy of the checkpoint.
    LoseNewest(u64),
    /// All writers end, nothing is under way any more, and a sink is put back to what it was this many epochs ago.
    PutBack {
        sink: usize,
        epochs: usize,
    },
}

/// How a sink answers a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Taken,
    Done,
    Refused,
}

/// A sentence that says which invariant was broken.
pub type Violation = String;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub manifests: BTreeMap<Epoch, Rc<Decision>>,
    /// What was created first under each number: the truth, for ever.
    pub decided: BTreeMap<Epoch, Rc<Decision>>,
    /// Numbers that were created again after a collection had freed them. Nobody may rely on these manifests.
    pub leftovers: BTreeSet<Epoch>,
    pub files: BTreeSet<StateName>,
    pub sinks: [Sink; SINKS],
    pub under_way: Vec<(UnderWay, Rc<Decision>)>,
    pub writers: Vec<Option<Process>>,
    pub started: u32,
    pub keep: u32,
    pub broken: Option<Rule>,
    /// Whether the sinks hold epochs that the checkpoint has lost, or lack epochs that they had acknowledged. If so,
    /// nobody may go on.
    pub ruined: bool,
    /// Whether the manifest in doubt is gone together with newer ones: a collection had deleted it, and then people
    /// deleted those. The next writer that claims notices it.
    pub torn: bool,
    /// Whether some lineage began by going back, so that records may have been taken in more than once.
    pub restored: bool,
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
            ruined: false,
            torn: false,
            restored: false,
        }
    }

    pub fn apply(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Start(i) => {
                self.started += 1;
                self.writers[i] = Some(Process::start(self, None));
                Ok(())
            }
            Action::StartRestoring(i, back) => {
                self.started += 1;
                self.writers[i] = Some(Process::start(self, Some(back)));
                Ok(())
            }
            Action::LoseNewest(count) => {
                self.lose_newest(count);
                Ok(())
            }
            Action::PutBack { sink, epochs } => {
                self.put_back(sink, epochs);
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
            Action::Decide { writer, output, merge } => {
                self.with(writer, |process, world| process.decide(world, output, merge))
            }
            Action::Compact(i) => self.with(i, Process::compact),
            Action::Collect(i) => self.with(i, Process::collect),
            Action::Sweep(i) => self.with(i, Process::sweep),
        }
    }

    /// What remains when every writer has crashed and nothing is under way any more.
    pub fn ruins(&self) -> Self {
        Self { under_way: vec![], writers: vec![None; self.writers.len()], started: self.started, ..self.clone() }
    }

    /// Removes the writers that have stopped, and returns how many.
    pub fn bury(&mut self) -> u64 {
        let mut buried = 0;
        for writer in &mut self.writers {
            if writer.take_if(|p| p.is_over()).is_some() {
                buried += 1;
            }
        }
        buried
    }

    fn with(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut Process, &mut Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let mut process = self.writers[i].take().ok_or("no such writer")?;
        act(&mut process, self)?;
        self.writers[i] = Some(process);
        Ok(())
    }

    fn lose_newest(&mut self, count: u64) {
        self.writers.fill(None);
        self.under_way.clear();
        for _ in 0..count {
            self.manifests.pop_last();
        }
        let end = self.manifests.last_key_value().map_or(Epoch(0), |(epoch, _)| *epoch);
        // Forget what was decided since, as if it had never been, if no sink has any of it.
        self.decided.retain(|epoch, _| *epoch <= end);
        let referred: BTreeSet<_> = self.manifests.values().flat_map(|m| m.state.iter().copied()).collect();
        self.files.retain(|file| referred.contains(file));
        self.ruined |= self.sinks.iter().any(|sink| sink.rows.last().is_some_and(|last| *last > end.0));
        self.torn |= self.check_newest().is_err();
    }

    fn put_back(&mut self, sink: usize, epochs: usize) {
        self.writers.fill(None);
        self.under_way.clear();
        let rows = &self.sinks[sink].rows;
        let rows = rows[..rows.len().saturating_sub(epochs)].to_vec();
        let held = rows.iter().filter_map(|epoch| self.decided.get(&Epoch(*epoch)));
        let txns = held.map(|d| (d.head.begun, (d.head.epoch, d.head.mark()))).collect();
        self.sinks[sink] = Sink { txns, rows };
        let in_doubt = self.newest().and_then(|newest| newest.head.unacknowledged()).map(|epoch| epoch.0);
        let lacks = |epoch: &u64| Some(*epoch) != in_doubt && !self.sinks[sink].rows.contains(epoch);
        let went_back = self.due(sink).any(|epoch| lacks(&epoch));
        self.ruined |= went_back;
    }

    pub fn newest(&self) -> Option<&Rc<Decision>> {
        self.decided.last_key_value().map(|(_, d)| d)
    }

    /// Creates a manifest. True if the number was free. A number that a collection has freed can be created again; then
    /// the manifest is a leftover.
    pub fn create(&mut self, decision: &Rc<Decision>) -> Result<bool, Violation> {
        let epoch = decision.head.epoch;
        if self.manifests.contains_key(&epoch) {
            return Ok(false);
        }
        if self.ruined {
            return Err(format!("epoch {epoch} was created in a checkpoint that disagrees with its sinks"));
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
        let goes_back = decision.head.kind == Kind::Claim
            && decision.head.begun == decision.head.generation
            && epoch != Epoch::FIRST;
        self.restored |= goes_back;
        if decision.start != end && !goes_back {
            return Err(format!(
                "epoch {epoch} starts at offset {}, and {end} is where the last one ended",
                decision.start
            ));
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

    /// Commits as a table does.
    pub fn commit(&mut self, sink: usize, decision: &Rc<Decision>) -> Result<Told, Violation> {
        let (epoch, mark) = (decision.head.epoch, decision.head.mark());
        let table = &mut self.sinks[sink];
        match table.txns.get(&decision.head.begun) {
            Some((held, of)) if *held == epoch => return Ok(if *of == mark { Told::Done } else { Told::Refused }),
            Some((held, _)) if *held > epoch => return Ok(Told::Refused),
            _ => {}
        }
        table.txns.insert(decision.head.begun, (epoch, mark));
        table.rows.push(epoch.0);
        if self.decided.get(&decision.head.epoch) != Some(decision) {
            return Err(format!("sink {sink} took epoch {epoch}, which was not decided so"));
        }
        let due: Vec<u64> = self.due(sink).filter(|e| *e <= epoch.0).collect();
        if self.sinks[sink].rows != due {
            return Err(format!("sink {sink} holds the epochs {:?}, and {due:?} were decided", self.sinks[sink].rows));
        }
        Ok(Told::Taken)
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

    /// Checks that people can restore from every manifest that is no leftover.
    fn check_references(&self) -> Result<(), Violation> {
        for (epoch, manifest) in self.manifests.iter().filter(|(e, _)| !self.leftovers.contains(*e)) {
            if let Some(missing) = manifest.state.iter().find(|f| !self.files.contains(*f)) {
                return Err(format!("manifest {epoch} refers to {missing}, which is gone"));
            }
        }
        Ok(())
    }

    /// Checks that the newest manifest is there, and the epoch in doubt as well.
    fn check_newest(&self) -> Result<(), Violation> {
        let Some(newest) = self.newest() else { return Ok(()) };
        let needed = [Some(newest.head.epoch), newest.head.unacknowledged()];
        match needed.into_iter().flatten().find(|e| !self.manifests.contains_key(e) || self.leftovers.contains(e)) {
            Some(epoch) => Err(format!("manifest {epoch} is gone and still needed")),
            None => Ok(()),
        }
    }

    /// Checks the end, after a writer has recovered and decided one more epoch without any fault.
    pub fn check_complete(&self) -> Result<(), Violation> {
        for sink in 0..SINKS {
            let due: Vec<u64> = self.due(sink).collect();
            if self.sinks[sink].rows != due {
                return Err(format!(
                    "at the end sink {sink} holds {:?}, and {due:?} were decided",
                    self.sinks[sink].rows
                ));
            }
        }
        let mut data = self.decided.values().filter(|d| d.head.kind == Kind::Data);
        let read = data.clone().map(|d| d.end - d.start).sum::<u64>();
        let end = data.next_back().map_or(0, |d| d.end);
        if read != end && !self.restored {
            return Err(format!("{read} records were taken in, and {end} are there"));
        }
        self.check_references()
    }
}
