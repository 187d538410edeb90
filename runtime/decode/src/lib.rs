//! Turns records into Arrow: a record's value becomes one row of the source's columns, or an error that says where it
//! is wrong, and never half a row. Each format has a folder of its own.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

mod error;
pub mod json;
pub mod schemas;

use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use weir_plan::plan::{Format, Source};

pub use error::{RecordError, Undecoded};
use json::JsonDecoder;
use schemas::{Registry, SchemaId};

/// Decodes the records that one lane reads from one source, batch by batch.
///
/// A record becomes a whole row or none: an error leaves no trace, and the next record is decoded as if the bad one had
/// not been there.
pub trait Decoder: Send {
    /// Appends one row of the source's columns, or leaves no trace and says why. `None` is a record without a value.
    /// # Errors
    /// `Bad` says where in the record something is wrong, what was found, and what to write instead. `Needs` says that
    /// the record can be judged only after the decoder has [learned](Self::learn) this schema.
    fn decode(&mut self, value: Option<&[u8]>) -> Result<(), Undecoded>;

    /// Takes a schema that the decoder has asked for, as the source's [`registry`] returned it. After this the next
    /// record of this schema is either decoded or bad. A definition that can't be used makes every record of its schema
    /// bad. A decoder decides by itself how many schemas it keeps, and asks again for one that it has dropped. A format
    /// whose records name no schemas never gets one.
    fn learn(&mut self, _id: SchemaId, _definition: &str) {}

    /// Drains the rows into a batch.
    ///
    /// # Errors
    /// Only a bug of the decoder can fail here, as all columns have one length and their own types.
    fn finish(&mut self) -> Result<RecordBatch, ArrowError>;
}

/// Creates the decoder for a source's format.
#[must_use]
pub fn of(source: &Source) -> Box<dyn Decoder> {
    match source.format {
        Format::Json(format) => Box::new(JsonDecoder::new(&source.columns, format)),
    }
}

/// The registry that the decoder's schemas come from; `None` if records of the source's format name no schemas.
#[must_use]
pub fn registry(source: &Source) -> Option<Arc<dyn Registry>> {
    match source.format {
        Format::Json(_) => None,
    }
}
