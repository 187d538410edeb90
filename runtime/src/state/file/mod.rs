//! State files: what changed in the keyed state in one epoch (or, compacted, over several). The format is described
//! byte for byte in `docs/formats/state-v2.md`; files of version 1 are read for good.
//!
//! ```text
//! "WEIRST2\n"  block*  footer (JSON)  footer length (u32 LE)  footer crc32 (u32 LE)  "WEIRST2\n"
//! ```
//!
//! A block is the entries of one table of a step as an Arrow IPC stream, sorted by key group, time, key. The footer has
//! each block's place, checksum and ranges, and cuts it into chunks that can be fetched, checked and decoded one by
//! one: neither end has a whole file in memory.

mod columns;
mod footer;
mod read;
pub mod v1;
mod write;

pub use footer::{Block, Chunk, Footer, Tail, read_tail};
pub use read::BlockReader;
pub use write::{BATCH_BYTES, Writer, batches};

/// How a file begins and ends. Every version keeps the trailer as it is, so that an older one can say who wrote a file.
const MAGIC: &[u8; 8] = b"WEIRST2\n";
const TRAILER_BYTES: usize = 4 + 4 + MAGIC.len();
/// The `format` of this version.
const STATE_V2: &str = "weir.state/v2";
/// The first column of a block.
const KEY_GROUP: &str = "key_group";
