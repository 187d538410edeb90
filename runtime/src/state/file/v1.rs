//! State files of version 1 (`docs/formats/state-v1.md`). They have one table per step, whose entries merge and go by
//! the start of a window. They are read, but not written any more.

use serde::Deserialize;

use super::footer::{Block, ChunkOfBlock, Footer};

/// The `format` of version 1.
pub const STATE_V1: &str = "weir.state/v1";
/// The first two columns of a block are this one and [`WINDOW_START`].
pub const KEY_GROUP: &str = "key_group";
pub const WINDOW_START: &str = "window_start";

/// Decodes a footer of version 1 into today's type.
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
        /// Files of the earliest releases have no chunks: the whole block is one chunk.
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
    Ok(Footer::former(STATE_V1, blocks.collect()))
}
