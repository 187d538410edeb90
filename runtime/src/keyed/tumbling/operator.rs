//! The state of a tumbling aggregate. Partial values wait until their epoch closes, and are merged then.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_plan::aggregate::Aggregate;
use weir_plan::window::Tumbling;

use super::closing::ClosedWindow;
use super::windows::Windows;
use crate::failure::Result;
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

pub(super) struct Operator {
    /// The entries of the open epoch.
    arrived: Vec<Grouped>,
    windows: Windows,
    /// The watermark (µs) at which the last epoch was closed.
    after_us: Option<i64>,
    /// The window that is over and whose rows are being given.
    closing: Option<ClosedWindow>,
}

impl Operator {
    pub fn new(aggregate: Arc<Aggregate>, window: Tumbling, table: Arc<TableSchema>) -> Self {
        Self { arrived: Vec::new(), windows: Windows::new(aggregate, window, table), after_us: None, closing: None }
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.arrived.push(entries);
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.after_us = marks.after_us[0];
        self.windows.settle(std::mem::take(&mut self.arrived), self.after_us)
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        loop {
            if let Some(window) = &mut self.closing
                && let Some(rows) = window.next(check)?
            {
                return Ok(Some(rows));
            }
            self.closing = self.after_us.and_then(|watermark_us| self.windows.close_next(watermark_us));
            if self.closing.is_none() {
                return Ok(None);
            }
        }
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.windows]
    }

    fn leaves_by(&self, _before_us: &[Option<i64>], limit_us: i64) -> Option<Leaving> {
        let of_arrived = self
            .arrived
            .iter()
            .flat_map(|arrived| arrived.entries.times.values())
            .map(|last_moment| last_moment.saturating_add(1));
        let of_windows = self.windows.ends().take_while(|end| *end <= limit_us).last();
        of_arrived.filter(|end| *end <= limit_us).max().max(of_windows).map(leaving)
    }

    fn open_windows(&self) -> Option<BTreeSet<i64>> {
        Some(self.windows.starts().collect())
    }

    fn bytes(&self) -> usize {
        self.arrived.iter().map(Grouped::bytes).sum::<usize>() + self.closing.as_ref().map_or(0, ClosedWindow::bytes)
    }
}

/// When a window with this end leaves. Its rows have its last moment as their time.
pub(super) fn leaving(end_us: i64) -> Leaving {
    Leaving { at_us: end_us, newest_us: end_us.saturating_sub(1) }
}
