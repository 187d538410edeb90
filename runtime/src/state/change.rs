//! The change that an epoch makes to a table: each time and key appears once, in the order of state files.
//!
//! Equal keys are found by sorting, without another hash table: the rows have to be sorted for the file anyway, and
//! equal keys are neighbours after that.

use arrow::array::{Array as _, UInt16Array, UInt32Array};
use weir_plan::key_group::KEY_GROUPS;

use super::entries::{Entries, selected};
use super::grouped::Grouped;
use super::order::Order;
use super::schema::{Kind, TableSchema};
use crate::failure::Result;

#[derive(Debug, Clone)]
pub struct Change {
    /// One per row.
    pub key_groups: UInt16Array,
    /// Sorted by key group, time, keys.
    pub entries: Entries,
}

impl Change {
    /// Merges entries and computes their key groups. Returns `None` if there are no entries. In a table of rows, the
    /// last entry of a time and key counts, so older entries come first in `parts`.
    pub fn of(table: &TableSchema, parts: &[Entries]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let all = Grouped::of(Entries::joined(&parts)?, table.hashed)?;
        Self::sorted(table, all.key_groups.values(), all.entries).map(Some)
    }

    /// Like [`Change::of`], for entries whose key groups are known.
    pub fn of_grouped(table: &TableSchema, parts: &[Grouped]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let mut groups: Vec<u16> = Vec::with_capacity(parts.iter().map(|part| part.rows()).sum());
        parts.iter().for_each(|part| groups.extend_from_slice(part.key_groups.values()));
        let all = Entries::joined(&parts.iter().map(|part| &part.entries).collect::<Vec<_>>())?;
        Self::sorted(table, &groups, all).map(Some)
    }

    fn sorted(table: &TableSchema, groups: &[u16], all: Entries) -> Result<Self> {
        let order = Order::of(groups, KEY_GROUPS, all.times.values(), &all.keys)?;
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
        Ok(Self { key_groups, entries })
    }

    /// Drops the deletes. Call it on the oldest change only: nothing older exists that a delete could hide. Returns
    /// `None` if no entry remains.
    pub(super) fn without_deletes(self) -> Result<Option<Self>> {
        let kept: UInt32Array =
            (0u32..).take(self.rows()).filter(|row| !self.entries.is_deleted(*row as usize)).collect();
        if kept.len() == self.rows() {
            return Ok(Some(self));
        }
        let key_groups: Vec<_> = kept.values().iter().map(|row| self.key_groups.value(*row as usize)).collect();
        let left = Self { key_groups: key_groups.into(), entries: self.entries.select(&kept)? };
        Ok((left.rows() > 0).then_some(left))
    }

    /// A range of the rows, not copied.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        Self { key_groups: self.key_groups.slice(from, rows), entries: self.entries.slice(from, rows) }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.entries.rows()
    }

    /// Heap memory held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key_groups.get_array_memory_size() + self.entries.bytes()
    }
}
