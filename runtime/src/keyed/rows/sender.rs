//! The sending end of an edge that whole rows cross.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::Int64Type;
use weir_plan::row_keys::RowKey;

use super::late::{in_time, times};
use crate::failure::{Failure, Result};
use crate::keyed::{Argument, Prepared, Sender};
use crate::state::Entries;
use crate::transform::rows::Check;

/// Batches with fewer rows are joined with others.
const JOINED_ROWS: usize = 4096;

/// Rows that are in time and pass a check, with their keys and their times. What goes on of each is its origin, if
/// there is one, and then its columns without the event time.
///
/// # Errors
/// A sentence, if one of them does not pass the check.
pub(in crate::keyed) fn prepared(
    key: &RowKey,
    rows: &RecordBatch,
    origins: Option<&ArrayRef>,
    watermark_us: Option<i64>,
    check: Check<'_>,
) -> Result<Prepared, String> {
    let in_time = in_time(rows, watermark_us);
    let (kept, origins) = match &in_time {
        None => (rows.clone(), origins.cloned()),
        Some(in_time) => {
            let origins = origins.map(|origins| filter(origins, in_time)).transpose();
            (filter_record_batch(rows, in_time).map_err(|e| e.to_string())?, origins.map_err(|e| e.to_string())?)
        }
    };
    check(&kept)?;
    let late = (rows.num_rows() - kept.num_rows()) as u64;
    let mut keys = key.of_rows(&kept);
    keys.push(Arc::new(Int64Array::from(times(&kept).to_vec())));
    let own = kept.columns()[..kept.num_columns() - 1].iter().cloned();
    let values = origins.into_iter().chain(own).collect();
    let arguments = vec![Argument { values, filter: None }];
    Ok(Prepared { rows: kept.num_rows(), late, has_missed: late > 0, keys, arguments })
}

/// Holds the rows of the open epoch.
#[derive(Default)]
pub(in crate::keyed) struct RowSender {
    ready: Vec<Entries>,
    bytes: usize,
}

impl Sender for RowSender {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        let (Some((times, keys)), Some(argument)) = (rows.keys.split_last(), rows.arguments.first()) else {
            return Err(Failure::bug("rows without times or columns"));
        };
        let times = times.as_primitive::<Int64Type>().clone();
        let entries = Entries { times, deleted: None, keys: keys.to_vec(), values: argument.values.clone() };
        self.bytes += entries.bytes();
        self.ready.push(entries);
        Ok(())
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        self.bytes = 0;
        let (mut joined, mut small, mut rows) = (Vec::new(), Vec::new(), 0);
        let mut ready = std::mem::take(&mut self.ready).into_iter().peekable();
        while let Some(entries) = ready.next() {
            rows += entries.rows();
            small.push(entries);
            if rows >= JOINED_ROWS || ready.peek().is_none() {
                joined.push(Entries::joined(&small.iter().collect::<Vec<_>>())?);
                small.clear();
                rows = 0;
            }
        }
        Ok(joined)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The columns of rows that have crossed an edge, and before them their origins; `None` for rows of keyed steps.
pub(in crate::keyed) fn columns(entries: &Entries, columns: usize) -> (Option<&BinaryArray>, &[ArrayRef]) {
    let (origins, own) = entries.values.split_at(entries.values.len().saturating_sub(columns));
    (origins.first().map(|origins| origins.as_binary::<i32>()), own)
}
