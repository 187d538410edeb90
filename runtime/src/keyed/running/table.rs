//! The table of a running aggregate's groups.

use std::sync::Arc;

use weir_plan::aggregate::Aggregate;

use crate::keyed::aggregate::states::state_fields;
use crate::state::{Keeps, Kind, TableSchema};

/// The table of groups. An entry stands under the time of the group's newest row, if groups expire, and has the partial
/// states of the calls.
#[must_use]
pub(super) fn table(aggregate: &Aggregate, expire_after_us: Option<i64>) -> Arc<TableSchema> {
    Arc::new(TableSchema {
        name: "groups",
        version: 1,
        kind: Kind::Rows,
        keys: Arc::clone(&aggregate.key_schema),
        hashed: aggregate.key_schema.fields().len(),
        values: state_fields(aggregate),
        horizon: expire_after_us.map(|keeps_us| Keeps { input: 0, keeps_us }).into_iter().collect(),
        v1: None,
    })
}
