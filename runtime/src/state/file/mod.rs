//! State files: what changed in the keyed state in one epoch (or, compacted, over several). The format is described byte for byte in
//! `docs/formats/state-v1.md`.
//!
//! ```text
//! "WEIRST1\n"  block*  footer (JSON)  footer length (u32 LE)  footer crc32 (u32 LE)  "WEIRST1\n"
//! ```
//!
//! A block is one step's rows as an Arrow IPC stream, sorted by key group, window, key. The footer has each block's place, checksum and
//! ranges, and cuts it into chunks that can be fetched, checked and decoded one by one: neither end has a whole file in memory.

mod read;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

pub use read::{BlockReader, Tail, read_tail};
pub use write::{BATCH_BYTES, Finished, Writer, batches};

use super::schema::TableSchema;

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
    /// Length and CRC-32 of each stretch, one after the other. Files of the first versions have none: then the block is one stretch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chunks: Vec<(u64, u32)>,
}

/// A stretch of the file that can be checked by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub offset: u64,
    pub bytes: u64,
    pub crc32: u32,
}

impl Block {
    /// The block's bytes, in order.
    #[must_use]
    pub fn chunks(&self) -> Vec<Chunk> {
        let whole = [(self.bytes, self.crc32)];
        let chunks = if self.chunks.is_empty() { &whole[..] } else { &self.chunks };
        let mut offset = self.offset;
        let chunks = chunks.iter().map(|(bytes, crc32)| {
            let chunk = Chunk { offset, bytes: *bytes, crc32: *crc32 };
            offset = offset.saturating_add(*bytes);
            chunk
        });
        chunks.collect()
    }
}

/// `key_group`, `window_start`, one column per key (`key:<name>`), one per value (`state:<name>`).
fn block_schema(table: &TableSchema) -> SchemaRef {
    let mut fields = vec![Field::new("key_group", DataType::UInt16, false), Field::new("window_start", DataType::Int64, false)];
    fields.extend(table.keys.fields().iter().map(|f| Field::new(format!("key:{}", f.name()), f.data_type().clone(), true)));
    fields.extend(table.values.iter().map(|v| Field::new(format!("state:{}", v.field.name()), v.field.data_type().clone(), true)));
    Arc::new(Schema::new(fields))
}
