//! The partial states of an aggregate's calls, as columns of keyed state.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_expr::EmitTo;
use weir_plan::aggregate::{Aggregate, Call};

use crate::failure::{Failure, Result};
use crate::state::{Combine, StateField};

/// The value columns of a table that keeps the calls' partial states.
pub(in crate::keyed) fn state_fields(aggregate: &Aggregate) -> Vec<StateField> {
    let fields = aggregate.calls.iter().flat_map(|call| {
        let kept_first = call.state_fields.len() - call.added_state;
        let name = |n: usize| format!("{}:{n}", call.name);
        call.state_fields.iter().enumerate().map(move |(n, field)| StateField::new(&name(n), field, n >= kept_first))
    });
    fields.collect()
}

/// The state columns of each call, in order.
fn by_call<'a>(calls: &'a [Call], values: &'a [ArrayRef]) -> impl Iterator<Item = (&'a Call, &'a [ArrayRef])> {
    let mut rest = values;
    calls.iter().map(move |call| {
        let (state, behind) = rest.split_at(call.state_fields.len().min(rest.len()));
        rest = behind;
        (call, state)
    })
}

/// Merges partial states.
pub(in crate::keyed) struct PartialStates {
    aggregate: Arc<Aggregate>,
}

impl PartialStates {
    pub fn of(aggregate: &Arc<Aggregate>) -> Self {
        Self { aggregate: Arc::clone(aggregate) }
    }
}

impl Combine for PartialStates {
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
