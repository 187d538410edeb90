//! What crosses the edge to a keyed step in an epoch, and the counts of the rows behind it.

use super::{Prepared, Sender};
use crate::failure::Result;
use crate::state::Entries;

/// A sender that counts.
pub struct EdgeSender {
    sender: Box<dyn Sender>,
    counts: EdgeCounts,
}

/// What an edge brings in an epoch.
#[derive(Debug, Default)]
pub struct EdgeReport {
    pub entries: Vec<Entries>,
    pub counts: EdgeCounts,
}

/// The rows behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EdgeCounts {
    /// Late ones included.
    pub rows_in: u64,
    pub rows_late: u64,
}

impl EdgeSender {
    #[must_use]
    pub fn new(sender: Box<dyn Sender>) -> Self {
        Self { sender, counts: EdgeCounts::default() }
    }

    pub fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        self.counts.add(EdgeCounts { rows_in: rows.rows as u64 + rows.late, rows_late: rows.late });
        if rows.rows == 0 {
            return Ok(());
        }
        self.sender.take_in(rows)
    }

    /// Heap bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sender.bytes()
    }

    /// Hands out what was taken in, and starts over.
    pub fn end_epoch(&mut self) -> Result<EdgeReport> {
        let counts = std::mem::take(&mut self.counts);
        Ok(EdgeReport { entries: self.sender.drain()?, counts })
    }
}

impl EdgeReport {
    /// Adds what another sender of the same edge has.
    pub fn add(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.counts.add(other.counts);
    }
}

impl EdgeCounts {
    /// Adds those of another end of the same edge.
    pub fn add(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows_late += other.rows_late;
    }
}
