//! Reads a state file from its end: the footer says where the chunks are, and each is checked before a byte of it is decoded.

use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use crc32fast::Hasher;
use weir_plan::quote::quoted;

use super::{Block, Chunk, Footer, MAGIC, STATE_V1, TRAILER_BYTES, V1};
use crate::checkpoint::state_files::damaged;
use crate::failure::{Failure, Result};
use crate::state::{Change, TableSchema};

/// What the end of a file comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
    Footer(Footer),
    /// The footer is longer: the last so many bytes of the file are needed.
    Longer(u64),
}

/// Reads the footer from the last bytes of a file that has so many and this checksum, by its manifest. What it says of all chunks must come to
/// that checksum: then it is the footer of that very file.
///
/// # Errors
/// `Config`: the file is damaged, or of another version.
pub fn read_tail(tail: &[u8], file_bytes: u64, file_crc32: u32) -> Result<Tail> {
    if tail.len() < TRAILER_BYTES || !tail.ends_with(MAGIC) {
        return Err(damaged("its last 8 bytes are not \"WEIRST1\\n\""));
    }
    let (before, trailer) = tail.split_at(tail.len() - TRAILER_BYTES);
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
    let footer: Footer = serde_json::from_slice(encoded).map_err(|e| damaged(format!("its footer can't be read ({e})")))?;
    if footer.format != STATE_V1 {
        return Err(Failure::config(format!("its format is {}; this version reads {}", quoted(&footer.format), quoted(STATE_V1))));
    }
    let mut crc = Hasher::new();
    crc.update(MAGIC);
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

/// Adds a block to the file's checksum, by what the footer says of its chunks.
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

/// Decodes a block, chunk by chunk.
pub struct BlockReader {
    v1: Arc<dyn V1>,
    step: String,
    decoder: StreamDecoder,
    /// Of the saved columns, those that are needed, in their order; none where an older version did not keep it.
    columns: Option<Vec<Option<usize>>>,
    rows_missing: u64,
}

impl BlockReader {
    #[must_use]
    pub fn new(block: &Block, table: &TableSchema) -> Self {
        let v1 = Arc::clone(&table.v1);
        Self { v1, step: block.step.clone(), decoder: StreamDecoder::new(), columns: None, rows_missing: block.rows }
    }

    /// The rows of the next chunk.
    ///
    /// # Errors
    /// `Config`: the chunk is damaged, or its columns are not those of the plan.
    pub fn decode(&mut self, chunk: &Chunk, bytes: Bytes) -> Result<Vec<Change>> {
        if bytes.len() as u64 != chunk.bytes || crc32fast::hash(&bytes) != chunk.crc32 {
            return Err(damaged(format!(
                "the checksum of bytes {} to {} is wrong",
                chunk.offset,
                chunk.offset.saturating_add(chunk.bytes)
            )));
        }
        let mut bytes = Buffer::from(bytes);
        let mut changes = Vec::new();
        while !bytes.is_empty() {
            if let Some(batch) = self.decoder.decode(&mut bytes).map_err(|e| self.unreadable(e))? {
                self.rows_missing = self.rows_missing.saturating_sub(batch.num_rows() as u64);
                changes.push(self.change(&batch)?);
            }
        }
        Ok(changes)
    }

    /// After the last chunk.
    ///
    /// # Errors
    /// `Config`: there are fewer rows than the footer says.
    pub fn finish(mut self) -> Result<()> {
        self.decoder.finish().map_err(|e| self.unreadable(e))?;
        if self.rows_missing > 0 {
            return Err(self.unreadable(format!("{} rows are missing", self.rows_missing)));
        }
        Ok(())
    }

    fn change(&mut self, batch: &RecordBatch) -> Result<Change> {
        if self.columns.is_none() {
            self.columns = Some(self.found(&batch.schema())?);
        }
        let columns = self.columns.iter().flatten().zip(self.v1.schema().fields()).map(|(column, field)| match column {
            Some(i) => Arc::clone(batch.column(*i)),
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
        self.v1.change(columns.collect())
    }

    /// By name: aggregates may have been dropped since, or stand in another order.
    fn found(&self, saved: &Schema) -> Result<Vec<Option<usize>>> {
        let needed = self.v1.schema();
        let found = needed.fields().iter().map(|f| saved.column_with_name(f.name()).filter(|(_, s)| s.data_type() == f.data_type()));
        let columns: Vec<_> = found.map(|found| found.map(|(i, _)| i)).collect();
        if columns.iter().enumerate().all(|(i, column)| column.is_some() || self.v1.may_lack(i)) {
            return Ok(columns);
        }
        Err(Failure::config(format!(
            "the saved state of step {} has the columns {}, this plan needs {}",
            quoted(&self.step),
            names(saved),
            names(needed)
        )))
    }

    fn unreadable(&self, what: impl std::fmt::Display) -> Failure {
        damaged(format!("the rows of step {} can't be read ({what})", quoted(&self.step)))
    }
}

fn names(schema: &Schema) -> String {
    let columns: Vec<_> = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    format!("[{}]", columns.join(", "))
}
