//! The state of an aggregate over windows. Partial values wait until their epoch closes, and are merged then.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_plan::aggregate::Aggregate;

use super::assign::Assigner;
use super::slices::Slices;
use crate::failure::Result;
use crate::keyed::aggregate::due::Due;
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

pub(super) struct Operator {
    /// The entries of the open epoch.
    arrived: Vec<Grouped>,
    slices: Slices,
    /// The watermark (µs) at which the last epoch was closed.
    after_us: Option<i64>,
    /// The window that is over and whose rows are being given.
    closing: Option<Due>,
}

impl Operator {
    pub fn new(aggregate: Arc<Aggregate>, assigner: Assigner, table: Arc<TableSchema>) -> Self {
        Self { arrived: Vec::new(), slices: Slices::new(aggregate, assigner, table), after_us: None, closing: None }
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.arrived.push(entries);
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.after_us = marks.after_us[0];
        self.slices.settle(std::mem::take(&mut self.arrived), marks.before_us[0], self.after_us)
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        loop {
            if let Some(window) = &mut self.closing
                && let Some(rows) = window.next(check)?
            {
                return Ok(Some(rows));
            }
            self.closing = match self.after_us {
                Some(watermark_us) => self.slices.close_next(watermark_us)?,
                None => None,
            };
            if self.closing.is_none() {
                return Ok(None);
            }
        }
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.slices]
    }

    fn leaves_by(&self, before_us: &[Option<i64>], limit_us: i64) -> Result<Option<Leaving>> {
        let arrived = self.arrived.iter().map(|arrived| &arrived.entries);
        let of_arrived = arrived.filter_map(|entries| self.slices.last_end_in(entries, limit_us)).max();
        let last = of_arrived.max(self.slices.last_end_by(limit_us));
        // Windows that overlap may have closed before their slices leave.
        Ok(last.filter(|last| before_us[0].is_none_or(|watermark_us| *last > watermark_us)).map(leaving))
    }

    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        Some(self.slices.open().map(|window| (window.start_us, window.end_us)).collect())
    }

    fn bytes(&self) -> usize {
        self.arrived.iter().map(Grouped::bytes).sum::<usize>() + self.closing.as_ref().map_or(0, Due::bytes)
    }
}

/// When a window with this end leaves. Its rows have its last moment as their time.
pub(super) fn leaving(end_us: i64) -> Leaving {
    Leaving { at_us: end_us, newest_us: end_us.saturating_sub(1) }
}
