//! The partial states of an aggregate's calls, as a table of the keyed state.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::EmitTo;
use weir_plan::aggregate::{Aggregate, Call, WINDOW_START};
use weir_plan::window::Tumbling;

use super::v1::WindowsV1;
use crate::failure::{Failure, Result};
use crate::state::{Combine, Keeps, Kind, StateField, TableSchema};

/// The table of windows. Its entries stand under the window's last moment (the time of its rows, too), the group and
/// the window start.
#[must_use]
pub(super) fn table(aggregate: &Arc<Aggregate>, window: Tumbling) -> Arc<TableSchema> {
    let values = aggregate.calls.iter().flat_map(|call| {
        let kept_first = call.state_fields.len() - call.added_state;
        let name = |n: usize| format!("{}:{n}", call.name);
        call.state_fields.iter().enumerate().map(move |(n, field)| StateField::new(&name(n), field, n >= kept_first))
    });
    let values: Vec<_> = values.collect();
    let groups = aggregate.key_schema.fields();
    let start = Arc::new(Field::new(WINDOW_START, DataType::Int64, false));
    Arc::new(TableSchema {
        name: "windows",
        version: 1,
        kind: Kind::Merge(Arc::new(Partials { aggregate: Arc::clone(aggregate) })),
        keys: Arc::new(Schema::new(groups.iter().cloned().chain([start]).collect::<Vec<_>>())),
        hashed: groups.len(),
        v1: Some(Arc::new(WindowsV1::new(aggregate, window, &values))),
        values,
        horizon: vec![Keeps { input: 0, keeps_us: 0 }],
    })
}

/// The state columns of each call, in order.
pub(super) fn by_call<'a>(
    calls: &'a [Call],
    values: &'a [ArrayRef],
) -> impl Iterator<Item = (&'a Call, &'a [ArrayRef])> {
    let mut rest = values;
    calls.iter().map(move |call| {
        let (state, behind) = rest.split_at(call.state_fields.len().min(rest.len()));
        rest = behind;
        (call, state)
    })
}

/// Merges partial states.
struct Partials {
    aggregate: Arc<Aggregate>,
}

impl Combine for Partials {
    fn combine(&self, values: &[ArrayRef], numbers: &[usize], distinct: usize) -> Result<Vec<ArrayRef>> {
        let refused =
            |e: datafusion_common::DataFusionError| Failure::bug(format!("an accumulator refused partial states: {e}"));
        let mut merged = Vec::with_capacity(values.len());
        for (call, state) in by_call(&self.aggregate.calls, values) {
            let mut accumulator = call.accumulator().map_err(refused)?;
            accumulator.merge_batch(state, numbers, distinct).map_err(refused)?;
            merged.extend(accumulator.state(EmitTo::All).map_err(refused)?);
        }
        Ok(merged)
    }
}
