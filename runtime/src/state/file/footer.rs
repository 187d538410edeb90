//! The end of a state file: which blocks it has, where they lie, and the checksum of each of their chunks.

use serde::{Deserialize, Serialize};
use weir_plan::quote::quoted;

use super::STATE_V2;
use crate::VERSION;
use crate::failure::{Failure, Result};
use crate::state::{Kind, StepTable, TableSchema};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Footer {
    format: String,
    /// The version of Weir that wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<String>,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    pub step: String,
    /// The name of the step's table. Files of version 1 have one table per step, without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// `Merge` or `Rows`.
    pub kind: String,
    /// The version of the table's columns.
    pub version: u32,
    pub offset: u64,
    pub bytes: u64,
    pub crc32: u32,
    pub rows: u64,
    /// How many of the rows are deletes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deletes: u64,
    /// Least and greatest, both inclusive.
    pub key_groups: (u16, u16),
    /// Least and greatest, both inclusive, µs. `None` where entries have no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<(i64, i64)>,
    /// The block's chunks, which follow each other without a gap.
    pub(super) chunks: Vec<ChunkOfBlock>,
}

/// Length in bytes, CRC-32, and the greatest key group of the rows up to the chunk's end.
pub(super) type ChunkOfBlock = (u64, u32, u16);

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A range of the file that can be checked by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub offset: u64,
    pub bytes: u64,
    pub crc32: u32,
}

impl Footer {
    pub(super) fn new(version: &str, blocks: Vec<Block>) -> Self {
        Self { format: STATE_V2.to_owned(), writer: Some(version.to_owned()), blocks }
    }

    /// What a file of an earlier format has.
    pub(super) fn former(format: &str, blocks: Vec<Block>) -> Self {
        Self { format: format.to_owned(), writer: None, blocks }
    }

    /// Checks that this version can read a block of a table.
    ///
    /// # Errors
    /// `Config`, with the version that can read it.
    pub fn check(&self, block: &Block, table: &TableSchema) -> Result<()> {
        let kind = table.kind.name();
        if block.version <= table.version && block.kind == kind {
            return Ok(());
        }
        let writer = self.writer.as_deref().unwrap_or("a later version");
        Err(Failure::config(format!(
            "it has table {} of step {} as {} in version {}, and this is Weir {VERSION}, which reads {kind} up to \
             version {}; run the version that \
             wrote it, {writer}, or a later one",
            quoted(table.name),
            quoted(&block.step),
            block.kind,
            block.version,
            table.version
        )))
    }
}

impl Block {
    /// Whether the block's entries belong to this table.
    #[must_use]
    pub fn is_of(&self, table: &StepTable) -> bool {
        self.step == table.step
            && self.table.as_ref().map_or(table.schema.v1.is_some(), |name| name == table.schema.name)
    }

    /// The chunks of the block, in order.
    #[must_use]
    pub fn chunks(&self) -> Vec<Chunk> {
        let mut offset = self.offset;
        let chunks = self.chunks.iter().map(|(bytes, crc32, _)| {
            let chunk = Chunk { offset, bytes: *bytes, crc32: *crc32 };
            offset = offset.saturating_add(*bytes);
            chunk
        });
        chunks.collect()
    }
}

impl Kind {
    /// The kind's name in files.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Merge(_) => "Merge",
            Self::Rows => "Rows",
        }
    }
}
