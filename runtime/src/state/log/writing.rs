//! Rows into state files, each of a bounded size: what is encoded goes on its way before the next batch is.

use std::sync::Arc;

use super::reading::places;
use super::{LogFile, StepTable};
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::{NewFile, StateFiles};
use crate::failure::Result;
use crate::state::Change;
use crate::state::file as state_file;

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
    files: Vec<LogFile>,
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
                    none.insert((state_file::Writer::default(), file))
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

    /// The files, all of them whole. No rows, no file.
    pub async fn finish(mut self) -> Result<Vec<LogFile>> {
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
        let max_window_end_us = finished.max_window_end_us;
        let file = StateFile { path, bytes: finished.bytes, rows, crc32: finished.crc32, max_window_end_us };
        self.files.push(LogFile { file, tables: places(&self.tables, &finished.blocks) });
        Ok(())
    }
}
