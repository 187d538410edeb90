//! Writes a state file. The upload takes the encoded bytes as they come, so that only the current batch is in memory.

use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use crc32fast::Hasher;

use super::columns::Columns;
use super::{Block, Footer, MAGIC};
use crate::failure::{Failure, Result};
use crate::sizes;
use crate::state::{Change, TableSchema};

/// The most rows of one batch.
const BATCH_ROWS: usize = 16_384;
/// The most bytes of one batch, uncompressed. A reader has this much of a file in memory at a time. One row may be
/// larger.
pub const BATCH_BYTES: usize = 512 << 10;

/// A state file that is being written.
pub struct Writer {
    version: &'static str,
    /// Bytes that are encoded and not taken yet.
    encoded: Vec<u8>,
    /// The number of all bytes encoded so far.
    bytes: u64,
    crc: Hasher,
    blocks: Vec<Block>,
    open: Option<OpenBlock>,
}

struct OpenBlock {
    stream: StreamWriter<Vec<u8>>,
    columns: Columns,
    block: Block,
    crc: Hasher,
}

/// A file that has been written to its end.
pub struct Finished {
    pub rest: Vec<u8>,
    /// The length of the whole file.
    pub bytes: u64,
    pub crc32: u32,
    pub blocks: Vec<Block>,
}

impl Writer {
    /// `version` is the version of Weir that writes the file.
    #[must_use]
    pub fn new(version: &'static str) -> Self {
        let mut writer =
            Self { version, encoded: Vec::new(), bytes: 0, crc: Hasher::new(), blocks: Vec::new(), open: None };
        writer.append(MAGIC);
        writer
    }

    /// Adds one of the [`batches`] of a step's table. Batches of one table come one after the other, in the order of
    /// the file.
    pub fn write(&mut self, step: &str, table: &TableSchema, batch: &Change) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.block.step != step || open.block.table.as_deref() != Some(table.name))
        {
            self.close_block()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenBlock::new(step, table, self.bytes)?),
        };
        let chunk = open.write(batch)?;
        self.append(&chunk);
        Ok(())
    }

    /// Takes the bytes that were encoded since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.encoded)
    }

    /// Bytes of the file so far, including those that were taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(mut self) -> Result<Finished> {
        self.close_block()?;
        let footer = Footer::new(self.version, std::mem::take(&mut self.blocks));
        let encoded = serde_json::to_vec(&footer).map_err(|e| Failure::bug(format!("state footer: {e}")))?;
        let length = u32::try_from(encoded.len()).map_err(|_| Failure::bug("a state footer over 4 GiB"))?;
        self.append(&encoded);
        self.append(&length.to_le_bytes());
        self.append(&crc32fast::hash(&encoded).to_le_bytes());
        self.append(MAGIC);
        Ok(Finished { rest: self.encoded, bytes: self.bytes, crc32: self.crc.finalize(), blocks: footer.blocks })
    }

    fn close_block(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.stream.finish().map_err(refused)?;
        let end = open.chunk(open.block.key_groups.1);
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
        let options =
            IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(refused)?;
        let columns = Columns::of(table);
        let stream = StreamWriter::try_new_with_options(Vec::new(), columns.schema(), options).map_err(refused)?;
        let block = Block {
            step: step.to_owned(),
            table: Some(table.name.to_owned()),
            kind: table.kind.name().to_owned(),
            version: table.version,
            offset,
            bytes: 0,
            crc32: 0,
            rows: 0,
            deletes: 0,
            key_groups: (u16::MAX, 0),
            times: table.has_time().then_some((i64::MAX, i64::MIN)),
            chunks: Vec::new(),
        };
        Ok(Self { stream, columns, block, crc: Hasher::new() })
    }

    /// Encodes a batch as one chunk and returns the chunk's bytes.
    fn write(&mut self, batch: &Change) -> Result<Vec<u8>> {
        let schema = Arc::clone(self.columns.schema());
        let record_batch = RecordBatch::try_new(schema, self.columns.of_change(batch)).map_err(refused)?;
        self.stream.write(&record_batch).map_err(refused)?;
        let (block, entries) = (&mut self.block, &batch.entries);
        block.rows += batch.rows() as u64;
        block.deletes += entries.deleted.as_ref().map_or(0, |deleted| deleted.true_count() as u64);
        block.key_groups =
            batch.key_groups.values().iter().fold(block.key_groups, |(least, most), g| (least.min(*g), most.max(*g)));
        if let Some(times) = &mut block.times {
            *times =
                entries.times.values().iter().fold(*times, |(least, most), time| (least.min(*time), most.max(*time)));
        }
        let last = batch.key_groups.values().last().copied().unwrap_or_default();
        Ok(self.chunk(last))
    }

    /// Takes what the stream has encoded since the last call as one chunk. Its last row has this key group.
    fn chunk(&mut self, key_group: u16) -> Vec<u8> {
        let bytes = std::mem::take(self.stream.get_mut());
        let mut crc = Hasher::new();
        crc.update(&bytes);
        self.crc.combine(&crc);
        self.block.bytes += bytes.len() as u64;
        self.block.chunks.push((bytes.len() as u64, crc.finalize(), key_group));
        bytes
    }
}

/// Divides a change into the ranges of rows that are each written as one batch, without copying.
#[must_use]
pub fn batches(change: &Change) -> Vec<Change> {
    let mut batches = Vec::new();
    for from in (0..change.rows()).step_by(BATCH_ROWS) {
        cut(change.slice(from, BATCH_ROWS.min(change.rows() - from)), &mut batches);
    }
    batches
}

/// Cuts a change into halves until each is small enough, since rows differ in size.
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
    change.entries.keys.iter().chain(&change.entries.values).map(|column| sizes::bytes_of(column)).sum()
}

fn refused(e: ArrowError) -> Failure {
    Failure::bug(format!("write a state block: {e}"))
}
