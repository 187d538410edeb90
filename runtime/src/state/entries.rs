//! Entries of a keyed step's table. Lanes hand them over, and changes and state files consist of them.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::Int64Type;

use crate::failure::{Failure, Result};

/// The time of an entry without one. It is below no horizon.
pub const NEVER: i64 = i64::MAX;

/// Values by time and key. All arrays have the same length.
#[derive(Debug, Clone)]
pub struct Entries {
    /// µs. An entry is finished once the watermark is greater than its time plus the time for which its step keeps it.
    /// [`NEVER`] if the table's entries have no time.
    pub times: Int64Array,
    /// In a table of rows: true for an entry that deletes the one of its time and key; the values are then null. `None`
    /// if no entry is a delete.
    pub deleted: Option<BooleanArray>,
    /// In the order of the table's key columns, which begins with those that decide the key group.
    pub keys: Vec<ArrayRef>,
    pub values: Vec<ArrayRef>,
}

impl Entries {
    #[must_use]
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Heap memory held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let columns = self.keys.iter().chain(&self.values);
        let of_deletes = self.deleted.as_ref().map_or(0, |deleted| deleted.get_array_memory_size());
        self.times.get_array_memory_size()
            + of_deletes
            + columns.map(|column| column.get_array_memory_size()).sum::<usize>()
    }

    /// A range of the rows, not copied.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        let cut = |columns: &[ArrayRef]| columns.iter().map(|column| column.slice(from, rows)).collect();
        let deleted = self.deleted.as_ref().map(|deleted| deleted.slice(from, rows));
        Self { times: self.times.slice(from, rows), deleted, keys: cut(&self.keys), values: cut(&self.values) }
    }

    /// The rows at `indices`, in that order.
    pub fn select(&self, indices: &UInt32Array) -> Result<Self> {
        let times = self.times.values();
        let times = Int64Array::from_iter_values(indices.values().iter().map(|row| times[*row as usize]));
        let of = |deleted: &BooleanArray| {
            indices.values().iter().map(|row| deleted.value(*row as usize)).collect::<Vec<_>>().into()
        };
        Ok(Self {
            times,
            deleted: self.deleted.as_ref().map(of),
            keys: selected(&self.keys, indices)?,
            values: selected(&self.values, indices)?,
        })
    }

    #[must_use]
    pub fn is_deleted(&self, row: usize) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.value(row))
    }

    /// Keeps only the entries for whose time `keep` is true.
    pub fn retain(self, keep: impl FnMut(i64) -> bool) -> Result<Self> {
        self.split(keep).map(|(kept, _)| kept)
    }

    /// Splits the entries into those for whose time `first` is true, and the others.
    pub fn split(self, mut first: impl FnMut(i64) -> bool) -> Result<(Self, Self)> {
        let (mut these, mut those) = (Vec::new(), Vec::new());
        for (row, time) in (0u32..).zip(self.times.values()) {
            if first(*time) { &mut these } else { &mut those }.push(row);
        }
        let none = || self.select(&UInt32Array::from(Vec::<u32>::new()));
        match (these.is_empty(), those.is_empty()) {
            (_, true) => none().map(|none| (self.clone(), none)),
            (true, _) => none().map(|none| (none, self.clone())),
            _ => Ok((self.select(&UInt32Array::from(these))?, self.select(&UInt32Array::from(those))?)),
        }
    }

    /// Joins the parts in their order. All have the same columns, and there is at least one part.
    pub fn joined(parts: &[&Self]) -> Result<Self> {
        if let [one] = parts {
            return Ok((*one).clone());
        }
        let column = |pick: &dyn Fn(&Self) -> ArrayRef| {
            let columns: Vec<_> = parts.iter().map(|part| pick(part)).collect();
            concat(&columns.iter().map(AsRef::as_ref).collect::<Vec<_>>())
                .map_err(|e| Failure::bug(format!("join entries: {e}")))
        };
        let first = parts[0];
        let times = column(&|part| Arc::new(part.times.clone()))?.as_primitive::<Int64Type>().clone();
        let keys = (0..first.keys.len()).map(|k| column(&|part| Arc::clone(&part.keys[k]))).collect::<Result<_>>()?;
        let values =
            (0..first.values.len()).map(|v| column(&|part| Arc::clone(&part.values[v]))).collect::<Result<_>>()?;
        let deletes = || {
            parts.iter().flat_map(|part| (0..part.rows()).map(|row| part.is_deleted(row))).collect::<Vec<_>>().into()
        };
        let deleted = parts.iter().any(|part| part.deleted.is_some()).then(deletes);
        Ok(Self { times, deleted, keys, values })
    }
}

/// The rows of columns at `indices`, in that order.
pub(super) fn selected(columns: &[ArrayRef], indices: &UInt32Array) -> Result<Vec<ArrayRef>> {
    columns
        .iter()
        .map(|column| take(column, indices, None).map_err(|e| Failure::bug(format!("select entries: {e}"))))
        .collect()
}
