//! The table of an aggregate's sessions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use weir_plan::aggregate::{Aggregate, WINDOW_START};

use crate::keyed::aggregate::states::state_fields;
use crate::state::{Keeps, Kind, StateField, TableSchema};

/// The table of sessions. Its entries stand under the session's end and the group, and have the session's start and the
/// partial states of the calls.
#[must_use]
pub(super) fn table(aggregate: &Aggregate) -> Arc<TableSchema> {
    let start = StateField::new(WINDOW_START, &Field::new(WINDOW_START, DataType::Int64, true), false);
    Arc::new(TableSchema {
        name: "sessions",
        version: 1,
        kind: Kind::Rows,
        keys: Arc::clone(&aggregate.key_schema),
        hashed: aggregate.key_schema.fields().len(),
        values: [start].into_iter().chain(state_fields(aggregate)).collect(),
        horizon: vec![Keeps { input: 0, keeps_us: 0 }],
        v1: None,
    })
}
