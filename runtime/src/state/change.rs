//! The change that an epoch makes to a table: each time and key appears once, in the order of state files.
//!
//! Equal keys are found by sorting, without another hash table: the rows have to be sorted for the file anyway, and
//! equal keys are neighbours after that.

use std::ops::Deref;

use weir_plan::key_group::KEY_GROUPS;

use super::entries::{Entries, selected};
use super::grouped::Grouped;
use super::order::Order;
use super::schema::{Kind, TableSchema};
use crate::failure::Result;

/// Entries that are sorted by key group, time, keys.
#[derive(Debug, Clone)]
pub struct Change(pub Grouped);

impl Deref for Change {
    type Target = Grouped;

    fn deref(&self) -> &Grouped {
        &self.0
    }
}

impl Change {
    /// Merges entries and computes their key groups. Returns `None` if there are no entries. In a table of rows, the
    /// last entry of a time and key counts, so older entries come first in `parts`.
    pub fn of(table: &TableSchema, parts: &[Entries]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        Self::sorted(table, Grouped::of(Entries::joined(&parts)?, table.hashed)?).map(Some)
    }

    /// Like [`Change::of`], for entries whose key groups are known.
    pub fn of_grouped(table: &TableSchema, parts: &[Grouped]) -> Result<Option<Self>> {
        Grouped::joined(parts)?.map(|grouped| Self::sorted(table, grouped)).transpose()
    }

    fn sorted(table: &TableSchema, Grouped { key_groups, entries: all }: Grouped) -> Result<Self> {
        let groups = key_groups.values();
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
        Ok(Self(Grouped { key_groups, entries }))
    }

    /// Drops the deletes. Call it on the oldest change only: nothing older exists that a delete could hide. Returns
    /// `None` if no entry remains.
    pub(super) fn without_deletes(self) -> Result<Option<Self>> {
        let kept: Vec<u32> = (0..).take(self.rows()).filter(|row| !self.entries.is_deleted(*row as usize)).collect();
        if kept.len() == self.rows() {
            return Ok(Some(self));
        }
        Ok(if kept.is_empty() { None } else { Some(Self(self.select(kept)?)) })
    }

    /// A range of the rows, not copied.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        Self(self.0.slice(from, rows))
    }
}
