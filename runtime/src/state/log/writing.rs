//! Writes rows into state files of bounded size. Each encoded batch is sent before the next one is encoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::VERSION;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::{StateFile, TableInFile};
use crate::checkpoint::state_files::{NewFile, StateFiles};
use crate::failure::Result;
use crate::state::Change;
use crate::state::StepTable;
use crate::state::file::{self as state_file, Block};

/// The extension of state files: `state/<name>.state`.
const EXTENSION: &str = "state";
/// A file that has this many bytes is closed, and the next rows go into another one.
const FILE_BYTES: u64 = 64 << 20;

/// State files that are being written, one after the other. The numbers in their names count up.
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

    /// Adds rows of a table. All rows of one table come one after the other, in the order of state files.
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

    /// Writes the changes of some tables, by table number. Each table's changes are in the order of key groups.
    pub async fn write_all(mut self, changes: BTreeMap<usize, Vec<Change>>) -> Result<Vec<StateFile>> {
        for (table, changes) in changes {
            for change in changes {
                self.write(table, &change).await?;
            }
        }
        self.finish().await
    }

    /// Completes the last file and returns all files. Without rows there is no file.
    pub async fn finish(mut self) -> Result<Vec<StateFile>> {
        self.close().await?;
        Ok(self.files)
    }

    /// Gives up the open file. Garbage collection removes those before it.
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

/// What a manifest says about the blocks of a file. A table may have several blocks.
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
