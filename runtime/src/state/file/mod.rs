//! State files: what changed in the keyed state in one epoch, or in several epochs once compacted.
//! `docs/formats/state-v2.md` describes the format byte for byte. Files of version 1 will always be readable.
//!
//! ```text
//! "WEIRST2\n"  block*  footer (JSON)  footer length (u32 LE)  footer crc32 (u32 LE)  "WEIRST2\n"
//! ```
//!
//! A block has the entries of one table of a step as an Arrow IPC stream, sorted by key group, time, key. The footer
//! has each block's place, checksum and ranges. It divides each block into chunks that can be fetched, checked and
//! decoded one by one, so that neither the writer nor the reader has a whole file in memory.

mod claims;
mod columns;
mod footer;
mod read;
mod tail;
pub mod v1;
mod write;

pub use footer::{Block, Chunk, Footer};
pub use read::BlockReader;
pub use tail::{Tail, read_tail};
pub use write::{BATCH_BYTES, Writer, batches};

/// The bytes with which a file begins and ends. No version changes the trailer, so an older one can say who wrote a
/// file.
const MAGIC: &[u8; 8] = b"WEIRST2\n";
const TRAILER_BYTES: usize = 4 + 4 + MAGIC.len();
/// The `format` of this version.
const STATE_V2: &str = "weir.state/v2";
/// The first column of a block.
const KEY_GROUP: &str = "key_group";
