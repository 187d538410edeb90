//! Partial aggregates of one epoch. Senders make them row by row. Workers merge them into the windows. For windows that
//! stay open, the merged values are also the change of state that goes into the checkpoint.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use weir_plan::aggregate::Aggregate;

use super::assign::Assigner;
use crate::failure::{Failure, Result};
use crate::keyed::aggregate::group_table::GroupTable;
use crate::keyed::{Prepared, Sender};
use crate::state::Entries;

/// What one lane, or one step behind another window, has seen of an aggregate's input in the open epoch.
pub(super) struct Partials {
    aggregate: Arc<Aggregate>,
    assigner: Assigner,
    table: GroupTable,
}

impl Partials {
    pub fn new(aggregate: Arc<Aggregate>, assigner: Assigner) -> Result<Self> {
        let table = new_table(&aggregate, assigner)?;
        Ok(Self { aggregate, assigner, table })
    }
}

impl Sender for Partials {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        self.table.update(&rows.keys, rows.rows, &rows.arguments)
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        let fresh = new_table(&self.aggregate, self.assigner)?;
        let full = std::mem::replace(&mut self.table, fresh);
        if full.groups() == 0 {
            return Ok(Vec::new());
        }
        let (mut keys, values) = full.drain()?;
        let of_slice = keys.split_off(self.aggregate.group_by.len());
        let leaves = match &of_slice[..] {
            [_, leaves] => leaves.as_primitive::<Int64Type>().values().to_vec(),
            [starts] => self.assigner.leaves_of(starts.as_primitive::<Int64Type>().values()),
            _ => return Err(Failure::bug("partial aggregates without windows")),
        };
        keys.extend(of_slice.into_iter().take(1));
        let times = Int64Array::from_iter_values(leaves.into_iter().map(|leaves_us| leaves_us.saturating_sub(1)));
        Ok(vec![Entries { times, deleted: None, keys, values }])
    }

    fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

/// A table by group columns and slice: its start and, if that does not follow from it, the time at which it leaves.
fn new_table(aggregate: &Aggregate, assigner: Assigner) -> Result<GroupTable> {
    let keys = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone());
    let of_slice = match assigner {
        Assigner::ByTime(_) => 1,
        Assigner::ByBounds { .. } => 2,
    };
    let of_slice = std::iter::repeat_n(DataType::Int64, of_slice);
    GroupTable::new(&keys.chain(of_slice).collect::<Vec<_>>(), &aggregate.calls)
}
