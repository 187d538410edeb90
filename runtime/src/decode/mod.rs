//! Records to Arrow: a record's value becomes one row of the source's columns, or an error that says where it is wrong; never half a row.
//! Each format has a folder of its own.

mod error;
pub mod json;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use weir_plan::plan::{Format, Source};

pub use error::RecordError;
use json::JsonDecoder;

/// Decodes the records that one lane reads of one source, batch by batch.
///
/// A row is in the batch or it is not: an error leaves no trace, and the next record is decoded as if the bad one had not been there.
pub trait Decoder: Send {
    /// Appends one row of the source's columns, or leaves no trace and says why. `None` is a record without a value.
    ///
    /// # Errors
    /// Where in the record something is wrong, what was found, and what is wanted there.
    fn decode(&mut self, value: Option<&[u8]>) -> Result<(), RecordError>;

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
