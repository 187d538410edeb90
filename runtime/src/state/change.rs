//! What an epoch changes of a table: what all lanes have, each time and key once, in the order of state files.
//!
//! Equal keys are found by sorting, not by another hash table: the rows have to be sorted for the file anyway, and then they are neighbours.

use arrow::array::UInt16Array;
use weir_plan::key_group::{KEY_GROUPS, key_groups};

use super::entries::{Entries, selected};
use super::order::Order;
use super::schema::TableSchema;
use crate::failure::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Change {
    /// Of each row.
    pub key_groups: UInt16Array,
    /// Sorted by key group, time, keys.
    pub entries: Entries,
}

impl Change {
    /// Merges what lanes, or files, have; `None` if that is nothing.
    pub fn of(table: &TableSchema, parts: &[Entries]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let all = Entries::joined(&parts)?;
        let groups = key_groups(&all.keys[..table.hashed], all.rows()).map_err(|e| Failure::bug(format!("key groups: {e}")))?;
        let order = Order::of(&groups, KEY_GROUPS, all.times.values(), &all.keys)?;
        let (first, entries) = if order.distinct == all.rows() {
            let sorted = all.select(&order.rows)?;
            (order.rows, sorted)
        } else {
            let values = table.combine.combine(&selected(&all.values, &order.rows)?, &order.numbers, order.distinct)?;
            let firsts = order.firsts();
            let places = Entries { values: Vec::new(), ..all }.select(&firsts)?;
            (firsts, Entries { values, ..places })
        };
        let key_groups = first.values().iter().map(|row| groups[*row as usize]).collect::<Vec<_>>().into();
        Ok(Some(Self { key_groups, entries }))
    }

    /// A stretch of the rows, not copied.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        Self { key_groups: self.key_groups.slice(from, rows), entries: self.entries.slice(from, rows) }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.entries.rows()
    }
}
