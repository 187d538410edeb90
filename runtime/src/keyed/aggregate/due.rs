//! Makes the rows of groups: takes the values of the calls and computes the columns from them.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, BooleanArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use weir_plan::aggregate::{Aggregate, Call, Gives, Key};
use weir_plan::expr::type_name;
use weir_plan::quote::quoted;
use weir_plan::window::Bounds;

use super::group_table::{Evaluated, GroupTable, Groups};
use super::inputs::key_of;
use crate::failure::{Failure, Result};
use crate::transform::rows::{Check, Rows, by_halves, coalesced};

/// How much of the rows is made at a time: bytes of its keys, and rows.
const ROWS_BYTES: usize = 4 << 20;
const ROWS_AT_ONCE: usize = 1 << 16;

/// Groups whose rows are due. The rows are made as they are requested, since they may not fit into memory a second
/// time.
pub(in crate::keyed) struct Due {
    aggregate: Arc<Aggregate>,
    schema: SchemaRef,
    window: WindowOf,
    groups: Evaluated,
}

/// The windows of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::keyed) enum WindowOf {
    /// All have this one.
    All(Bounds),
    /// Each has its own, whose start and end (µs) are its last keys.
    Each,
    /// They have none.
    None,
}

impl Due {
    pub fn new(aggregate: Arc<Aggregate>, schema: SchemaRef, window: WindowOf, groups: GroupTable) -> Self {
        let groups = groups.evaluate(&aggregate.calls);
        Self { aggregate, schema, window, groups }
    }

    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.groups.bytes()
    }

    /// The next rows; `None` at the end. A group whose row can't be computed, or does not pass `check`, is a bad row,
    /// which is named by the window's bounds and the keys.
    pub fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        let groups = self.groups.take(ROWS_BYTES, (ROWS_AT_ONCE / self.aggregate.rows_per_group()).max(1))?;
        groups.map(|groups| self.rows_of(groups, check)).transpose()
    }

    fn rows_of(&self, mut groups: Groups, check: Check<'_>) -> Result<Rows> {
        let aggregate = &self.aggregate;
        let bounds = match self.window {
            WindowOf::All(window) => [window.start_us, window.end_us].map(|us| time(vec![us; groups.rows])).to_vec(),
            WindowOf::Each => {
                let own = groups.keys.split_off(aggregate.group_by.len());
                own.iter().map(|us| time(us.as_primitive::<Int64Type>().values().to_vec())).collect()
            }
            WindowOf::None => Vec::new(),
        };
        let named: Vec<ArrayRef> = bounds.into_iter().chain(groups.keys).collect();
        let keys = batch(&aggregate.group_schema(), named.clone(), groups.rows)?;
        let results = named.into_iter().chain(groups.values).collect();
        let results = batch(&aggregate.result_schema, results, groups.rows)?;
        let mut bad: Vec<(usize, String)> = Vec::new();
        for (row, call) in groups.beyond_type {
            if bad.last().is_none_or(|(last, _)| *last != row) {
                bad.push((row, beyond_type(&aggregate.calls[call], aggregate.column_of(call))));
            }
        }
        let mut rows = Rows::default();
        if bad.is_empty() {
            (rows.good, bad) = self.outputs_of(&results, check);
        } else {
            let mut fits = vec![true; groups.rows];
            bad.iter().for_each(|(row, _)| fits[*row] = false);
            let places: Vec<usize> = (0..groups.rows).filter(|row| fits[*row]).collect();
            let results = filter_record_batch(&results, &BooleanArray::from(fits));
            let (good, more) =
                self.outputs_of(&results.map_err(|e| Failure::bug(format!("results of groups: {e}")))?, check);
            rows.good = good;
            bad.extend(more.into_iter().map(|(row, why)| (places[row], why)));
            bad.sort_by_key(|(row, _)| *row);
        }
        rows.good = coalesced(&self.schema, rows.good)?;
        rows.add_bad(&keys, bad)?;
        Ok(rows)
    }

    /// The step's rows, and the indices of the results that have none, with the reasons.
    fn outputs_of(&self, results: &RecordBatch, check: Check<'_>) -> (Vec<RecordBatch>, Vec<(usize, String)>) {
        by_halves(results, &|results| {
            let rows = self.outputs(results)?;
            check(&rows).map(|()| rows)
        })
    }

    fn outputs(&self, results: &RecordBatch) -> Result<RecordBatch, String> {
        match self.aggregate.gives {
            Gives::Group => self.row_per_group(results),
            Gives::Rows { with_window } => self.rows_of_groups(results, with_window),
        }
    }

    /// The rows that groups have kept.
    fn rows_of_groups(&self, results: &RecordBatch, with_window: bool) -> Result<RecordBatch, String> {
        let kept = results.column(results.num_columns() - 1).as_list::<i32>();
        let lengths = kept.value_offsets().windows(2).map(|bounds| bounds[1] - bounds[0]);
        let groups = (0u32..).zip(lengths).flat_map(|(group, rows)| (0..rows).map(move |_| group));
        let groups: UInt32Array = groups.map(Some).collect();
        let [starts, ends] = [0, 1].map(|bound| take(results.column(bound), &groups, None));
        let [starts, ends] = [starts.map_err(|e| e.to_string())?, ends.map_err(|e| e.to_string())?];
        let offsets = kept.value_offsets();
        let (first, last) = (offsets[0], offsets[kept.len()]);
        let rows = usize::try_from(first).and_then(|first| Ok((first, usize::try_from(last)? - first)));
        let (first, count) = rows.map_err(|e| e.to_string())?;
        let rows = kept.values().slice(first, count);
        let times = before(ends.as_primitive());
        let mut columns = if with_window { vec![starts, ends] } else { Vec::new() };
        columns.extend(rows.as_struct().columns().iter().cloned());
        columns.push(times);
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| format!("rows of a window: {e}"))
    }

    fn row_per_group(&self, results: &RecordBatch) -> Result<RecordBatch, String> {
        let named = results.num_columns() - self.aggregate.calls.len();
        let mut columns = results.columns()[..named].to_vec();
        for output in &self.aggregate.outputs {
            columns.push(output.evaluate(results).map_err(|e| format!("column {}: {e}", quoted(output.field.name())))?);
        }
        if self.window != WindowOf::None {
            columns.push(before(results.column(1).as_primitive()));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| format!("rows of groups: {e}"))
    }
}

/// Why a row can't be computed for which a call, of which this column is made, gives more than its type holds or has
/// collected too much.
pub(in crate::keyed) fn beyond_type(call: &Call, column: Option<&str>) -> String {
    let column = quoted(column.unwrap_or_default());
    if let Some(most) = call.collects_max() {
        return format!(
            "column {column}: `{}` has collected more than the {} MiB that a group may; collect fewer values, as with a \
             shorter window or a filter",
            call.name,
            most >> 20
        );
    }
    let data_type = type_name(call.function.field().data_type());
    let instead = match data_type.as_str() {
        "bigint" => "cast its argument to decimal(38,0)",
        _ => "cast its argument to a decimal with fewer digits behind the point, or to a double",
    };
    format!("column {column}: `{}` is more than its type {data_type} holds; {instead}", call.name)
}

/// The keys of the groups that rows of the input belong to, after the bounds of a window of each row if there are
/// windows. A key that can't be computed is null.
pub(in crate::keyed) fn groups_of(
    aggregate: &Aggregate,
    input: &RecordBatch,
    window_of: impl Fn(usize) -> Option<Bounds>,
) -> Result<RecordBatch> {
    let of_row = |row| window_of(row).map_or((i64::MAX, i64::MAX), |window| (window.start_us, window.end_us));
    let bounds = if aggregate.window.has_bounds() {
        let (starts, ends) = (0..input.num_rows()).map(of_row).unzip();
        vec![time(starts), time(ends)]
    } else {
        Vec::new()
    };
    let nulls = |key: &Key| new_null_array(key.value.field.data_type(), input.num_rows());
    let keys = aggregate.group_by.iter().map(|key| key_of(key, input).unwrap_or_else(|_| nulls(key)));
    batch(&aggregate.group_schema(), bounds.into_iter().chain(keys).collect(), input.num_rows())
}

/// The last moments of windows with these ends.
fn before(ends: &TimestampMicrosecondArray) -> ArrayRef {
    time(ends.values().iter().map(|end| end.saturating_sub(1)).collect())
}

fn time(us: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC"))
}

/// A batch of so many rows, which may have no columns.
fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Failure::bug(format!("groups: {e}")))
}
