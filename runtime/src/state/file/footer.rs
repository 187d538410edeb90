//! The end of a state file: which blocks it has, where they lie, and the checksum of each of their chunks.

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};
use weir_plan::quote::quoted;

use super::{MAGIC, STATE_V2, TRAILER_BYTES, v1};
use crate::VERSION;
use crate::checkpoint::state_files::damaged;
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

    pub(super) fn of_v1(blocks: Vec<Block>) -> Self {
        Self { format: v1::STATE_V1.to_owned(), writer: None, blocks }
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

/// The result of reading the end of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
    Footer(Footer),
    /// The footer is longer: the caller has to read this many bytes from the end of the file.
    Longer(u64),
}

/// Reads the footer from the last bytes of a file whose length and checksum the manifest gives. The checksums of all
/// chunks in the footer must combine to that checksum, which proves that the footer belongs to this very file.
///
/// # Errors
/// `Config`: the file is damaged, or has a version that cannot be read here.
pub fn read_tail(tail: &[u8], file_bytes: u64, file_crc32: u32) -> Result<Tail> {
    let Some((before, trailer)) =
        tail.split_last_chunk::<TRAILER_BYTES>().filter(|(_, trailer)| is_magic(&trailer[8..]))
    else {
        return Err(damaged("its last 8 bytes are not \"WEIRST2\\n\", as every state file has them"));
    };
    let magic = &trailer[8..];
    let word = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
    let (length, crc32) = (word(0) as usize, word(4));
    let with_trailer = (length + TRAILER_BYTES) as u64;
    if with_trailer + MAGIC.len() as u64 > file_bytes {
        return Err(damaged("its footer is longer than the file"));
    }
    let Some(start) = before.len().checked_sub(length) else { return Ok(Tail::Longer(with_trailer)) };
    let encoded = &before[start..];
    if crc32fast::hash(encoded) != crc32 {
        return Err(damaged("its footer's checksum is wrong"));
    }
    let footer = decode(encoded)?;
    let mut crc = Hasher::new();
    crc.update(magic);
    for block in &footer.blocks {
        add(&mut crc, block)?;
    }
    crc.combine(&Hasher::new_with_initial_len(crc32, length as u64));
    let mut of_trailer = Hasher::new();
    of_trailer.update(trailer);
    crc.combine(&of_trailer);
    if crc.finalize() != file_crc32 {
        return Err(damaged("its checksum is not the one that its manifest has"));
    }
    Ok(Tail::Footer(footer))
}

/// Whether the bytes are the magic of any version; versions differ in the digit.
fn is_magic(bytes: &[u8]) -> bool {
    bytes.len() == MAGIC.len()
        && bytes
            .iter()
            .zip(MAGIC)
            .enumerate()
            .all(|(i, (byte, ours))| byte == ours || (i == 6 && byte.is_ascii_digit()))
}

fn decode(encoded: &[u8]) -> Result<Footer> {
    /// The fields that every version has.
    #[derive(Deserialize)]
    struct Any {
        format: String,
        #[serde(default)]
        writer: Option<String>,
    }
    let unreadable = |e: serde_json::Error| damaged(format!("its footer can't be read ({e})"));
    let any: Any = serde_json::from_slice(encoded).map_err(unreadable)?;
    match any.format.as_str() {
        STATE_V2 => serde_json::from_slice(encoded).map_err(unreadable),
        v1::STATE_V1 => v1::decode(encoded).map_err(unreadable),
        other => Err(Failure::config(format!(
            "its format is {}, and this is Weir {VERSION}, which reads {} and {}; run the version that wrote it{}",
            quoted(other),
            quoted(v1::STATE_V1),
            quoted(STATE_V2),
            any.writer.map_or(String::new(), |writer| format!(", {writer}, or a later one")),
        ))),
    }
}

/// Adds a block to the file's checksum, from what the footer says about its chunks.
fn add(crc: &mut Hasher, block: &Block) -> Result<()> {
    let mut of_block = Hasher::new();
    for chunk in block.chunks() {
        of_block.combine(&Hasher::new_with_initial_len(chunk.crc32, chunk.bytes));
    }
    let bytes = block.chunks().iter().fold(0_u64, |bytes, chunk| bytes.saturating_add(chunk.bytes));
    if bytes != block.bytes || of_block.clone().finalize() != block.crc32 {
        return Err(damaged(format!("its footer contradicts itself about step {}", quoted(&block.step))));
    }
    crc.combine(&of_block);
    Ok(())
}
