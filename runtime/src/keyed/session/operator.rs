//! The state of an aggregate over sessions. Fragments wait until their epoch closes, and are joined then.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_plan::aggregate::Aggregate;

use super::sessions::Sessions;
use crate::failure::Result;
use crate::keyed::aggregate::due::{Due, WindowOf};
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

pub(super) struct Operator {
    aggregate: Arc<Aggregate>,
    schema: SchemaRef,
    /// The fragments of the open epoch.
    arrived: Vec<Grouped>,
    sessions: Sessions,
    /// Sessions that are over and whose rows are being given.
    closing: Option<Due>,
}

impl Operator {
    pub fn new(aggregate: Arc<Aggregate>, table: Arc<TableSchema>) -> Result<Self> {
        let sessions = Sessions::new(Arc::clone(&aggregate), table)?;
        Ok(Self { schema: aggregate.output_schema(), arrived: Vec::new(), sessions, closing: None, aggregate })
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.arrived.push(entries);
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.sessions.settle(&std::mem::take(&mut self.arrived), marks.after_us[0])
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        loop {
            if let Some(closing) = &mut self.closing
                && let Some(rows) = closing.next(check)?
            {
                return Ok(Some(rows));
            }
            let closed = self.sessions.close_some()?;
            let (aggregate, schema) = (&self.aggregate, &self.schema);
            let own = |groups| Due::new(Arc::clone(aggregate), Arc::clone(schema), WindowOf::Each, groups);
            self.closing = closed.map(own);
            if self.closing.is_none() {
                return Ok(None);
            }
        }
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.sessions]
    }

    fn leaves_by(&self, _before_us: &[Option<i64>], limit_us: i64) -> Result<Option<Leaving>> {
        Ok(self.sessions.last_end_by(&self.arrived, limit_us.saturating_sub(1))?.map(leaving))
    }

    /// There may be as many as keys, so they are not listed: the table's entries count them.
    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        None
    }

    fn bytes(&self) -> usize {
        self.arrived.iter().map(Grouped::bytes).sum::<usize>() + self.closing.as_ref().map_or(0, Due::bytes)
    }
}

/// When a session with this end leaves: a row exactly a gap after its last one still belongs to it. Its row has the
/// moment before its end as its time.
pub(super) fn leaving(end_us: i64) -> Leaving {
    Leaving { at_us: end_us.saturating_add(1), newest_us: end_us.saturating_sub(1) }
}
