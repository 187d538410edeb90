//! State files: what changed in the keyed state in one epoch (or, compacted, over several), in one object. The format is described byte for
//! byte in `docs/formats/state-v1.md`.
//!
//! ```text
//! "WEIRST1\n"  block*  footer (JSON)  footer length (u32 LE)  footer crc32 (u32 LE)  "WEIRST1\n"
//! ```
//!
//! A block is one step's rows as an Arrow IPC stream, sorted by key group, window, key. The footer has each block's place, checksum and
//! ranges, so that a reader can leave out what it does not need.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
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

/// Writes the changes of some steps into one file.
pub fn write(changes: &[(&str, &Aggregate, &Change)]) -> Result<Vec<u8>> {
    let mut file = MAGIC.to_vec();
    let mut blocks = Vec::with_capacity(changes.len());
    for (step, aggregate, change) in changes {
        let offset = file.len();
        write_block(&mut file, aggregate, change)?;
        let bytes = &file[offset..];
        let (groups, windows) = (change.key_groups.values(), change.partials.windows.values());
        blocks.push(Block {
            step: (*step).to_owned(),
            offset: offset as u64,
            bytes: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
            rows: change.rows() as u64,
            key_groups: (groups.first().copied().unwrap_or(0), groups.last().copied().unwrap_or(0)),
            window_starts_us: (windows.iter().copied().min().unwrap_or(0), windows.iter().copied().max().unwrap_or(0)),
        });
    }
    let footer =
        serde_json::to_vec(&Footer { format: STATE_V1.to_owned(), blocks }).map_err(|e| Failure::bug(format!("state footer: {e}")))?;
    let length = u32::try_from(footer.len()).map_err(|_| Failure::bug("a state footer over 4 GiB"))?;
    file.extend_from_slice(&footer);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
    file.extend_from_slice(MAGIC);
    Ok(file)
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

/// Reads one step's rows; `None` if the file has none of it.
pub fn read_step(file: &[u8], footer: &Footer, step: &str, aggregate: &Aggregate) -> Result<Option<Partials>> {
    let Some(block) = footer.blocks.iter().find(|b| b.step == step) else { return Ok(None) };
    let broken =
        |what: String| Failure::config(format!("the state of step {} is damaged: {what}; restore it or start without state", quoted(step)));
    let range = usize::try_from(block.offset).ok().zip(usize::try_from(block.bytes).ok()).and_then(|(o, n)| Some(o..o.checked_add(n)?));
    let bytes = range.and_then(|r| file.get(r)).ok_or_else(|| broken("its block lies outside of the file".into()))?;
    if crc32fast::hash(bytes) != block.crc32 {
        return Err(broken("its checksum is wrong".into()));
    }
    let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(|e| broken(e.to_string()))?;
    let saved = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| broken(e.to_string()))?;
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
    let batch = concat_batches(&saved, &batches).and_then(|b| b.project(&columns)).map_err(|e| broken(e.to_string()))?;
    let mut columns = batch.columns()[1..].iter().cloned();
    let windows = columns.next().ok_or_else(|| broken("it has no windows".into()))?.as_primitive::<Int64Type>().clone();
    let keys = columns.by_ref().take(aggregate.key_schema.fields().len()).collect();
    let states = aggregate.calls.iter().map(|c| columns.by_ref().take(c.state_fields.len()).collect()).collect();
    Ok(Some(Partials { windows, keys, states }))
}

fn write_block(file: &mut Vec<u8>, aggregate: &Aggregate, change: &Change) -> Result<()> {
    let failed = |e: arrow::error::ArrowError| Failure::bug(format!("write a state block: {e}"));
    let schema = block_schema(aggregate);
    let sorted = &change.partials;
    let first: [ArrayRef; 2] = [Arc::new(change.key_groups.clone()), Arc::new(sorted.windows.clone())];
    let columns = first.into_iter().chain(sorted.keys.iter().cloned()).chain(sorted.states.iter().flatten().cloned()).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(failed)?;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(failed)?;
    let mut writer = StreamWriter::try_new_with_options(file, &schema, options).map_err(failed)?;
    writer.write(&batch).and_then(|()| writer.finish()).map_err(failed)
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
