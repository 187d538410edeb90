//! Records to Arrow: a record's value becomes one row of the source's columns, or an error that says where it is wrong;
//! never half a row. Each format has a folder of its own.

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

/// Decodes the records that one lane reads of one source, batch by batch.
///
/// A row is in the batch or it is not: an error leaves no trace, and the next record is decoded as if the bad one had
/// not been there.
pub trait Decoder: Send {
    /// Appends one row of the source's columns, or leaves no trace and says why. `None` is a record without a value.
    ///
    /// # Errors
    /// `Bad`: where in the record something is wrong, what was found, and what is wanted there. `Needs`: the record can
    /// be judged only when the decoder has [learned](Self::learn) this schema.
    fn decode(&mut self, value: Option<&[u8]>) -> Result<(), Undecoded>;

    /// Takes in a schema that it has asked for, as the source's [`registry`] gives it. The next record of this schema
    /// is decoded or is bad; a definition that can't be used makes every record of it bad. How many schemas a decoder
    /// keeps is its own matter: it asks again for one that it no longer has. A format whose records name no schemas is
    /// never given one.
    fn learn(&mut self, _id: SchemaId, _definition: &str) {}

    /// Drains the rows into a batch.
    ///
    /// # Errors
    /// None but a bug of the decoder: the columns are of one length and of their types.
    fn finish(&mut self) -> Result<RecordBatch, ArrowError>;
}

/// The decoder of a source's format.
#[must_use]
pub fn of(source: &Source) -> Box<dyn Decoder> {
    match source.format {
        Format::Json(format) => Box::new(JsonDecoder::new(&source.columns, format)),
    }
}

/// Where the decoder's schemas are asked for, if the source's format has records that name them.
#[must_use]
pub fn registry(source: &Source) -> Option<Arc<dyn Registry>> {
    match source.format {
        Format::Json(_) => None,
    }
}
