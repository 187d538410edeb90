//! Rows into state files, each of a bounded size: what is encoded goes on its way before the next batch is.

use std::sync::Arc;

use crate::build::Graph;
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
    graph: Arc<Graph>,
    store: StateFiles,
    next: StateName,
    file_bytes: u64,
    files: Vec<StateFile>,
    open: Option<(state_file::Writer, NewFile)>,
}

impl Output {
    pub fn new(graph: Arc<Graph>, store: StateFiles, first: StateName) -> Self {
        Self { graph, store, next: first, file_bytes: FILE_BYTES, files: Vec::new(), open: None }
    }

    #[cfg(test)]
    pub fn with_files_of(self, file_bytes: u64) -> Self {
        Self { file_bytes, ..self }
    }

    /// Adds rows of a step. Steps come in the order of the plan, the rows of one in the order of state files.
    pub async fn write(&mut self, step: usize, change: &Change) -> Result<()> {
        let graph = Arc::clone(&self.graph);
        let Some((_, name, table)) = graph.tables().find(|(i, ..)| *i == step) else { return Ok(()) };
        for batch in state_file::batches(change) {
            let (writer, file) = match &mut self.open {
                Some(open) => open,
                none => {
                    let file = self.store.create(&self.next, EXTENSION);
                    self.next.n += 1;
                    none.insert((state_file::Writer::default(), file))
                }
            };
            writer.write(name, table, &batch)?;
            file.push(writer.take()).await?;
            if writer.bytes() >= self.file_bytes {
                self.close().await?;
            }
        }
        Ok(())
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
        let max_window_end_us = finished.max_time_us.map_or(i64::MIN, |last_moment| last_moment.saturating_add(1));
        let rows = finished.blocks.iter().map(|block| block.rows).sum();
        self.files.push(StateFile { path, bytes: finished.bytes, rows, crc32: finished.crc32, max_window_end_us });
        Ok(())
    }
}
