//! Decodes the blocks of a state file, chunk by chunk. Each chunk is checked before a byte of it is decoded.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use weir_plan::panics::caught;
use weir_plan::quote::quoted;

use super::columns::Columns;
use super::{Block, Chunk, Footer, claims};
use crate::checkpoint::state_files::damaged;
use crate::failure::{Failure, Result};
use crate::state::{Change, Grouped, TableSchema, V1};

/// Decodes a block.
pub struct BlockReader {
    step: String,
    decoder: StreamDecoder,
    saved: Saved,
    /// The index of each needed column among the saved ones; `None` where an older version did not keep the column. The
    /// whole is `None` until the first batch has come.
    columns: Option<Vec<Option<usize>>>,
    rows_missing: u64,
}

/// How entries stand in a block.
enum Saved {
    V2(Columns),
    /// The first files of this version had other key groups than today's, so key groups are computed again, from this
    /// many key columns.
    V1(Arc<dyn V1>, usize),
}

impl BlockReader {
    /// # Errors
    /// `Config`: a later version wrote the block.
    pub fn new(footer: &Footer, block: &Block, table: &TableSchema) -> Result<Self> {
        footer.check(block, table)?;
        let saved = match &table.v1 {
            Some(v1) if block.table.is_none() => Saved::V1(Arc::clone(v1), table.hashed),
            _ => Saved::V2(Columns::of(table)),
        };
        Ok(Self {
            step: block.step.clone(),
            decoder: StreamDecoder::new(),
            saved,
            columns: None,
            rows_missing: block.rows,
        })
    }

    /// Decodes the rows of the next chunk.
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
        claims::check(&bytes).map_err(|why| self.unreadable(why))?;
        let mut bytes = Buffer::from(bytes);
        let mut changes = Vec::new();
        while !bytes.is_empty() {
            // Arrow asserts what a right checksum does not prove: that Weir has written these bytes.
            let decoded = caught(|| self.decoder.decode(&mut bytes));
            if let Some(batch) = decoded.map_err(|e| self.unreadable(e))? {
                self.rows_missing = self.rows_missing.saturating_sub(batch.num_rows() as u64);
                changes.push(self.change(&batch)?);
            }
        }
        Ok(changes)
    }

    /// Ends the block after its last chunk.
    ///
    /// # Errors
    /// `Config`: the block has fewer rows than the footer says.
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
        let columns =
            self.columns.iter().flatten().zip(self.saved.schema().fields()).map(|(column, field)| match column {
                Some(i) => Arc::clone(batch.column(*i)),
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        self.saved.change(columns.collect())
    }

    /// Finds columns by name, since aggregates may have been dropped since, or may stand in another order.
    fn found(&self, saved: &Schema) -> Result<Vec<Option<usize>>> {
        let needed = self.saved.schema();
        let found = needed
            .fields()
            .iter()
            .map(|f| saved.column_with_name(f.name()).filter(|(_, s)| s.data_type() == f.data_type()));
        let columns: Vec<_> = found.map(|found| found.map(|(i, _)| i)).collect();
        if columns.iter().enumerate().all(|(i, column)| column.is_some() || self.saved.may_lack(i)) {
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

impl Saved {
    fn schema(&self) -> &SchemaRef {
        match self {
            Self::V2(columns) => columns.schema(),
            Self::V1(v1, _) => v1.schema(),
        }
    }

    fn may_lack(&self, column: usize) -> bool {
        match self {
            Self::V2(columns) => columns.may_lack(column),
            Self::V1(v1, _) => v1.may_lack(column),
        }
    }

    fn change(&self, columns: Vec<ArrayRef>) -> Result<Change> {
        match self {
            Self::V2(of_table) => of_table.change(columns),
            Self::V1(v1, hashed) => Ok(Change(Grouped::of(v1.entries(columns)?, *hashed)?)),
        }
    }
}

fn names(schema: &Schema) -> String {
    let columns: Vec<_> = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    format!("[{}]", columns.join(", "))
}
