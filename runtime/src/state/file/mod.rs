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

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use weir_plan::quote::quoted;

pub use read::{BlockReader, Tail, read_tail};
pub use write::{BATCH_BYTES, Finished, Writer, batches};

use super::change::Change;
use super::schema::{Kind, TableSchema};
use crate::failure::{Failure, Result};

const MAGIC: &[u8; 8] = b"WEIRST1\n";
const TRAILER_BYTES: usize = 4 + 4 + MAGIC.len();
/// The `format` of this version.
pub const STATE_V1: &str = "weir.state/v1";
/// The first two columns of a block.
pub const KEY_GROUP: &str = "key_group";
pub const WINDOW_START: &str = "window_start";

/// How a table's entries stand in a block. This version has rows of windows only, by their start; what steps keep in memory they translate.
pub trait V1: Send + Sync {
    /// A block's columns: [`KEY_GROUP`], [`WINDOW_START`], then keys and values under names that never change.
    fn schema(&self) -> &SchemaRef;
    /// Whether older files may lack a column, by its place: it is null then.
    fn may_lack(&self, column: usize) -> bool;
    /// The columns of some entries.
    fn columns(&self, change: &Change) -> Vec<ArrayRef>;
    /// The entries of such columns.
    ///
    /// # Errors
    /// A bug: the columns are not those of the schema.
    fn change(&self, columns: Vec<ArrayRef>) -> Result<Change>;
}

/// Whether files of this version can keep the tables of a step.
///
/// # Errors
/// A bug, with the step and its tables: these files name rows by their step alone, and have no deletes.
pub fn check(step: &str, tables: &[Arc<TableSchema>]) -> Result<()> {
    if tables.len() <= 1 && tables.iter().all(|table| matches!(table.kind, Kind::Merge(_))) {
        return Ok(());
    }
    let names: Vec<_> = tables.iter().map(|table| quoted(table.name)).collect();
    Err(Failure::bug(format!(
        "step {} keeps {}; state files of version 1 have one table per step, whose entries merge",
        quoted(step),
        names.join(" and ")
    )))
}

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
