//! What crosses the edge to a keyed step in an epoch, cut by the key groups of each worker, and the counts of the rows
//! that it was made from.

use weir_plan::key_group::KeyRanges;

use super::{KeyedStep, Prepared, Sender};
use crate::failure::Result;
use crate::state::Grouped;

/// A sender that counts rows and distributes entries to workers.
pub struct EdgeSender {
    sender: Box<dyn Sender>,
    /// How many key columns decide the key group.
    hashed: usize,
    ranges: KeyRanges,
    counts: EdgeCounts,
}

/// What an edge brings in an epoch.
#[derive(Debug, Default)]
pub struct EdgeReport {
    /// One list per worker.
    pub entries: Vec<Vec<Grouped>>,
    pub counts: EdgeCounts,
}

/// How many rows came to the edge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EdgeCounts {
    /// Including late rows.
    pub rows_in: u64,
    pub rows_late: u64,
}

impl EdgeSender {
    /// A sending end of the edge to an input of `step`. The workers have these ranges of key groups.
    pub fn new(step: &dyn KeyedStep, input: usize, ranges: KeyRanges) -> Result<Self> {
        Ok(Self { sender: step.sender(input)?, hashed: step.hashed(), ranges, counts: EdgeCounts::default() })
    }

    pub fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        self.counts.add(EdgeCounts { rows_in: rows.rows as u64 + rows.late, rows_late: rows.late });
        if rows.rows == 0 {
            return Ok(());
        }
        self.sender.take_in(rows)
    }

    /// Heap memory held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sender.bytes()
    }

    /// Hands out what was taken in, and starts empty again.
    pub fn end_epoch(&mut self) -> Result<EdgeReport> {
        let counts = std::mem::take(&mut self.counts);
        let mut of_workers = vec![Vec::new(); self.ranges.workers()];
        for entries in self.sender.drain()? {
            let parts = Grouped::of(entries, self.hashed)?.cut(self.ranges)?;
            let parts = of_workers.iter_mut().zip(parts);
            parts.filter(|(_, part)| part.rows() > 0).for_each(|(of_worker, part)| of_worker.push(part));
        }
        Ok(EdgeReport { entries: of_workers, counts })
    }
}

impl EdgeReport {
    /// Adds the report of another sender of the same edge.
    pub fn add(&mut self, other: Self) {
        self.entries.resize_with(self.entries.len().max(other.entries.len()), Vec::new);
        self.entries.iter_mut().zip(other.entries).for_each(|(ours, others)| ours.extend(others));
        self.counts.add(other.counts);
    }
}

impl EdgeCounts {
    /// Adds the counts of another end of the same edge.
    pub fn add(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows_late += other.rows_late;
    }
}
