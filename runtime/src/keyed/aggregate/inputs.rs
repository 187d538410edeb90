//! What an aggregate computes from rows before they are grouped: the group columns and the arguments of its calls.

use arrow::array::{ArrayRef, AsArray};
use arrow::record_batch::RecordBatch;
use weir_plan::aggregate::{Aggregate, Call, Key};
use weir_plan::expr::ExprError;
use weir_plan::floats::normalized;
use weir_plan::quote::quoted;

use crate::failure::Result;
use crate::keyed::Argument;

/// The group columns for rows of the input. Floating-point numbers that are equal have equal bits in them.
pub(in crate::keyed) fn keys_of(aggregate: &Aggregate, batch: &RecordBatch) -> Result<Vec<ArrayRef>, String> {
    aggregate.group_by.iter().map(|key| key_of(key, batch)).collect()
}

/// One of the group columns.
///
/// # Errors
/// A sentence, if the column can't be computed for one of the rows.
pub(in crate::keyed) fn key_of(key: &Key, batch: &RecordBatch) -> Result<ArrayRef, String> {
    let values = key.value.evaluate(batch).map_err(|e| format!("groupBy {}: {e}", quoted(key.value.field.name())))?;
    Ok(normalized(&values))
}

/// The arguments of the calls, and the rows that each call counts. `column_of` names a column that a call is for.
///
/// # Errors
/// A sentence, if one of them can't be computed for one of the rows.
pub(in crate::keyed) fn arguments<'c>(
    calls: &'c [Call],
    column_of: impl Fn(usize) -> Option<&'c str>,
    rows: &RecordBatch,
) -> Result<Vec<Argument>, String> {
    let arguments = calls.iter().enumerate().map(|(i, call)| {
        let failed = |e: ExprError| format!("column {}: {e}", quoted(column_of(i).unwrap_or(&call.name)));
        // The filter comes first, since an argument need not be computable for rows that do not count.
        let filter = call.filter.as_ref().map(|f| f.evaluate(rows)).transpose().map_err(failed)?;
        let filter = filter.map(|mask| mask.as_boolean().clone());
        let values = call.args.iter().map(|e| match &filter {
            Some(counts) => e.evaluate_where(rows, counts),
            None => e.evaluate(rows),
        });
        Ok(Argument { values: values.collect::<Result<_, _>>().map_err(failed)?, filter })
    });
    arguments.collect()
}
