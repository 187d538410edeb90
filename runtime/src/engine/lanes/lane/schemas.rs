//! Handles records that the decoder cannot read without a schema. The partition waits at such a record: the lane stops
//! fetching it, so that nothing piles up, and no epoch that is closed meanwhile has an offset beyond the record. The
//! lane continues to read its other partitions. Once the answer about the schema has come, the record is fetched again.

use std::sync::Arc;

use weir_plan::ids::TopicPartition;

use super::bad_records::Reason;
use super::partition::{Awaited, Partition};
use crate::decode::schemas::{Known, SchemaId, Schemas};
use crate::decode::{Decoder, Undecoded};
use crate::failure::{Failure, Remedy, Result};
use crate::source::kafka::{LaneInput, Record};

/// The most schemas that one record may need, one after the other. A decoder that asks for more does not keep what it
/// was given.
const SCHEMAS_PER_RECORD_MAX: usize = 8;

/// What reading a record has given.
pub(super) enum Read {
    /// The record is in the decoder.
    Row,
    Bad(Reason),
    /// The record's partition waits for a schema.
    NotYet,
}

/// Decodes a record with the schemas that are known.
///
/// # Errors
/// The reason why nobody can say what a schema is.
#[inline]
pub(super) fn decode(
    decoder: &mut dyn Decoder,
    schemas: Option<&Schemas>,
    partition: &mut Partition,
    record: &Record<'_>,
) -> Result<Read> {
    match decoder.decode(record.value) {
        Ok(()) => Ok(Read::Row),
        Err(Undecoded::Bad(error)) => Ok(Read::Bad(error.into())),
        Err(Undecoded::Needs(id)) => decode_with(decoder, schemas, partition, record, id),
    }
}

#[cold]
fn decode_with(
    decoder: &mut dyn Decoder,
    schemas: Option<&Schemas>,
    partition: &mut Partition,
    record: &Record<'_>,
    mut id: SchemaId,
) -> Result<Read> {
    let schemas = schemas
        .ok_or_else(|| Failure::bug(format!("the decoder asks for schema {id}, and its format has no schemas")))?;
    for _ in 0..SCHEMAS_PER_RECORD_MAX {
        // An answer that this partition has waited for counts, even if it was not kept for others.
        let waited_for =
            partition.awaited.as_ref().filter(|awaited| awaited.offset == record.offset && awaited.id == id);
        let question = waited_for.map_or_else(|| schemas.ask(id), |awaited| Arc::clone(&awaited.question));
        match question.answer() {
            Some(Ok(Known::Definition(definition))) => decoder.learn(id, definition),
            Some(Ok(Known::Absent(why))) => return Ok(Read::Bad(Reason { path: None, text: why.clone() })),
            Some(Err(failure)) => return Err(not_known(&partition.id, record.offset, id, failure)),
            None => {
                tracing::info!(partition = %partition.id, offset = record.offset, %id, "a record waits for its schema");
                partition.awaited = Some(Awaited { offset: record.offset, id, question, is_held: true });
                return Ok(Read::NotYet);
            }
        }
        match decoder.decode(record.value) {
            Ok(()) => return Ok(Read::Row),
            Err(Undecoded::Bad(error)) => return Ok(Read::Bad(error.into())),
            Err(Undecoded::Needs(another)) => id = another,
        }
    }
    Err(Failure::bug(format!(
        "{} offset {}: the decoder asks for schema {id} again and again",
        partition.id, record.offset
    )))
}

/// The failure when nobody can say whether a schema exists.
fn not_known(partition: &TopicPartition, offset: i64, id: SchemaId, failure: &Failure) -> Failure {
    let Failure { remedy, message } = failure;
    let advice = match remedy {
        Remedy::Retry => "see what became of the registry; ",
        _ => "",
    };
    let message = format!(
        "the record at {partition} offset {offset} needs schema {id} to be decoded: {message}; {advice}what was read \
         before is committed, and \
         the next start goes on from there"
    );
    Failure { remedy: *remedy, message }
}

/// Resumes the partitions whose schemas are known by now.
///
/// # Errors
/// The reason why nobody can say what a schema is.
pub(super) fn go_on(partitions: &mut [Partition], input: &mut LaneInput) -> Result<()> {
    for partition in partitions {
        let Some(awaited) = partition.awaited.as_mut().filter(|awaited| awaited.is_held) else { continue };
        match awaited.question.answer() {
            None => {}
            Some(Err(failure)) => return Err(not_known(&partition.id, awaited.offset, awaited.id, failure)),
            Some(Ok(_)) => {
                awaited.is_held = false;
                input.go_on(partition.index)?;
            }
        }
    }
    Ok(())
}
