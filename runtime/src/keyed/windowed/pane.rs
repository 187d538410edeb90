//! The groups of one slice of time. While rows come, they are a table. Once a window was made of them that others
//! overlap, they are parts: partial states that can be merged again and again.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use arrow::datatypes::DataType;
use weir_plan::aggregate::Aggregate;

use crate::failure::Result;
use crate::keyed::aggregate::group_table::GroupTable;

/// How many parts a pane has before they are merged into one.
const PARTS_MAX: usize = 8;

/// Makes empty tables of an aggregate's groups.
pub(super) struct NewTable {
    key_types: Vec<DataType>,
    aggregate: Arc<Aggregate>,
}

impl NewTable {
    pub fn of(aggregate: &Arc<Aggregate>) -> Self {
        let key_types = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        Self { key_types, aggregate: Arc::clone(aggregate) }
    }

    pub fn make(&self) -> Result<GroupTable> {
        GroupTable::new(&self.key_types, &self.aggregate.calls)
    }
}

/// Groups with the partial states of their calls. No group is in a part twice.
pub(super) struct Part {
    keys: Vec<ArrayRef>,
    rows: usize,
    states: Vec<ArrayRef>,
}

impl Part {
    fn of(table: GroupTable) -> Result<Self> {
        let rows = table.groups();
        let (keys, states) = table.drain()?;
        Ok(Self { keys, rows, states })
    }

    pub fn merge_into(&self, table: &mut GroupTable) -> Result<()> {
        table.merge(&self.keys, self.rows, &self.states)
    }

    fn bytes(&self) -> usize {
        self.keys.iter().chain(&self.states).map(|column| column.get_array_memory_size()).sum()
    }
}

#[derive(Default)]
pub(super) struct Pane {
    /// What has come since the pane was cut into parts.
    fresh: Option<GroupTable>,
    /// A group may be in several of them.
    parts: Vec<Part>,
}

impl Pane {
    /// A pane that holds what the table does.
    pub fn of(table: GroupTable) -> Result<Self> {
        Ok(Self { fresh: None, parts: vec![Part::of(table)?] })
    }

    /// Merges partial states into the pane.
    pub fn merge(&mut self, keys: &[ArrayRef], rows: usize, states: &[ArrayRef], new: &NewTable) -> Result<()> {
        if self.fresh.is_none() {
            self.fresh = Some(new.make()?);
        }
        self.fresh.as_mut().map_or(Ok(()), |table| table.merge(keys, rows, states))
    }

    /// All that the pane holds, as parts. The pane keeps them.
    pub fn parts(&mut self, new: &NewTable) -> Result<&[Part]> {
        if let Some(fresh) = self.fresh.take() {
            self.parts.push(Part::of(fresh)?);
        }
        if self.parts.len() > PARTS_MAX {
            let mut whole = new.make()?;
            self.parts.drain(..).try_for_each(|part| part.merge_into(&mut whole))?;
            self.parts.push(Part::of(whole)?);
        }
        Ok(&self.parts)
    }

    /// All that the pane holds, as a table.
    pub fn into_table(self, new: &NewTable) -> Result<GroupTable> {
        let mut table = self.fresh.map_or_else(|| new.make(), Ok)?;
        self.parts.iter().try_for_each(|part| part.merge_into(&mut table))?;
        Ok(table)
    }

    /// The number of groups. One that is in several parts is counted in each.
    pub fn groups(&self) -> usize {
        let fresh = self.fresh.as_ref().map_or(0, GroupTable::groups);
        fresh + self.parts.iter().map(|part| part.rows).sum::<usize>()
    }

    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let fresh = self.fresh.as_ref().map_or(0, GroupTable::bytes);
        fresh + self.parts.iter().map(Part::bytes).sum::<usize>()
    }
}
