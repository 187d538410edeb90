//! Compares what manifests say of offsets, sources and steps with what the oracle derived.

use std::collections::BTreeMap;

use super::State;
use crate::oracle::graph::advance::Advanced;
use crate::oracle::graph::manifest::Manifest;
use crate::oracle::graph::marks::Marks;
use crate::oracle::graph::source::Source;
use crate::oracle::graph::step::Operation;
use crate::oracle::graph::tuple::Tuple;

impl State<'_> {
    /// Checks that nothing is read twice and nothing is left out, whichever process wrote the manifest, and that an
    /// idle partition had nothing more to read when the epoch read its clock.
    pub(super) fn check_positions(&mut self, m: &Manifest) {
        for source in &self.graph.sources {
            for p in &m.of[&source.name].partitions {
                let what = format!("partition {} of {}", p.partition, source.name);
                let begins = if m.whole.is_claim { p.end } else { p.start };
                if let Some(known) = self.positions.insert((source.name.clone(), p.place()), p.end) {
                    self.expect(m.epoch(), &format!("start of {what}"), &known, &begins);
                }
                let none = (p.lost.len(), p.unreadable.len());
                self.expect(m.epoch(), &format!("lost or unreadable ranges of {what}"), &(0, 0), &none);
                let is_there = |at: &i64| *at <= m.whole.clock_us;
                let records = self.records.get(&p.topic).and_then(|all| all.get(&p.partition));
                let unread = records
                    .into_iter()
                    .flat_map(|all| all.range(p.end..))
                    .find(|(_, record)| record.acknowledged_us.as_ref().is_some_and(is_there));
                let unread = unread.filter(|_| p.idle).map(|(offset, _)| *offset);
                self.expect(m.epoch(), &format!("unread record of the idle {what}"), &unread, &None);
            }
        }
    }

    /// Checks the time of a source's rows, if it is the clock's: one reading for all sources, not before the end of the
    /// epoch before and not after that of this one.
    pub(super) fn check_reading(&mut self, source: &Source, m: &Manifest, before: &Marks, has_rows: bool) {
        let (name, reading) = (&source.name, m.of[&source.name].processing_time_us);
        if !source.is_timed_by_clock() {
            return self.expect(m.epoch(), &format!("reading of {name}, which goes by its records"), &None, &reading);
        }
        let idle = m.of[name].partitions.iter().filter(|p| p.idle).count();
        self.expect(m.epoch(), &format!("idle partitions of {name}"), &0, &idle);
        let Some(reading) = reading else {
            return self.expect(m.epoch(), &format!("{name} has rows without a reading"), &false, &has_rows);
        };
        let before_us = before[name].unwrap_or(i64::MIN);
        let within = before_us..=before_us.max(m.whole.clock_us);
        self.expect(m.epoch(), &format!("{reading} for {name} lies in {within:?}"), &true, &within.contains(&reading));
        if reading > before_us {
            let of_epoch = *self.reading.entry(m.epoch()).or_insert(reading);
            self.expect(m.epoch(), &format!("reading of {name}"), &of_epoch, &reading);
        }
    }

    /// Checks that an epoch without records was due for another reason than the clock's progress: something left,
    /// another watermark moved, or a run was over.
    pub(super) fn check_due(&mut self, m: &Manifest, before: &Marks, after: &Marks, advanced: &Advanced) {
        let mut of_sources = self.graph.sources.iter().map(|source| {
            let read = m.of[&source.name].partitions.iter().any(|p| p.end > p.start);
            read || (!source.is_timed_by_clock() && before[&source.name] != after[&source.name])
        });
        let is_due = of_sources.any(|of_source| of_source) || m.whole.reaches_end || !advanced.leaves_at.is_empty();
        self.expect(m.epoch(), "whether the epoch was due", &true, &is_due);
    }

    pub(super) fn check_sources(
        &mut self,
        m: &Manifest,
        before: &Marks,
        after: &Marks,
        rows: &BTreeMap<String, Vec<Tuple>>,
        advanced: &Advanced,
    ) {
        for source in &self.graph.sources {
            let (name, said) = (&source.name, &m.of[&source.name]);
            let around = (before[name], after[name]);
            let says = (said.watermark_before_us, said.watermark_after_us);
            self.expect(m.epoch(), &format!("watermarks of {name}"), &around, &says);
            let filtered = advanced.filtered.get(name).copied().unwrap_or_default();
            self.expect(m.epoch(), &format!("rows of {name} filtered"), &filtered, &said.filtered);
            self.totals.filtered += filtered;
            debug_assert_eq!(rows[name].len(), advanced.rows[name].len());
        }
    }

    pub(super) fn check_steps(&mut self, m: &Manifest, before: &Marks, after: &Marks, advanced: &Advanced) {
        let graph = self.graph;
        self.expect(m.epoch(), "rows that could not be computed", &advanced.bad, &m.whole.rows_bad);
        for said in &advanced.contradictions {
            self.out.contradictions.push(format!("epoch {}: {said}", m.epoch()));
        }
        for step in graph.steps.iter().filter(|step| step.operation.is_keyed()) {
            let (name, said, turn) = (&step.name, &m.of[&step.name], &advanced.turns[&step.name]);
            let (came, out) = (advanced.came[name], advanced.rows[name].len() as u64);
            let around = (graph.input_mark(name, before), graph.input_mark(name, after));
            for (what, derived, says) in
                [("in", came, said.rows_in), ("late", turn.rows_late, said.rows_late), ("out", out, said.rows_out)]
            {
                self.expect(m.epoch(), &format!("rows of {name} {what}"), &derived, &says);
            }
            self.expect(m.epoch(), &format!("watermarks of {name}"), &vec![around], &said.inputs_us);
            if let Operation::Aggregate(aggregation) = &step.operation {
                let kept = |(entries, _): &(u64, _)| turn.groups.unwrap_or(*entries);
                let tables: Vec<_> =
                    said.tables_of_steps.iter().map(|table| (kept(table), aggregation.horizon_us(around.1))).collect();
                self.expect(m.epoch(), &format!("what {name} keeps"), &tables, &said.tables_of_steps);
            }
            if let Some(open) = turn.open_windows {
                self.expect(m.epoch(), &format!("open windows of {name}"), &open, &said.open_windows);
            }
            self.check_equation(m.epoch(), name, &step.operation, advanced);
            self.totals.late += turn.rows_late;
            *self.out.late.entry(name.clone()).or_default() += turn.rows_late;
            *self.out.duplicates.entry(name.clone()).or_default() += turn.duplicates;
            self.out.waiting.insert(name.clone(), turn.waiting);
        }
    }

    /// What a step took in is what it gave, what it holds, and what was late, a duplicate or bad.
    fn check_equation(&mut self, epoch: u64, name: &str, operation: &Operation, advanced: &Advanced) {
        let turn = &advanced.turns[name];
        let held_before = self.out.waiting.get(name).copied().unwrap_or_default();
        let waits = match operation {
            Operation::Over(_) | Operation::Deduplicate(_) => true,
            Operation::Aggregate(_) | Operation::Top(_) | Operation::Map(..) => false,
            Operation::Union(_) | Operation::Unnest(_) => false,
        };
        if waits {
            let come = advanced.came[name] + held_before;
            let bad = turn.bad - turn.refused;
            let gone = advanced.rows[name].len() as u64 + turn.duplicates + turn.rows_late + bad + turn.waiting;
            self.expect(epoch, &format!("rows into {name} and rows that left it"), &come, &gone);
        }
    }
}
