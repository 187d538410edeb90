//! Entries with the key group of each. The code that has computed the groups passes them on, because they decide which
//! worker gets an entry and where the entry stands in a state file.

use std::ops::Range;

use arrow::array::{Array as _, BooleanArray, UInt16Array, UInt32Array};
use weir_plan::key_group::{KeyRanges, key_groups};

use super::entries::Entries;
use crate::failure::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Grouped {
    /// One per entry.
    pub key_groups: UInt16Array,
    pub entries: Entries,
}

impl Grouped {
    /// Computes the groups from the first `hashed` key columns.
    pub fn of(entries: Entries, hashed: usize) -> Result<Self> {
        let groups = key_groups(&entries.keys[..hashed], entries.rows())
            .map_err(|e| Failure::bug(format!("key groups: {e}")))?;
        Ok(Self { key_groups: groups.into(), entries })
    }

    /// Joins the parts in their order. All have the same columns. Returns `None` if there are no entries.
    pub fn joined(parts: &[Self]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let mut groups: Vec<u16> = Vec::with_capacity(parts.iter().map(|part| part.rows()).sum());
        parts.iter().for_each(|part| groups.extend_from_slice(part.key_groups.values()));
        let entries = Entries::joined(&parts.iter().map(|part| &part.entries).collect::<Vec<_>>())?;
        Ok(Some(Self { key_groups: groups.into(), entries }))
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

    /// Cuts the entries into one part per worker. Each part keeps the order of its entries. Entries that are sorted by
    /// key group are not copied.
    pub fn cut(self, ranges: KeyRanges) -> Result<Vec<Self>> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); ranges.workers()];
        if let [_] = rows[..] {
            return Ok(vec![self]);
        }
        let groups = self.key_groups.values();
        if groups.is_sorted() {
            let place = |group: u16| groups.partition_point(|other| *other < group);
            let cut = |range: Range<u16>| {
                let (from, to) = (place(range.start), place(range.end));
                self.slice(from, to - from)
            };
            return Ok((0..ranges.workers()).map(|worker| cut(ranges.range(worker))).collect());
        }
        let workers: Vec<usize> = (0..weir_plan::key_group::KEY_GROUPS).map(|group| ranges.worker(group)).collect();
        rows.iter_mut().for_each(|of_worker| of_worker.reserve(self.rows() / workers.len()));
        for (row, group) in (0u32..).zip(groups) {
            rows[workers[usize::from(*group)]].push(row);
        }
        rows.into_iter().map(|rows| self.select(rows)).collect()
    }

    /// Splits the entries into those for whose time `first` is true, and the others. The others lose their key groups,
    /// which nothing needs any more.
    pub fn split(self, mut first: impl FnMut(i64) -> bool) -> Result<(Self, Entries)> {
        let (mut these, mut those) = (Vec::new(), Vec::new());
        for (row, time) in (0u32..).zip(self.entries.times.values()) {
            if first(*time) { &mut these } else { &mut those }.push(row);
        }
        if those.is_empty() {
            let none = self.entries.slice(0, 0);
            return Ok((self, none));
        }
        if these.is_empty() {
            return Ok((self.slice(0, 0), self.entries));
        }
        Ok((self.select(these)?, self.entries.select(&UInt32Array::from(those))?))
    }

    /// Keys and times of the rows for which this is true, without values.
    pub fn filtered(&self, kept: &BooleanArray) -> Result<Self> {
        let rows = (0u32..).zip(kept.values()).filter(|(_, kept)| *kept).map(|(row, _)| row).collect();
        let Entries { times, deleted, keys, .. } = self.entries.clone();
        Self { key_groups: self.key_groups.clone(), entries: Entries { times, deleted, keys, values: Vec::new() } }
            .select(rows)
    }

    /// A range of the rows, not copied.
    pub(super) fn slice(&self, from: usize, rows: usize) -> Self {
        Self { key_groups: self.key_groups.slice(from, rows), entries: self.entries.slice(from, rows) }
    }

    /// The rows with these indices, in that order.
    pub(super) fn select(&self, rows: Vec<u32>) -> Result<Self> {
        let groups = self.key_groups.values();
        let key_groups = UInt16Array::from_iter_values(rows.iter().map(|row| groups[*row as usize]));
        Ok(Self { key_groups, entries: self.entries.select(&UInt32Array::from(rows))? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use weir_plan::key_group::KEY_GROUPS;

    use super::*;

    fn numbers(entries: &Entries) -> Vec<i64> {
        entries.keys[0].as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn each_worker_gets_its_key_groups_in_the_order_that_they_come_in_whether_they_are_sorted_or_not() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
        let entries =
            Entries { times: Int64Array::from(vec![7; 1_000]), deleted: None, keys: vec![keys], values: vec![] };
        let unsorted = Grouped::of(entries, 1).unwrap();
        let mut order: Vec<u32> = (0..1_000).collect();
        order.sort_by_key(|row| unsorted.key_groups.value(*row as usize));
        for grouped in [unsorted.select(order).unwrap(), unsorted] {
            for workers in [1, 2, 3, 128] {
                let ranges = KeyRanges::of(workers);
                let parts = grouped.clone().cut(ranges).unwrap();
                assert_eq!(parts.len(), workers);
                for (worker, part) in parts.iter().enumerate() {
                    let is_its = |(group, _): &(&u16, i64)| ranges.range(worker).contains(*group);
                    let expected: Vec<_> =
                        grouped.key_groups.values().iter().zip(numbers(&grouped.entries)).filter(is_its).collect();
                    assert!(
                        part.key_groups.values().iter().zip(numbers(&part.entries)).eq(expected),
                        "worker {worker} of {workers}"
                    );
                }
                assert_eq!(parts.iter().map(Grouped::rows).sum::<usize>(), 1_000);
            }
            assert!(grouped.key_groups.values().iter().all(|group| *group < KEY_GROUPS));
        }
    }

    #[test]
    fn entries_are_split_by_time_with_the_groups_of_those_that_stay() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let entries =
            Entries { times: Int64Array::from_iter_values(0..100), deleted: None, keys: vec![keys], values: vec![] };
        let grouped = Grouped::of(entries, 1).unwrap();
        for limit in [-1, 0, 37, 99, 100] {
            let (stay, go) = grouped.clone().split(|time| time >= limit).unwrap();
            assert_eq!(
                (numbers(&stay.entries), numbers(&go)),
                ((limit.max(0)..100).collect(), (0..limit).collect()),
                "{limit}"
            );
            assert_eq!(stay.key_groups, Grouped::of(stay.entries.clone(), 1).unwrap().key_groups);
        }
    }
}
