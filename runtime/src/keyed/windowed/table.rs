//! The table of an aggregate's slices.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use weir_plan::aggregate::{Aggregate, WINDOW_START};
use weir_plan::window::Aligned;

use super::assign::Assigner;
use super::v1::WindowsV1;
use crate::keyed::aggregate::states::{PartialStates, state_fields};
use crate::state::{Keeps, Kind, TableSchema, V1};

/// The table of slices. Its entries stand under the last moment of the last window that their slice lies in, the group
/// and the start of the slice. If windows do not overlap, the slice is the window.
#[must_use]
pub(super) fn table(aggregate: &Arc<Aggregate>, assigner: Assigner) -> Arc<TableSchema> {
    let values = state_fields(aggregate);
    let groups = aggregate.key_schema.fields();
    let start = Arc::new(Field::new(WINDOW_START, DataType::Int64, false));
    // Version 1 had no other windows.
    let v1 = match assigner {
        Assigner::ByTime(windows @ Aligned::Tumbling(_)) => Some(WindowsV1::new(aggregate, windows, &values)),
        _ => None,
    };
    Arc::new(TableSchema {
        name: "windows",
        version: 1,
        kind: Kind::Merge(Arc::new(PartialStates::of(aggregate))),
        keys: Arc::new(Schema::new(groups.iter().cloned().chain([start]).collect::<Vec<_>>())),
        hashed: groups.len(),
        v1: v1.map(|v1| Arc::new(v1) as Arc<dyn V1>),
        values,
        horizon: vec![Keeps { input: 0, keeps_us: 0 }],
    })
}
