//! Where results go. A sink writes an epoch's rows before the manifest decides it, and makes them visible afterwards, exactly once.

pub mod decided;
pub mod delta;
pub mod upkeep;
pub mod writing;

use std::sync::Arc;

use weir_plan::plan::{Sink, SinkKind};

use crate::transform::fitness::Fitness;

/// What rows a sink can't hold.
#[must_use]
pub fn fitness(sink: &Sink) -> Arc<dyn Fitness> {
    match &sink.kind {
        SinkKind::Delta(delta) => Arc::new(delta::fitness::Fit::of(sink, delta)),
    }
}
