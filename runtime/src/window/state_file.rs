//! State files: what changed in the keyed state in one epoch (or, compacted, over several), in one object. The format is described byte for
//! byte in `docs/formats/state-v1.md`.
//!
//! ```text
//! "WEIRST1\n"  block*  footer (JSON)  footer length (u32 LE)  footer crc32 (u32 LE)  "WEIRST1\n"
//! ```
//!
//! A block is one step's rows as an Arrow IPC stream, sorted by key group, window, key. The footer has each block's place, checksum and
//! ranges, so that a reader can leave out what it does not need. Both ends go batch by batch: a file may hold more than fits in memory twice.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt16Type};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use weir_plan::aggregate::Aggregate;
use weir_plan::quote::quoted;

use super::change::Change;
use super::partials::Partials;
use crate::failure::{Failure, Result};

const MAGIC: &[u8; 8] = b"WEIRST1\n";
const TRAILER_BYTES: usize = 4 + 4 + MAGIC.len();
/// The `format` of this version.
pub const STATE_V1: &str = "weir.state/v1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Footer {
    pub format: String,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    pub step: String,
    pub offset: u64,
    pub bytes: u64,
    pub crc32: u32,
    pub rows: u64,
    /// Least and greatest, both inclusive.
    pub key_groups: (u16, u16),
    /// Least and greatest start, both inclusive, µs.
    pub window_starts_us: (i64, i64),
}

/// Rows of one record batch: what a reader has in memory of a block at a time.
const BATCH_ROWS: usize = 16_384;

/// A file in the making.
pub struct Writer {
    file: Vec<u8>,
    blocks: Vec<Block>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { file: MAGIC.to_vec(), blocks: Vec::new() }
    }
}

impl Writer {
    /// Adds a step's rows. Of several changes each has greater key groups than those before it. No rows, no block.
    pub fn step(&mut self, step: &str, aggregate: &Aggregate, changes: impl IntoIterator<Item = Result<Change>>) -> Result<()> {
        let failed = |e: arrow::error::ArrowError| Failure::bug(format!("write a state block: {e}"));
        let schema = block_schema(aggregate);
        let offset = self.file.len();
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(failed)?;
        let mut writer = StreamWriter::try_new_with_options(&mut self.file, &schema, options).map_err(failed)?;
        let (mut rows, mut key_groups, mut window_starts_us) = (0, (u16::MAX, 0), (i64::MAX, i64::MIN));
        for change in changes {
            let change = change?;
            let batch = batch_of(&schema, &change).map_err(failed)?;
            for from in (0..change.rows()).step_by(BATCH_ROWS) {
                writer.write(&batch.slice(from, BATCH_ROWS.min(change.rows() - from))).map_err(failed)?;
            }
            rows += change.rows() as u64;
            key_groups = change.key_groups.values().iter().fold(key_groups, |(least, most), g| (least.min(*g), most.max(*g)));
            window_starts_us =
                change.partials.windows.values().iter().fold(window_starts_us, |(least, most), w| (least.min(*w), most.max(*w)));
        }
        writer.finish().map_err(failed)?;
        drop(writer);
        if rows == 0 {
            self.file.truncate(offset);
            return Ok(());
        }
        let bytes = &self.file[offset..];
        let (bytes, crc32) = (bytes.len() as u64, crc32fast::hash(bytes));
        self.blocks.push(Block { step: step.to_owned(), offset: offset as u64, bytes, crc32, rows, key_groups, window_starts_us });
        Ok(())
    }

    /// What the file will say of its blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub fn finish(self) -> Result<Vec<u8>> {
        let Self { mut file, blocks } = self;
        let footer =
            serde_json::to_vec(&Footer { format: STATE_V1.to_owned(), blocks }).map_err(|e| Failure::bug(format!("state footer: {e}")))?;
        let length = u32::try_from(footer.len()).map_err(|_| Failure::bug("a state footer over 4 GiB"))?;
        file.extend_from_slice(&footer);
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
        file.extend_from_slice(MAGIC);
        Ok(file)
    }
}

/// Reads the footer and checks what it says of itself.
pub fn read_footer(file: &[u8]) -> Result<Footer> {
    let broken = |what: &str| Failure::config(format!("the state file is damaged: {what}; restore it or start without state"));
    if file.len() < MAGIC.len() + TRAILER_BYTES || !file.starts_with(MAGIC) || !file.ends_with(MAGIC) {
        return Err(broken("its first or last 8 bytes are not \"WEIRST1\\n\""));
    }
    let trailer = &file[file.len() - TRAILER_BYTES..];
    let word = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
    let (length, crc) = (word(0) as usize, word(4));
    let end = file.len() - TRAILER_BYTES;
    let start = end.checked_sub(length).filter(|s| *s >= MAGIC.len()).ok_or_else(|| broken("its footer is longer than the file"))?;
    let footer = &file[start..end];
    if crc32fast::hash(footer) != crc {
        return Err(broken("its footer's checksum is wrong"));
    }
    let footer: Footer = serde_json::from_slice(footer).map_err(|e| broken(&format!("its footer can't be read ({e})")))?;
    if footer.format != STATE_V1 {
        return Err(Failure::config(format!(
            "the state file has the format {}; this version reads {}",
            quoted(&footer.format),
            quoted(STATE_V1)
        )));
    }
    Ok(footer)
}

/// One step's rows, batch by batch, in the file's order.
pub struct StepRows<'f> {
    aggregate: &'f Aggregate,
    step: &'f str,
    /// How many there are in all.
    pub rows: u64,
    batches: StreamReader<Cursor<&'f [u8]>>,
    /// Of the batches, those that are needed, in the order of [`block_schema`].
    columns: Vec<usize>,
}

/// Opens one step's rows; `None` if the file has none of it.
pub fn open_step<'f>(file: &'f [u8], footer: &Footer, step: &'f str, aggregate: &'f Aggregate) -> Result<Option<StepRows<'f>>> {
    let Some(block) = footer.blocks.iter().find(|b| b.step == step) else { return Ok(None) };
    let range = usize::try_from(block.offset).ok().zip(usize::try_from(block.bytes).ok()).and_then(|(o, n)| Some(o..o.checked_add(n)?));
    let bytes = range.and_then(|r| file.get(r)).ok_or_else(|| damaged(step, "its block lies outside of the file"))?;
    if crc32fast::hash(bytes) != block.crc32 {
        return Err(damaged(step, "its checksum is wrong"));
    }
    let batches = StreamReader::try_new(Cursor::new(bytes), None).map_err(|e| damaged(step, e))?;
    let saved = batches.schema();
    // By name: aggregates may have been dropped since, or stand in another order.
    let needed = block_schema(aggregate);
    let found = needed.fields().iter().map(|f| saved.column_with_name(f.name()).filter(|(_, s)| s.data_type() == f.data_type()));
    let columns: Vec<_> = found.flatten().map(|(i, _)| i).collect();
    if columns.len() != needed.fields().len() {
        return Err(Failure::config(format!(
            "the saved state of step {} has the columns {}, this plan needs {}",
            quoted(step),
            names(&saved),
            names(&needed)
        )));
    }
    Ok(Some(StepRows { aggregate, step, rows: block.rows, batches, columns }))
}

impl Iterator for StepRows<'_> {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?.and_then(|batch| batch.project(&self.columns)).map_err(|e| damaged(self.step, e));
        Some(batch.and_then(|batch| self.change(&batch)))
    }
}

impl StepRows<'_> {
    fn change(&self, batch: &RecordBatch) -> Result<Change> {
        let mut columns = batch.columns().iter().cloned();
        let (Some(key_groups), Some(windows)) = (columns.next(), columns.next()) else {
            return Err(damaged(self.step, "it has no windows"));
        };
        let keys = columns.by_ref().take(self.aggregate.key_schema.fields().len()).collect();
        let states = self.aggregate.calls.iter().map(|c| columns.by_ref().take(c.state_fields.len()).collect()).collect();
        let partials = Partials { windows: windows.as_primitive::<Int64Type>().clone(), keys, states };
        Ok(Change { key_groups: key_groups.as_primitive::<UInt16Type>().clone(), partials })
    }
}

fn damaged(step: &str, what: impl std::fmt::Display) -> Failure {
    Failure::config(format!("the state of step {} is damaged: {what}; restore it or start without state", quoted(step)))
}

fn batch_of(schema: &SchemaRef, change: &Change) -> Result<RecordBatch, arrow::error::ArrowError> {
    let sorted = &change.partials;
    let first: [ArrayRef; 2] = [Arc::new(change.key_groups.clone()), Arc::new(sorted.windows.clone())];
    let columns = first.into_iter().chain(sorted.keys.iter().cloned()).chain(sorted.states.iter().flatten().cloned()).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// `key_group`, `window_start`, one column per key (`key:<name>`), one per state column (`state:<call's name>:<n>`).
fn block_schema(aggregate: &Aggregate) -> SchemaRef {
    let mut fields = vec![Field::new("key_group", DataType::UInt16, false), Field::new("window_start", DataType::Int64, false)];
    fields.extend(aggregate.key_schema.fields().iter().map(|f| Field::new(format!("key:{}", f.name()), f.data_type().clone(), true)));
    for call in &aggregate.calls {
        let states = call.state_fields.iter().enumerate();
        fields.extend(states.map(|(n, f)| Field::new(format!("state:{}:{n}", call.name), f.data_type().clone(), true)));
    }
    Arc::new(Schema::new(fields))
}

fn names(schema: &Schema) -> String {
    let columns: Vec<_> = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    format!("[{}]", columns.join(", "))
}
