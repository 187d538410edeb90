//! Goes through the manifests epoch by epoch, and computes what each epoch must have emitted.

mod checks;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::advance::{Advanced, Held, late_of};
use super::manifest::Manifest;
use super::marks::{Marks, Own};
use super::nodes::{Graph, Mode};
use super::source::Source;
use super::tuple::{Origin, Tuple};
use crate::oracle::acknowledged;
use crate::oracle::manifest::{Partition, Place, Totals};
use crate::oracle::replay::to_json;
use crate::topic::Contents;

/// The records of each topic, by its whole name.
pub type Records = BTreeMap<String, Contents>;

/// What follows from the manifests and the records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The rows of each sink's table, in no order.
    pub tables: BTreeMap<String, Vec<Json>>,
    /// Per epoch, the rows that each sink got, by the number of the epoch.
    pub emitted: BTreeMap<u64, BTreeMap<String, Vec<Json>>>,
    /// Differences between a manifest and what the oracle derived: must be empty.
    pub contradictions: Vec<String>,
    pub data_epochs: u64,
    /// Records read, by source.
    pub read: BTreeMap<String, u64>,
    /// Late rows, by step.
    pub late: BTreeMap<String, u64>,
    /// Duplicates that did not pass, by step.
    pub duplicates: BTreeMap<String, u64>,
    /// What still waits for the watermark after the last epoch, by step.
    pub waiting: BTreeMap<String, u64>,
    pub watermarks: BTreeMap<String, Option<i64>>,
    /// The numbers of epochs in which a watermark moved further than the records say, by the manifests' word for why.
    pub moved: BTreeMap<String, Vec<u64>>,
}

impl Graph {
    /// Derives the outcome. The manifests must begin with the lineage's first one.
    #[must_use]
    pub fn replay(&self, records: &Records, manifests: &[Manifest]) -> Outcome {
        let mut state = State {
            graph: self,
            records,
            held: Held::new(),
            partitions: BTreeMap::new(),
            positions: BTreeMap::new(),
            sources: self.sources.iter().map(|source| (source.name.clone(), None)).collect(),
            newest: None,
            reading: BTreeMap::new(),
            totals: Totals::default(),
            out: Outcome::default(),
        };
        for sink in &self.sinks {
            state.out.tables.insert(sink.name.clone(), Vec::new());
        }
        for manifest in manifests {
            state.check_positions(manifest);
            if !manifest.whole.is_claim {
                state.epoch(manifest);
            }
        }
        let State { held, sources, mut out, .. } = state;
        for sink in self.sinks.iter().filter(|sink| sink.mode != Mode::Append) {
            let rows = self.newest(&sink.from, &held).iter().map(|tuple| to_json(&tuple.row)).collect();
            out.tables.insert(sink.name.clone(), rows);
        }
        let whole: Vec<_> = manifests.iter().map(|manifest| manifest.whole.clone()).collect();
        out.contradictions.extend(acknowledged::contradictions(&whole));
        out.watermarks = sources;
        out
    }
}

struct State<'a> {
    graph: &'a Graph,
    records: &'a Records,
    held: Held,
    /// The watermark of each partition of each source.
    partitions: BTreeMap<(String, Place), Option<i64>>,
    /// The offset at which the next epoch continues, per partition of each source.
    positions: BTreeMap<(String, Place), i64>,
    /// The watermark of each source.
    sources: Marks,
    /// The reading of the clock that gives rows their times, by epoch.
    reading: BTreeMap<u64, i64>,
    /// The greatest event time of all rows.
    newest: Option<i64>,
    totals: Totals,
    out: Outcome,
}

impl State<'_> {
    fn epoch(&mut self, m: &Manifest) {
        let graph = self.graph;
        self.out.data_epochs += 1;
        self.totals.epochs += 1;
        let before = graph.marks(&self.sources);
        let (mut rows, mut read) = (BTreeMap::new(), BTreeMap::new());
        for source in &graph.sources {
            let (taken, count) = self.read(source, m, &before);
            rows.insert(source.name.clone(), taken);
            read.insert(source.name.clone(), count);
        }
        let after = graph.marks(&self.watermarks(m, &rows, &before, &read));
        let advanced = graph.advance(&mut self.held, &rows, &before, &after);
        self.check_sources(m, &before, &after, &rows, &advanced);
        self.check_steps(m, &before, &after, &advanced);
        self.check_due(m, &before, &after, &advanced);
        self.give(m, &advanced);
        self.sources.iter_mut().for_each(|(name, watermark)| *watermark = after[name]);
        self.expect(m.epoch(), "sums over all epochs", &self.totals.clone(), &m.whole.totals);
    }

    /// The rows that a source takes in, and the number of records that it reads.
    fn read(&mut self, source: &Source, m: &Manifest, before: &Marks) -> (Vec<Tuple>, u64) {
        let (mut rows, mut read, mut bad) = (Vec::new(), 0, 0);
        // Without a reading there are no rows, which is checked below.
        let now_us = m.of[&source.name].processing_time_us.unwrap_or(m.whole.clock_us);
        for p in &m.of[&source.name].partitions {
            let place = (source.name.clone(), p.place());
            let mut watermark = self.partitions.get(&place).copied().flatten();
            for offset in p.start..p.end {
                // An offset without a record: transactions leave these.
                let Some(record) = self.records.get(&p.topic).and_then(|all| all.get(&p.partition)?.get(&offset))
                else {
                    continue;
                };
                read += 1;
                let tuple =
                    source.decode(record, m.whole.clock_us, now_us).map(|tuple| tuple_of(source, p, offset, tuple));
                match tuple.filter(|tuple| self.graph.takes(&source.name, tuple, before)) {
                    Some(tuple) => {
                        if let (Some(time), Some(event_time)) = (tuple.time, &source.event_time) {
                            if !source.is_timed_by_clock() {
                                watermark = watermark.max(Some(time - event_time.delay_us));
                            }
                            self.newest = self.newest.max(Some(time));
                        }
                        rows.push(tuple);
                    }
                    None => bad += 1,
                }
            }
            self.partitions.insert(place, watermark);
            let what = format!("watermark of partition {} of {}", p.partition, source.name);
            self.expect(m.epoch(), &what, &watermark, &p.watermark_us);
        }
        self.check_reading(source, m, before, !rows.is_empty());
        let said = &m.of[&source.name];
        for (what, derived, says) in
            [("read", read, said.read), ("dropped", bad, said.dropped), ("decoded", rows.len() as u64, said.decoded)]
        {
            self.expect(m.epoch(), &format!("records of {} {what}", source.name), &derived, &says);
        }
        *self.out.read.entry(source.name.clone()).or_default() += read;
        self.totals.read += read;
        self.totals.dropped += bad;
        (rows, read)
    }

    /// The sources' watermarks after the epoch.
    fn watermarks(
        &mut self,
        m: &Manifest,
        rows: &BTreeMap<String, Vec<Tuple>>,
        before: &Marks,
        read: &BTreeMap<String, u64>,
    ) -> Marks {
        let graph = self.graph;
        let own: BTreeMap<String, Own> =
            graph.sources.iter().map(|source| (source.name.clone(), self.own(source, m))).collect();
        let held_by = |name: &String| m.of[name].held_by.is_some();
        let others =
            |name: &String| if held_by(name) { own[name].watermark } else { graph.raised_by_others(name, &own) };
        let mut after: Marks = own.keys().map(|name| (name.clone(), others(name))).collect();
        let mut why: BTreeMap<&String, &str> =
            own.keys().filter(|name| after[*name] > own[*name].watermark).map(|name| (name, "OtherSources")).collect();
        let parts: BTreeSet<BTreeSet<String>> = graph.sources.iter().map(|source| graph.part(&source.name)).collect();
        for part in parts {
            let moved: BTreeSet<&str> = part
                .iter()
                .filter_map(|name| m.of[name].moved_by.as_deref())
                .filter(|why| *why != "OtherSources")
                .collect();
            let Some(by) = moved.first().copied() else { continue };
            let Some(limit) = self.limit(m, &part, by, read) else { continue };
            let raised = self.last_to_leave(&part, limit, rows, before, &after);
            let Some(raised) = raised.max(self.further_at_end(m, &part, by, raised)) else { continue };
            for name in own.keys().filter(|name| part.contains(*name)) {
                if !held_by(name) && after[name] < Some(raised) {
                    after.insert(name.clone(), Some(raised));
                    why.insert(name, by);
                }
            }
        }
        for name in own.keys() {
            let by = why.get(name).map(|by| (*by).to_owned());
            if let Some(by) = &by {
                self.out.moved.entry(by.clone()).or_default().push(m.epoch());
            }
            self.expect(m.epoch(), &format!("what moved the watermark of {name}"), &by, &m.of[name].moved_by);
        }
        after
    }

    /// A source's watermark by its own records: the least over the partitions that are not idle; if all are idle, the
    /// greatest.
    fn own(&self, source: &Source, m: &Manifest) -> Own {
        let said = &m.of[&source.name];
        let before = self.sources[&source.name];
        if source.is_timed_by_clock() {
            return Own { watermark: before.max(Some(m.whole.clock_us)), idle: false };
        }
        let of = |p: &Partition| self.partitions[&(source.name.clone(), p.place())];
        let busy = said.partitions.iter().filter(|p| !p.idle).map(of).min();
        let idle = busy.is_none();
        let watermark = match said.held_by.as_deref() {
            None => before.max(busy.unwrap_or_else(|| said.partitions.iter().map(of).max().flatten())),
            Some("Discovery") => before,
            Some(other) => panic!("epoch {}: what is `{other}`?", m.epoch()),
        };
        Own { watermark, idle }
    }

    /// Up to where the watermarks of a part may be raised.
    fn limit(&mut self, m: &Manifest, part: &BTreeSet<String>, by: &str, read: &BTreeMap<String, u64>) -> Option<i64> {
        match by {
            // Far beyond any event time.
            "EndOfRun" => Some(i64::MAX / 2),
            "Clock" => {
                let of_part = self.graph.sources.iter().filter(|source| part.contains(&source.name));
                let after_us: Option<Vec<i64>> =
                    of_part.map(|source| source.event_time.as_ref()?.close_idle_windows_after_us).collect();
                let is_quiet = |name: &String| read[name] == 0 && m.of[name].partitions.iter().all(|p| p.idle);
                let quiet = part.iter().all(is_quiet);
                self.expect(m.epoch(), &format!("{part:?} are quiet where the clock closes windows"), &quiet, &true);
                self.expect(m.epoch(), "all may be closed by the clock", &after_us.is_some(), &true);
                after_us?.into_iter().max().map(|after_us| m.whole.clock_us - after_us)
            }
            other => panic!("epoch {}: what is `{other}`?", m.epoch()),
        }
    }

    /// The watermark at which the last of what would leave by the limit leaves.
    fn last_to_leave(
        &self,
        part: &BTreeSet<String>,
        limit: i64,
        rows: &BTreeMap<String, Vec<Tuple>>,
        before: &Marks,
        after: &Marks,
    ) -> Option<i64> {
        let graph = self.graph;
        let raise = |(name, watermark): (&String, &Option<i64>)| {
            (name.clone(), if part.contains(name) { (*watermark).max(Some(limit)) } else { before[name] })
        };
        let raised = graph.marks(&after.iter().map(raise).collect());
        // Other parts have nothing to do with this one, and stand still.
        let rows =
            rows.iter().map(|(name, all)| (name.clone(), if part.contains(name) { all.clone() } else { vec![] }));
        let advanced = graph.advance(&mut self.held.clone(), &rows.collect(), before, &raised);
        advanced.leaves_at.into_iter().max()
    }

    /// Where the end of a run has moved the watermark, if that is further than anything made it. The engine reckons
    /// with what rows that wait could lead to in the steps behind, and not every row gets that far; but no row leads
    /// further than to all sizes and gaps behind it.
    fn further_at_end(&self, m: &Manifest, part: &BTreeSet<String>, by: &str, raised: Option<i64>) -> Option<i64> {
        let newest = self.newest.filter(|_| by == "EndOfRun")?;
        let furthest = newest + self.graph.steps.iter().map(|step| step.operation.stays_us()).sum::<i64>();
        let said = part.iter().filter_map(|name| m.of[name].watermark_after_us).max()?;
        (Some(said) > raised && said <= furthest).then_some(said)
    }

    /// Puts what left into the sinks' tables.
    fn give(&mut self, m: &Manifest, advanced: &Advanced) {
        for sink in &self.graph.sinks {
            let rows = match late_of(&sink.from, advanced) {
                Some(late) => late,
                None => advanced.rows[&sink.from].iter().map(|tuple| to_json(&tuple.row)).collect(),
            };
            if sink.mode == Mode::Append {
                let committed = m.of[&sink.name].committed_rows;
                self.expect(m.epoch(), &format!("rows for {}", sink.name), &(rows.len() as u64), &committed);
                self.out.tables.entry(sink.name.clone()).or_default().extend(rows.iter().cloned());
            }
            self.out.emitted.entry(m.epoch()).or_default().insert(sink.name.clone(), rows);
        }
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, epoch: u64, what: &str, derived: &T, manifest: &T) {
        if derived != manifest {
            self.out
                .contradictions
                .push(format!("epoch {epoch}: {what}: derived {derived:?}, the manifest says {manifest:?}"));
        }
    }
}

fn tuple_of(source: &Source, p: &Partition, offset: i64, tuple: Tuple) -> Tuple {
    let origin = Origin {
        source: source.name.clone(),
        topic: p.topic.clone(),
        partition: p.partition,
        offset,
        positions: Vec::new(),
    };
    Tuple { origin: Some(origin), ..tuple }
}
