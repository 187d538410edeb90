//! What an epoch changes of a table: each time and key once, in the order of state files.
//!
//! Equal keys are found by sorting, not by another hash table: the rows have to be sorted for the file anyway, and then they are neighbours.

use arrow::array::{UInt16Array, UInt32Array};
use weir_plan::key_group::{KEY_GROUPS, key_groups};

use super::entries::{Entries, selected};
use super::order::Order;
use super::schema::{Kind, TableSchema};
use crate::failure::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Change {
    /// Of each row.
    pub key_groups: UInt16Array,
    /// Sorted by key group, time, keys.
    pub entries: Entries,
}

impl Change {
    /// Merges what lanes, or files, have; `None` if that is nothing. Of rows, the last one of a time and key counts: what is older comes first.
    pub fn of(table: &TableSchema, parts: &[Entries]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let all = Entries::joined(&parts)?;
        let groups = key_groups(&all.keys[..table.hashed], all.rows()).map_err(|e| Failure::bug(format!("key groups: {e}")))?;
        let order = Order::of(&groups, KEY_GROUPS, all.times.values(), &all.keys)?;
        let (of_each, entries) = match &table.kind {
            _ if order.distinct == all.rows() => {
                let sorted = all.select(&order.rows)?;
                (order.rows, sorted)
            }
            Kind::Merge(combine) => {
                let values = combine.combine(&selected(&all.values, &order.rows)?, &order.numbers, order.distinct)?;
                let firsts = order.firsts();
                let places = Entries { values: Vec::new(), ..all }.select(&firsts)?;
                (firsts, Entries { values, ..places })
            }
            Kind::Rows => {
                let lasts = order.by_arrival().lasts();
                let newest = all.select(&lasts)?;
                (lasts, newest)
            }
        };
        let key_groups = of_each.values().iter().map(|row| groups[*row as usize]).collect::<Vec<_>>().into();
        Ok(Some(Self { key_groups, entries }))
    }

    /// What is left of the oldest change there is: nothing older is there for a delete to hide. `None` if that is nothing.
    pub(super) fn without_deletes(self) -> Result<Option<Self>> {
        let kept: UInt32Array = (0u32..).take(self.rows()).filter(|row| !self.entries.is_deleted(*row as usize)).collect();
        if kept.len() == self.rows() {
            return Ok(Some(self));
        }
        let key_groups: Vec<_> = kept.values().iter().map(|row| self.key_groups.value(*row as usize)).collect();
        let left = Self { key_groups: key_groups.into(), entries: self.entries.select(&kept)? };
        Ok((left.rows() > 0).then_some(left))
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
