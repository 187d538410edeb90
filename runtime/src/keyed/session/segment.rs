//! Open sessions in columns. A segment never changes, but its sessions may go: when they grow, they come again in a
//! newer segment.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Int8Array};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use arrow_row::{RowConverter, Rows, SortField};

use crate::failure::{Failure, Result};

/// Keys in arrow's row format.
pub(super) struct KeyFormat {
    converter: RowConverter,
    has_columns: bool,
}

impl KeyFormat {
    pub fn new(types: &[DataType]) -> Result<Self> {
        let has_columns = !types.is_empty();
        // Without key columns all sessions have one key, a column of zeros.
        let types = if has_columns { types } else { &[DataType::Int8] };
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        let converter = RowConverter::new(fields).map_err(|e| Failure::bug(format!("keys of types {types:?}: {e}")))?;
        Ok(Self { converter, has_columns })
    }

    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<Rows> {
        let encoded = if self.has_columns {
            self.converter.convert_columns(columns)
        } else {
            self.converter.convert_columns(&[Arc::new(Int8Array::from(vec![0; rows])) as ArrayRef])
        };
        encoded.map_err(|e| Failure::bug(format!("keys into rows: {e}")))
    }

    pub fn decode(&self, rows: &Rows) -> Result<Vec<ArrayRef>> {
        if !self.has_columns {
            return Ok(Vec::new());
        }
        self.converter.convert_rows(rows.iter()).map_err(|e| Failure::bug(format!("keys back from rows: {e}")))
    }

    pub fn empty(&self, rows: usize) -> Rows {
        self.converter.empty_rows(rows, 0)
    }
}

pub(super) struct Segment {
    pub keys: Rows,
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    /// The columns of the calls' partial states.
    pub states: Vec<ArrayRef>,
    is_open: Vec<bool>,
    open: usize,
    /// No open session ends before this.
    pub first_end_us: i64,
}

impl Segment {
    pub fn new(keys: Rows, starts: Vec<i64>, ends: Vec<i64>, states: Vec<ArrayRef>) -> Self {
        let (rows, first_end_us) = (ends.len(), ends.iter().copied().min().unwrap_or(i64::MAX));
        Self { keys, starts, ends, states, is_open: vec![true; rows], open: rows, first_end_us }
    }

    /// The number of open sessions.
    pub fn open(&self) -> usize {
        self.open
    }

    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The rows of open sessions.
    pub fn open_rows(&self) -> impl Iterator<Item = usize> {
        self.is_open.iter().enumerate().filter(|(_, is_open)| **is_open).map(|(row, _)| row)
    }

    pub fn remove(&mut self, row: usize) {
        self.open -= usize::from(std::mem::replace(&mut self.is_open[row], false));
    }

    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let of_states = self.states.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        self.keys.size() + of_states + self.rows() * (2 * size_of::<i64>() + size_of::<bool>())
    }
}

/// Rows of several lists of columns, as one list. A row is named by the number of its list and its index there.
pub(super) fn gathered(lists: &[&[ArrayRef]], rows: &[(usize, usize)]) -> Result<Vec<ArrayRef>> {
    let columns = lists.first().map_or(0, |list| list.len());
    let column = |c: usize| {
        let arrays: Vec<_> = lists.iter().map(|list| list[c].as_ref()).collect();
        interleave(&arrays, rows).map_err(|e| Failure::bug(format!("states of sessions: {e}")))
    };
    (0..columns).map(column).collect()
}
