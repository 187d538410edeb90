//! Separates rows that can be computed from rows that can't. Evaluation changes nothing: if it fails on a batch, the
//! rows at fault are found by halving the batch, and only they are bad. The halves are copies. A slice would share the
//! buffers of the whole, and some kernels look at all of a buffer, including the bytes of a bad row.

use std::ops::Range;

use arrow::array::{UInt32Array, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::failure::{Failure, Result};
use crate::sizes::bytes_of;

/// The most rows, and the most bytes, of a batch that is joined from smaller ones.
const BATCH_ROWS_MAX: usize = 64 * 1024;
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Checks whether rows are fit for what comes next. The error says why they are not.
pub type Check<'a> = &'a dyn Fn(&RecordBatch) -> Result<(), String>;

/// Rows that could be computed, and rows that could not.
#[derive(Debug, Default)]
pub struct Rows {
    pub good: Vec<RecordBatch>,
    pub bad: Vec<BadRows>,
}

/// Rows that can't be computed: the columns that identify them, and a sentence for each row.
#[derive(Debug)]
pub struct BadRows {
    pub rows: RecordBatch,
    pub reasons: Vec<String>,
}

impl Rows {
    /// `bad` has indices in `all`, with the reasons.
    pub(crate) fn add_bad(&mut self, all: &RecordBatch, bad: Vec<(usize, String)>) -> Result<()> {
        if bad.is_empty() {
            return Ok(());
        }
        let (places, reasons): (Vec<usize>, Vec<String>) = bad.into_iter().unzip();
        let places: UInt32Array = places.into_iter().map(|place| u32::try_from(place).ok()).collect();
        // A row without columns is the only group of a running aggregate.
        let rows = match all.num_columns() {
            0 => {
                let options = RecordBatchOptions::new().with_row_count(Some(reasons.len()));
                RecordBatch::try_new_with_options(all.schema(), Vec::new(), &options)
            }
            _ => take_record_batch(all, &places),
        };
        let rows = rows.map_err(|e| Failure::bug(format!("rows that failed: {e}")))?;
        self.bad.push(BadRows { rows, reasons });
        Ok(())
    }
}

/// Separates the rows that pass a check from the others, which are identified by all their columns.
pub(crate) fn checked(rows: &RecordBatch, check: Check<'_>) -> Result<Rows> {
    let (good, bad) = by_halves(rows, &|rows| check(rows).map(|()| rows.clone()));
    let mut checked = Rows { good: coalesced(&rows.schema(), good)?, bad: Vec::new() };
    checked.add_bad(rows, bad)?;
    Ok(checked)
}

/// Evaluates a batch. Mostly one result comes back. If rows fail, the batch comes back in parts around them, in the
/// order of rows, and each failed row comes back by its index with the reason.
pub(crate) fn by_halves<T, E: From<String>>(
    batch: &RecordBatch,
    attempt: &dyn Fn(&RecordBatch) -> Result<T, E>,
) -> (Vec<T>, Vec<(usize, E)>) {
    let (mut good, mut bad) = (Vec::with_capacity(1), Vec::new());
    in_parts(batch, attempt, &mut |row, part| match part {
        Ok(evaluated) => good.push(evaluated),
        Err(why) => bad.push((row, why)),
    });
    (good, bad)
}

/// Evaluates a batch and hands each part of it to `each` before it evaluates the next one, with the index of the part's
/// first row. Mostly there is one part. Rows that fail are parts of their own.
pub(crate) fn in_parts<T, E: From<String>>(
    batch: &RecordBatch,
    attempt: &dyn Fn(&RecordBatch) -> Result<T, E>,
    each: &mut dyn FnMut(usize, Result<T, E>),
) {
    match attempt(batch) {
        Ok(evaluated) => each(0, Ok(evaluated)),
        // Even a single row is evaluated again, since the batch may itself be a slice.
        Err(_) => halve(batch, 0, attempt, each),
    }
}

/// Evaluates the two halves of a batch that fails as a whole. `first` is the index of its first row.
fn halve<T, E: From<String>>(
    batch: &RecordBatch,
    first: usize,
    attempt: &dyn Fn(&RecordBatch) -> Result<T, E>,
    each: &mut dyn FnMut(usize, Result<T, E>),
) {
    let (middle, rows) = (batch.num_rows() / 2, batch.num_rows());
    for half in [0..middle, middle..rows].into_iter().filter(|half| !half.is_empty()) {
        let place = first + half.start;
        match copied(batch, half.clone()) {
            Ok(copy) => match attempt(&copy) {
                Ok(evaluated) => each(place, Ok(evaluated)),
                Err(why) if half.len() == 1 => each(place, Err(why)),
                Err(_) => halve(&copy, place, attempt, each),
            },
            Err(why) => half.for_each(|row| each(first + row, Err(E::from(why.clone())))),
        }
    }
}

/// Copies rows, so that they have buffers of their own.
fn copied(batch: &RecordBatch, rows: Range<usize>) -> Result<RecordBatch, String> {
    let rows: UInt64Array = (rows.start as u64..rows.end as u64).collect();
    take_record_batch(batch, &rows).map_err(|e| e.to_string())
}

/// Joins batches into fewer ones of bounded size, with the same rows.
pub(crate) fn coalesced(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let (mut out, mut together, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    let mut put = |together: &mut Vec<RecordBatch>| -> Result<()> {
        match together.len() {
            0 => {}
            1 => out.append(together),
            _ => out.push(
                concat_batches(schema, &*together).map_err(|e| Failure::bug(format!("rows of closed windows: {e}")))?,
            ),
        }
        together.clear();
        Ok(())
    };
    for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
        let size = batch.columns().iter().map(|column| bytes_of(column)).sum::<usize>();
        if rows + batch.num_rows() > BATCH_ROWS_MAX || bytes + size > BATCH_BYTES_MAX {
            put(&mut together)?;
            (rows, bytes) = (0, 0);
        }
        rows += batch.num_rows();
        bytes += size;
        together.push(batch);
    }
    put(&mut together)?;
    Ok(out)
}
