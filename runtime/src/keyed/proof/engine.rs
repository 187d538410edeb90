//! An engine that knows steps, tables and watermarks, but no operator. Lanes read partitions and send entries to
//! workers by key group, workers own ranges of key groups, and all watermarks follow from those of the sources. State
//! goes through the real log, into files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::UInt32Array;
use arrow::datatypes::SchemaRef;
use object_store::memory::InMemory;
use object_store::path::Path;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use tokio::sync::Semaphore;
use weir_plan::ids::{Epoch, Generation};
use weir_plan::key_group::{KeyRanges, key_groups};
use weir_plan::plan::Input;

use super::graph::Graph;
use super::rows::{Row, batch, rows_of, time_of};
use crate::checkpoint::layout::{COMPACTED_FROM, StateName};
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::checkpoint::store::Store;
use crate::keyed::edge::EdgeSender;
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::memory::Memory;
use crate::retry::{Jitter, RetryPolicy};
use crate::state::log::{Held, Restorable, StateLog};
use crate::state::{Change, Entries, Grouped};

#[derive(Clone)]
pub struct Manifest {
    pub epoch: Epoch,
    /// The number of rows that were read, per partition.
    pub read: Vec<usize>,
    /// The watermark of each source.
    pub sources_us: Vec<Option<i64>>,
    pub files: Vec<StateFile>,
}

/// Rows and late rows of each step.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Given {
    pub rows: Vec<Vec<Row>>,
    pub late: Vec<u64>,
}

impl Given {
    pub fn new(steps: usize) -> Self {
        Self { rows: vec![Vec::new(); steps], late: vec![0; steps] }
    }

    pub fn sorted(mut self) -> Self {
        self.rows.iter_mut().for_each(|rows| rows.sort());
        self
    }
}

/// The rows of one partition of a source.
pub struct Partition {
    pub source: usize,
    pub schema: SchemaRef,
    pub rows: Vec<Row>,
}

/// How far the watermarks go beyond what the records say.
#[derive(Clone, Copy)]
pub enum Raise {
    No,
    /// Until everything that leaves by the limit has left.
    Until(i64),
}

/// What an epoch reads, and how far the watermarks go.
pub struct Reads<'p> {
    pub partitions: &'p [Partition],
    pub to: Vec<usize>,
    pub sources_us: Vec<Option<i64>>,
    pub raise: Raise,
}

/// Counts of what happened to the state during a run. A run in which nothing happened proves nothing.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub epochs: u64,
    pub kills: u64,
    pub undone: u64,
    pub compactions: u64,
    /// Compactions of more runs than are merged at a time.
    pub in_passes: u64,
    pub behind_changes: u64,
    pub files_gone: u64,
    pub deletes: u64,
    pub rows: u64,
    pub late: u64,
    pub restored: u64,
}

/// A store that all processes of a run share.
pub struct Files {
    store: Store,
    generation: u64,
}

impl Files {
    pub fn new() -> Self {
        let objects = Arc::new(InMemory::new());
        Self { store: Store::new(objects, Path::from("c"), "test://c", Duration::from_secs(5)), generation: 0 }
    }

    fn of_next_process(&mut self) -> StateFiles {
        self.generation += 1;
        let retry = RetryPolicy::giving_up_after(Duration::from_millis(1));
        StateFiles::new(self.store.clone(), Generation(self.generation), retry, Jitter::new(1))
    }
}

struct Worker {
    groups: Range<u16>,
    operators: Vec<Box<dyn KeyedOperator>>,
    /// The senders to steps that read a step.
    senders: BTreeMap<(usize, usize), EdgeSender>,
}

pub struct Process<'g> {
    graph: &'g Graph,
    states: StateFiles,
    log: StateLog,
    ranges: KeyRanges,
    workers: Vec<Worker>,
}

impl<'g> Process<'g> {
    /// Starts a process with another number of workers.
    pub async fn start(
        graph: &'g Graph,
        files: &mut Files,
        manifest: &Manifest,
        rng: &mut SmallRng,
        seen: &mut Seen,
    ) -> Self {
        let states = files.of_next_process();
        let saved = Restorable::open(Arc::clone(&graph.tables), states.clone(), &manifest.files).await.unwrap();
        let mut log = StateLog::new(&saved, states.clone(), Arc::new(Memory::new(None).unwrap()));
        let (file_bytes, bytes_max) = (rng.random_bool(0.5).then_some(1), rng.random_bool(0.7).then_some(0));
        let stretch_bytes = rng.random_bool(0.5).then_some(1);
        log.held = Held { file_bytes, stretch_bytes, bytes_max, gate: Some(Arc::new(Semaphore::new(0))) };
        let ranges = KeyRanges::of(rng.random_range(1..5));
        let worker = |n| {
            let senders = graph.senders(ranges, |input| matches!(input, Input::Step(_)));
            Worker { groups: ranges.range(n), operators: graph.operators(), senders }
        };
        let mut workers: Vec<Worker> = (0..ranges.workers()).map(worker).collect();
        let horizons_us = graph.horizons_us(&graph.inputs_us(&manifest.sources_us));
        let load = saved.load(|table, Change(Grouped { key_groups, entries })| {
            let (step, place) = graph.owners[table];
            let groups = groups_of(graph, step, &entries);
            assert_eq!(key_groups.values()[..], groups, "files of this version have today's key groups");
            for worker in &mut workers {
                let is_mine = |row: usize| {
                    let time_us = entries.times.value(row);
                    horizons_us[table].is_none_or(|horizon_us| time_us >= horizon_us)
                        && worker.groups.contains(&groups[row])
                };
                let mine = selected(&entries, (0..entries.rows()).filter(|row| is_mine(*row)));
                seen.restored += mine.rows() as u64;
                worker.operators[step].tables()[place].restore(&mine)?;
            }
            Ok(true)
        });
        load.await.unwrap();
        Self { graph, states, log, ranges, workers }
    }

    /// Runs an epoch up to the change of state. Returns what went to the sinks, and the sources' watermarks.
    pub fn run(&mut self, from: &Manifest, reads: &Reads<'_>, rng: &mut SmallRng) -> (Given, Vec<Option<i64>>) {
        let graph = self.graph;
        let before_us = graph.inputs_us(&from.sources_us);
        let mut given = Given::new(graph.nodes.len());
        let mut lanes: Vec<_> = (0..rng.random_range(1..4))
            .map(|_| graph.senders(self.ranges, |input| matches!(input, Input::Source(_))))
            .collect();
        let mut at = from.read.clone();
        loop {
            let open: Vec<_> = (0..at.len()).filter(|p| at[*p] < reads.to[*p]).collect();
            if open.is_empty() {
                break;
            }
            let p = open[rng.random_range(0..open.len())];
            let n = rng.random_range(1..6).min(reads.to[p] - at[p]);
            let Partition { source, schema, rows } = &reads.partitions[p];
            let rows = batch(schema, &rows[at[p]..at[p] + n]);
            at[p] += n;
            let lane = p % lanes.len();
            for (&(step, input), sender) in &mut lanes[lane] {
                if graph.nodes[step].inputs[input] == Input::Source(*source) {
                    sender
                        .take_in(&graph.nodes[step].step.prepare(input, &rows, None, &before_us[step]).unwrap())
                        .unwrap();
                    if rng.random_bool(0.2) {
                        self.bring((step, input), sender, &mut given, rng);
                    }
                }
            }
            if rng.random_bool(0.2) {
                let (worker, step) = (rng.random_range(0..self.workers.len()), rng.random_range(0..graph.nodes.len()));
                self.hand_on(worker, step, &before_us, &mut given);
            }
        }
        lanes.shuffle(rng);
        for (edge, mut sender) in lanes.into_iter().flatten() {
            self.bring(edge, &mut sender, &mut given, rng);
        }
        let mut sources_us = reads.sources_us.clone();
        if let Raise::Until(limit_us) = reads.raise
            && let Some(raised_us) = self.raised_us(&before_us, &given, limit_us)
        {
            sources_us.iter_mut().for_each(|watermark_us| *watermark_us = (*watermark_us).max(Some(raised_us)));
        }
        let after_us = graph.inputs_us(&sources_us);
        for step in 0..graph.nodes.len() {
            let marks = Marks { before_us: before_us[step].clone(), after_us: after_us[step].clone() };
            for worker in 0..self.workers.len() {
                self.workers[worker].operators[step].close(&marks).unwrap();
                while self.hand_on(worker, step, &before_us, &mut given) {}
            }
            for worker in 0..self.workers.len() {
                let mut senders = std::mem::take(&mut self.workers[worker].senders);
                senders.iter_mut().for_each(|(edge, sender)| self.bring(*edge, sender, &mut given, rng));
                self.workers[worker].senders = senders;
            }
            let output_us = graph.flow.output_us(step, &from.sources_us);
            let is_late = |row| output_us.is_some_and(|watermark_us| time_of(row) < watermark_us);
            let is_late = graph.nodes[step].gives_times && given.rows[step].iter().any(is_late);
            assert!(!is_late, "step {step} gives rows that are late for the next");
        }
        (given.sorted(), sources_us)
    }

    /// Writes the change of an epoch that has [run](Self::run), and returns the epoch's manifest.
    pub async fn decide(
        &mut self,
        from: &Manifest,
        read: Vec<usize>,
        sources_us: Vec<Option<i64>>,
        rng: &mut SmallRng,
        seen: &mut Seen,
    ) -> Manifest {
        let graph = self.graph;
        let epoch = from.epoch.next();
        let horizons_us = graph.horizons_us(&graph.inputs_us(&sources_us));
        let mut of_workers = Vec::new();
        for worker in &mut self.workers {
            let mut changes = Vec::new();
            for (table, (step, place)) in graph.owners.iter().enumerate() {
                let horizon_us = horizons_us[table];
                let Some(change) = worker.operators[*step].tables()[*place].take_change(horizon_us).unwrap() else {
                    continue;
                };
                let is_right = |row| {
                    let is_open = horizon_us.is_none_or(|horizon_us| change.entries.times.value(row) >= horizon_us);
                    is_open && worker.groups.contains(&change.key_groups.value(row))
                };
                assert!(
                    (0..change.rows()).all(is_right),
                    "a change of {} has what is not its worker's, or over",
                    graph.tables[table].step
                );
                seen.deletes += change.entries.deleted.as_ref().map_or(0, |deleted| deleted.true_count() as u64);
                changes.push((table, change));
            }
            of_workers.push(changes);
        }
        let written = self.log.write(self.states.name(epoch, 0, 0), of_workers).await.unwrap();
        let held = self.log.compacts();
        if held && rng.random_bool(0.6) {
            self.log.end_compaction().await;
        }
        let before: Vec<_> = from
            .files
            .iter()
            .map(|file| file.path.clone())
            .chain(written.iter().map(|file| file.path.clone()))
            .collect();
        let files = self.log.advance(written, &horizons_us).await.unwrap().files;
        assert!(!self.log.has_failed(), "a compaction failed: the log says why");
        if held && !self.log.compacts() {
            seen.compactions += 1;
            seen.behind_changes += u64::from(files.last().is_some_and(|file| !file.name().unwrap().is_compacted()));
        } else {
            seen.files_gone += (before.len() - files.len()) as u64;
        }
        if !self.log.compacts() {
            self.log.compact_if_long(
                rng.random_range(1..6),
                self.states.name(epoch.next(), 0, COMPACTED_FROM),
                horizons_us,
            );
            // Without memory, two runs are merged at a time.
            let runs: BTreeSet<_> =
                files.iter().filter_map(StateFile::name).map(|name| StateName { n: 0, ..name }).collect();
            seen.in_passes += u64::from(self.log.compacts() && self.log.held.bytes_max == Some(0) && runs.len() > 2);
        }
        Manifest { epoch, read, sources_us, files }
    }

    /// When the last entry leaves a step, of those that leave by a limit.
    pub fn leaves_by(&self, step: usize, before_us: &[Option<i64>], limit_us: i64) -> Option<i64> {
        let leaving =
            self.workers.iter().filter_map(|worker| worker.operators[step].leaves_by(before_us, limit_us).unwrap());
        leaving.map(|leaving| leaving.at_us).max()
    }

    /// Takes the rows of a step that are ready to its sink, and to the senders of the steps behind it.
    fn hand_on(&mut self, worker: usize, step: usize, before_us: &[Vec<Option<i64>>], given: &mut Given) -> bool {
        let Worker { operators, senders, .. } = &mut self.workers[worker];
        let Some(rows) = operators[step].next(&|_| Ok(())).unwrap() else { return false };
        assert!(rows.bad.is_empty());
        for rows in rows.good {
            for (&(behind, input), sender) in &mut *senders {
                let node = &self.graph.nodes[behind];
                if node.inputs[input] == Input::Step(step) {
                    sender.take_in(&node.step.prepare(input, &rows, None, &before_us[behind]).unwrap()).unwrap();
                }
            }
            given.rows[step].extend(rows_of(&rows));
        }
        true
    }

    /// Brings what a sender has to the workers, in any order and grouping.
    fn bring(&mut self, (step, input): (usize, usize), sender: &mut EdgeSender, given: &mut Given, rng: &mut SmallRng) {
        let report = sender.end_epoch().unwrap();
        given.late[step] += report.counts.rows_late;
        for (worker, of_worker) in self.workers.iter_mut().zip(report.entries) {
            for entries in of_worker {
                assert_eq!(
                    groups_of(self.graph, step, &entries.entries),
                    *entries.key_groups.values(),
                    "as the sender has computed them"
                );
                let mut rows: Vec<_> = (0..entries.rows()).collect();
                rows.shuffle(rng);
                let cut = rng.random_range(0..=rows.len());
                for part in [&rows[..cut], &rows[cut..]].into_iter().filter(|part| !part.is_empty()) {
                    let part = selected(&entries.entries, part.iter().copied());
                    worker.operators[step]
                        .take_in(input, Grouped::of(part, self.graph.nodes[step].step.hashed()).unwrap())
                        .unwrap();
                }
            }
        }
    }

    /// Where the sources' watermarks must be so that everything that leaves by the limit has left.
    fn raised_us(&self, before_us: &[Vec<Option<i64>>], given: &Given, limit_us: i64) -> Option<i64> {
        let mut newest_us: Vec<Option<i64>> = Vec::new();
        let mut raised_us = None;
        for (step, node) in self.graph.nodes.iter().enumerate() {
            let held = self
                .workers
                .iter()
                .filter_map(|worker| worker.operators[step].leaves_by(&before_us[step], limit_us).unwrap())
                .max();
            let to_come = node.inputs.iter().enumerate().filter_map(|(input, of)| match of {
                Input::Step(before) => Some((input, newest_us[*before]?)),
                Input::Source(_) => None,
            });
            let to_come: Vec<_> = to_come.collect();
            let of_those = to_come.iter().map(|(input, time_us)| node.step.leaving_of(*input, *time_us));
            let leaving = of_those.filter(|leaving| leaving.at_us <= limit_us).chain(held).max();
            if let Some(leaving) = leaving.filter(Leaving::waits) {
                raised_us = raised_us.max(Some(self.graph.flow.sources_for(step, leaving.at_us)));
            }
            let given = given.rows[step].iter().filter(|_| node.gives_times).map(time_of).max();
            newest_us.push(
                leaving
                    .map(|leaving| leaving.newest_us)
                    .max(given)
                    .max(to_come.iter().map(|(_, time_us)| *time_us).max()),
            );
        }
        raised_us
    }
}

fn groups_of(graph: &Graph, step: usize, entries: &Entries) -> Vec<u16> {
    key_groups(&entries.keys[..graph.nodes[step].step.hashed()], entries.rows()).unwrap()
}

fn selected(entries: &Entries, rows: impl Iterator<Item = usize>) -> Entries {
    entries.select(&UInt32Array::from_iter_values(rows.map(|row| u32::try_from(row).unwrap()))).unwrap()
}
