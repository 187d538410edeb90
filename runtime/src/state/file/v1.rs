//! State files of version 1 (`docs/formats/state-v1.md`): they have one table per step, whose entries merge, by the
//! start of a window. They are read, and not written any more.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use serde::Deserialize;

use super::footer::{Block, ChunkOfBlock, Footer};
use crate::failure::Result;
use crate::state::Entries;

/// The `format` of that version.
pub const STATE_V1: &str = "weir.state/v1";
/// The first two columns of a block.
pub const KEY_GROUP: &str = "key_group";
pub const WINDOW_START: &str = "window_start";

/// What stands in a block of the table of a step, and what it is by now.
pub trait V1: Send + Sync {
    /// A block's columns: [`KEY_GROUP`], [`WINDOW_START`], then keys and values.
    fn schema(&self) -> &SchemaRef;
    /// Whether older files may lack a column, by its place: it is null then.
    fn may_lack(&self, column: usize) -> bool;
    /// The entries of such columns.
    ///
    /// # Errors
    /// A bug: the columns are not those of the schema.
    fn entries(&self, columns: Vec<ArrayRef>) -> Result<Entries>;
}

/// A footer of that version, in the words of today's.
pub(super) fn decode(encoded: &[u8]) -> serde_json::Result<Footer> {
    #[derive(Deserialize)]
    struct FooterV1 {
        blocks: Vec<BlockV1>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct BlockV1 {
        step: String,
        offset: u64,
        bytes: u64,
        crc32: u32,
        rows: u64,
        key_groups: (u16, u16),
        /// Files of the first versions have none: then the block is one stretch.
        #[serde(default)]
        chunks: Vec<(u64, u32)>,
    }
    let footer: FooterV1 = serde_json::from_slice(encoded)?;
    let blocks = footer.blocks.into_iter().map(|block| {
        let whole = vec![(block.bytes, block.crc32)];
        let chunks = if block.chunks.is_empty() { whole } else { block.chunks };
        let last_of_block = block.key_groups.1;
        let chunks =
            chunks.into_iter().map(|(bytes, crc32)| -> ChunkOfBlock { (bytes, crc32, last_of_block) }).collect();
        Block {
            step: block.step,
            table: None,
            kind: "Merge".into(),
            version: 1,
            offset: block.offset,
            bytes: block.bytes,
            crc32: block.crc32,
            rows: block.rows,
            deletes: 0,
            key_groups: block.key_groups,
            times: None,
            chunks,
        }
    });
    Ok(Footer::of_v1(blocks.collect()))
}
