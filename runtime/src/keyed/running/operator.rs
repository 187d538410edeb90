//! The state of a running aggregate. Partial values wait until their epoch closes, and are merged then.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_plan::aggregate::Aggregate;

use super::groups::Groups;
use super::step::Gives;
use crate::failure::Result;
use crate::keyed::aggregate::due::{Due, WindowOf};
use crate::keyed::aggregate::segments::Place;
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows};

/// How many groups' rows are made at a time. Their states are in memory twice meanwhile.
const GIVEN_AT_ONCE: usize = 1 << 16;

pub(super) struct Operator {
    aggregate: Arc<Aggregate>,
    schema: SchemaRef,
    expire_after_us: Option<i64>,
    gives: Gives,
    /// The partial values of the open epoch.
    arrived: Vec<Grouped>,
    groups: Groups,
    /// The groups whose rows are still to be given.
    to_give: Vec<Place>,
    giving: Option<Due>,
}

impl Operator {
    pub fn new(
        aggregate: Arc<Aggregate>,
        table: Arc<TableSchema>,
        expire_after_us: Option<i64>,
        gives: Gives,
    ) -> Result<Self> {
        let groups = Groups::new(Arc::clone(&aggregate), table)?;
        let (schema, arrived, to_give) = (aggregate.output_schema(), Vec::new(), Vec::new());
        Ok(Self { aggregate, schema, expire_after_us, gives, arrived, groups, to_give, giving: None })
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.arrived.push(entries);
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        if let Some((watermark_us, after_us)) = marks.before_us[0].zip(self.expire_after_us) {
            self.groups.forget_before(watermark_us.saturating_sub(after_us));
        }
        let changed = self.groups.merge(&std::mem::take(&mut self.arrived))?;
        self.to_give = match self.gives {
            Gives::Changed => changed,
            Gives::All => self.groups.all(),
        };
        Ok(())
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        loop {
            if let Some(giving) = &mut self.giving
                && let Some(rows) = giving.next(check)?
            {
                return Ok(Some(rows));
            }
            let some = self.to_give.split_off(self.to_give.len().saturating_sub(GIVEN_AT_ONCE));
            if some.is_empty() {
                self.giving = None;
                return Ok(None);
            }
            let (aggregate, schema) = (Arc::clone(&self.aggregate), Arc::clone(&self.schema));
            self.giving = Some(Due::new(aggregate, schema, WindowOf::None, self.groups.at(&some)?));
        }
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.groups]
    }

    /// Nothing waits for a watermark, and nothing behind goes by event time.
    fn leaves_by(&self, _before_us: &[Option<i64>], _limit_us: i64) -> Result<Option<Leaving>> {
        Ok(None)
    }

    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        None
    }

    fn bytes(&self) -> usize {
        self.arrived.iter().map(Grouped::bytes).sum::<usize>()
            + self.to_give.capacity() * size_of::<Place>()
            + self.giving.as_ref().map_or(0, Due::bytes)
    }
}
