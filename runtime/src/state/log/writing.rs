//! Rows into state files, each of a bounded size: what is encoded goes on its way before the next batch is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StepTable;
use crate::VERSION;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::{StateFile, TableInFile};
use crate::checkpoint::state_files::{NewFile, StateFiles};
use crate::failure::Result;
use crate::state::Change;
use crate::state::file::{self as state_file, Block};

/// State files are `state/<name>.state`.
const EXTENSION: &str = "state";
/// A file that has so many bytes is closed, and another one goes on.
const FILE_BYTES: u64 = 64 << 20;

/// Files in the making, one after the other, with names that count up.
pub struct Output {
    tables: Arc<[StepTable]>,
    store: StateFiles,
    next: StateName,
    file_bytes: u64,
    files: Vec<StateFile>,
    open: Option<(state_file::Writer, NewFile)>,
}

impl Output {
    pub fn new(tables: Arc<[StepTable]>, store: StateFiles, first: StateName) -> Self {
        Self { tables, store, next: first, file_bytes: FILE_BYTES, files: Vec::new(), open: None }
    }

    #[cfg(test)]
    pub fn with_files_of(self, file_bytes: Option<u64>) -> Self {
        Self { file_bytes: file_bytes.unwrap_or(self.file_bytes), ..self }
    }

    /// Adds rows of a table. All of one table come one after the other, in the order of state files.
    pub async fn write(&mut self, table: usize, change: &Change) -> Result<()> {
        let tables = Arc::clone(&self.tables);
        let table = &tables[table];
        for batch in state_file::batches(change) {
            let (writer, file) = match &mut self.open {
                Some(open) => open,
                none => {
                    let file = self.store.create(&self.next, EXTENSION);
                    self.next.n += 1;
                    none.insert((state_file::Writer::new(VERSION), file))
                }
            };
            writer.write(&table.step, &table.schema, &batch)?;
            file.push(writer.take()).await?;
            if writer.bytes() >= self.file_bytes {
                self.close().await?;
            }
        }
        Ok(())
    }

    /// Writes what has changed of some tables, by number, each in the order of key groups.
    pub async fn write_all(mut self, changes: BTreeMap<usize, Vec<Change>>) -> Result<Vec<StateFile>> {
        for (table, changes) in changes {
            for change in changes {
                self.write(table, &change).await?;
            }
        }
        self.finish().await
    }

    /// The files, all of them whole. No rows, no file.
    pub async fn finish(mut self) -> Result<Vec<StateFile>> {
        self.close().await?;
        Ok(self.files)
    }

    /// Gives up the file in hand; those before it are for garbage collection.
    pub async fn abort(self) {
        if let Some((_, file)) = self.open {
            file.abort().await;
        }
    }

    async fn close(&mut self) -> Result<()> {
        let Some((writer, mut file)) = self.open.take() else { return Ok(()) };
        let finished = writer.finish()?;
        file.push(finished.rest).await?;
        let path = file.finish().await?;
        let rows = finished.blocks.iter().map(|block| block.rows).sum();
        self.files.push(StateFile {
            path,
            bytes: finished.bytes,
            rows,
            crc32: finished.crc32,
            tables: tables_in(finished.blocks),
        });
        Ok(())
    }
}

/// What a manifest says of blocks: a table may go on in several.
fn tables_in(blocks: Vec<Block>) -> Vec<TableInFile> {
    let mut tables: Vec<TableInFile> = Vec::new();
    for block in blocks {
        let (step, table, max_time_us) =
            (block.step, block.table.unwrap_or_default(), block.times.map(|(_, last)| last));
        match tables.iter_mut().find(|of| of.step == step && of.table == table) {
            Some(of) => of.max_time_us = of.max_time_us.max(max_time_us),
            None => tables.push(TableInFile { step, table, max_time_us }),
        }
    }
    tables
}
