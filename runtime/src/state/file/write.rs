//! Writes a state file. What is encoded is taken away as it comes, for the upload: only the batch in hand is in memory.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use crc32fast::Hasher;

use super::{Block, Footer, MAGIC, STATE_V1, V1};
use crate::failure::{Failure, Result};
use crate::state::{Change, TableSchema};

/// Rows of one batch, at most.
const BATCH_ROWS: usize = 16_384;
/// Bytes of one batch, unpacked: what a reader has in memory of a file at a time. One row may be larger.
pub const BATCH_BYTES: usize = 512 << 10;

/// A file in the making.
pub struct Writer {
    /// Encoded, and not taken yet.
    encoded: Vec<u8>,
    /// All that was encoded.
    bytes: u64,
    crc: Hasher,
    blocks: Vec<Block>,
    open: Option<OpenBlock>,
    max_window_end_us: i64,
}

struct OpenBlock {
    stream: StreamWriter<Vec<u8>>,
    v1: Arc<dyn V1>,
    block: Block,
    crc: Hasher,
}

/// A file whose last bytes are made.
pub struct Finished {
    pub rest: Vec<u8>,
    /// Of the whole file.
    pub bytes: u64,
    pub crc32: u32,
    pub blocks: Vec<Block>,
    /// The greatest end of a window that rows are of, as manifests of version 1 have it.
    pub max_window_end_us: i64,
}

impl Default for Writer {
    fn default() -> Self {
        let mut writer =
            Self { encoded: Vec::new(), bytes: 0, crc: Hasher::new(), blocks: Vec::new(), open: None, max_window_end_us: i64::MIN };
        writer.append(MAGIC);
        writer
    }
}

impl Writer {
    /// Adds rows of a step, one of [`batches`]. Rows of one step come one after the other, in the order of the file.
    pub fn write(&mut self, step: &str, table: &TableSchema, batch: &Change) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|open| open.block.step != step) {
            self.close_block()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenBlock::new(step, table, self.bytes)?),
        };
        let record_batch = RecordBatch::try_new(Arc::clone(open.v1.schema()), open.v1.columns(batch)).map_err(refused)?;
        open.stream.write(&record_batch).map_err(refused)?;
        let block = &mut open.block;
        block.rows += batch.rows() as u64;
        block.key_groups = batch.key_groups.values().iter().fold(block.key_groups, |(least, most), g| (least.min(*g), most.max(*g)));
        let starts = record_batch.column(1).as_primitive::<Int64Type>().values().iter();
        block.window_starts_us = starts.fold(block.window_starts_us, |(least, most), w| (least.min(*w), most.max(*w)));
        // A window's time is its last moment.
        let ends = batch.entries.times.values().iter().map(|last_moment| last_moment.saturating_add(1));
        self.max_window_end_us = ends.fold(self.max_window_end_us, i64::max);
        let chunk = open.chunk();
        self.append(&chunk);
        Ok(())
    }

    /// What has been encoded since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.encoded)
    }

    /// Bytes of the file so far, those that were taken included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(mut self) -> Result<Finished> {
        self.close_block()?;
        let blocks = std::mem::take(&mut self.blocks);
        let footer = Footer { format: STATE_V1.to_owned(), blocks };
        let encoded = serde_json::to_vec(&footer).map_err(|e| Failure::bug(format!("state footer: {e}")))?;
        let length = u32::try_from(encoded.len()).map_err(|_| Failure::bug("a state footer over 4 GiB"))?;
        self.append(&encoded);
        self.append(&length.to_le_bytes());
        self.append(&crc32fast::hash(&encoded).to_le_bytes());
        self.append(MAGIC);
        let (bytes, crc32, max_window_end_us) = (self.bytes, self.crc.finalize(), self.max_window_end_us);
        Ok(Finished { rest: self.encoded, bytes, crc32, blocks: footer.blocks, max_window_end_us })
    }

    fn close_block(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.stream.finish().map_err(refused)?;
        let end = open.chunk();
        self.append(&end);
        self.blocks.push(Block { crc32: open.crc.finalize(), ..open.block });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.encoded.extend_from_slice(bytes);
    }
}

impl OpenBlock {
    fn new(step: &str, table: &TableSchema, offset: u64) -> Result<Self> {
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(refused)?;
        let stream = StreamWriter::try_new_with_options(Vec::new(), table.v1.schema(), options).map_err(refused)?;
        let block = Block {
            step: step.to_owned(),
            offset,
            bytes: 0,
            crc32: 0,
            rows: 0,
            key_groups: (u16::MAX, 0),
            window_starts_us: (i64::MAX, i64::MIN),
            chunks: Vec::new(),
        };
        Ok(Self { stream, v1: Arc::clone(&table.v1), block, crc: Hasher::new() })
    }

    /// What the stream has encoded since the last time: one chunk.
    fn chunk(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(self.stream.get_mut());
        let mut crc = Hasher::new();
        crc.update(&bytes);
        self.crc.combine(&crc);
        self.block.bytes += bytes.len() as u64;
        self.block.chunks.push((bytes.len() as u64, crc.finalize()));
        bytes
    }
}

/// The stretches of a change that are written as one batch each, not copied.
#[must_use]
pub fn batches(change: &Change) -> Vec<Change> {
    let mut batches = Vec::new();
    for from in (0..change.rows()).step_by(BATCH_ROWS) {
        cut(change.slice(from, BATCH_ROWS.min(change.rows() - from)), &mut batches);
    }
    batches
}

/// In halves, until each is small enough: rows differ in size.
fn cut(change: Change, batches: &mut Vec<Change>) {
    let rows = change.rows();
    if rows <= 1 || bytes_of(&change) <= BATCH_BYTES {
        batches.push(change);
        return;
    }
    cut(change.slice(0, rows / 2), batches);
    cut(change.slice(rows / 2, rows - rows / 2), batches);
}

fn bytes_of(change: &Change) -> usize {
    let columns = change.entries.keys.iter().chain(&change.entries.values);
    let of = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
    columns.map(of).sum()
}

fn refused(e: ArrowError) -> Failure {
    Failure::bug(format!("write a state block: {e}"))
}
