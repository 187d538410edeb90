//! A sink that takes every row and writes none, for measurements of what a pipeline costs without its sinks. It has the
//! identity and the memory of the sink that it stands for, and commits what an earlier run has decided for that one.
//! Its own epochs have nothing for it.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::future::{BoxFuture, FutureExt as _, ready};
use serde_json::Value;
use weir_base::failure::Result;

use crate::decided::{Decided, Outcome};
use crate::upkeep::{Duty, Surroundings};
use crate::writing::{EpochWriter, Part, Payload, Sealed, Slot, Writers};
use crate::{Memory, Pin, Sink, SinkStatus};

/// Stands for this sink.
pub struct Discarding(pub Box<dyn Sink>);

impl Sink for Discarding {
    fn pin(&self) -> Pin {
        self.0.pin()
    }

    fn memory(&self) -> Option<Arc<dyn Memory>> {
        self.0.memory()
    }

    fn writers(&self) -> Arc<dyn Writers> {
        Arc::new(Nowhere)
    }

    fn seal(&mut self, _: Vec<Part>) -> BoxFuture<'_, Result<Option<Sealed>>> {
        ready(Ok(None)).boxed()
    }

    fn ready<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<()>> {
        self.0.ready(of, payload)
    }

    fn commit<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<Outcome>> {
        self.0.commit(of, payload)
    }

    fn between_epochs(&mut self) {
        self.0.between_epochs();
    }

    fn status(&self) -> SinkStatus {
        self.0.status()
    }

    fn duties(&self, of: &Surroundings) -> Vec<Box<dyn Duty>> {
        self.0.duties(of)
    }
}

/// Writers of no files.
pub struct Nowhere;

impl Writers for Nowhere {
    fn begin(&self, _: &Slot) -> Result<Box<dyn EpochWriter>> {
        Ok(Box::new(Discarded { rows: 0 }))
    }
}

struct Discarded {
    rows: u64,
}

impl EpochWriter for Discarded {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        self.rows += rows.num_rows() as u64;
        ready(Ok(())).boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Part>> {
        ready(Ok(Part { rows: self.rows, body: Value::Null })).boxed()
    }
}
