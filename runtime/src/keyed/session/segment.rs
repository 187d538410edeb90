//! Open sessions in columns. A segment never changes, but its sessions may go: when they grow, they come again in a
//! newer segment.

use arrow::array::{Array as _, ArrayRef};
use arrow::compute::interleave;
use arrow_row::Rows;

use crate::failure::{Failure, Result};

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
