//! The last bytes of a state file, of any version: its footer, once its checksums are right.

use crc32fast::Hasher;
use serde::Deserialize;
use weir_plan::quote::quoted;

use super::footer::{Block, Footer};
use super::{MAGIC, STATE_V2, TRAILER_BYTES, v1};
use crate::VERSION;
use crate::checkpoint::state_files::damaged;
use crate::failure::{Failure, Result};

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
