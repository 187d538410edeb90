//! The compaction of state beside the running epochs: runs of files are merged by a stream of each, as many at a time as the memory for it
//! allows.

use std::sync::Arc;

use futures::future::try_join_all;
use tokio::task::spawn_blocking;

use super::reading::{self, OpenFile, Rows};
use super::writing::Output;
use crate::build::Graph;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::state::Merge;
use crate::state::file::BATCH_BYTES;

/// What is fetched of a run at a time, unless one chunk is larger.
const FETCHED_BYTES: u64 = BATCH_BYTES as u64;
/// For each run: a batch as it was fetched, one decoded, and its rows on their way through the merge.
const BYTES_PER_RUN: u64 = 4 * BATCH_BYTES as u64;
/// Of runs at a time, whatever memory there is: each is a request.
const RUNS_AT_ONCE_MAX: u64 = 64;

/// What a compaction needs.
pub struct Compaction {
    pub graph: Arc<Graph>,
    pub store: StateFiles,
    /// The files to be merged: each run is sorted, by the order of its files.
    pub runs: Vec<Vec<StateFile>>,
    /// Of its first file.
    pub first: StateName,
    /// Entries that it has passed are left out.
    pub watermark_us: Option<i64>,
    /// The memory that it may take.
    pub bytes_max: u64,
    #[cfg(test)]
    pub file_bytes: Option<u64>,
}

/// The files that replace `inputs`.
#[derive(Debug)]
pub struct Compacted {
    /// Paths.
    pub inputs: Vec<String>,
    pub outputs: Vec<StateFile>,
}

impl Compaction {
    pub async fn run(mut self) -> Result<Compacted> {
        let inputs = self.runs.iter().flatten().map(|file| file.path.clone()).collect();
        let at_once = usize::try_from((self.bytes_max / BYTES_PER_RUN).clamp(2, RUNS_AT_ONCE_MAX)).unwrap_or(2);
        let mut runs = std::mem::take(&mut self.runs);
        while runs.len() > at_once {
            // What is merged in between is garbage as soon as it is merged again.
            let rest = runs.split_off(at_once);
            let merged = self.merge(runs).await?;
            runs = rest;
            runs.push(merged);
        }
        Ok(Compacted { inputs, outputs: self.merge(runs).await? })
    }

    async fn merge(&mut self, runs: Vec<Vec<StateFile>>) -> Result<Vec<StateFile>> {
        let mut opened = Vec::with_capacity(runs.len());
        for run in runs {
            opened.push(reading::open(&self.store, &run).await?);
        }
        let mut output = Output::new(Arc::clone(&self.graph), self.store.clone(), self.first);
        #[cfg(test)]
        if let Some(bytes) = self.file_bytes {
            output = output.with_files_of(bytes);
        }
        if let Err(failure) = self.merge_steps(&opened, &mut output).await {
            output.abort().await;
            return Err(failure);
        }
        let files = output.finish().await?;
        self.first.n += u32::try_from(files.len()).unwrap_or(u32::MAX);
        Ok(files)
    }

    async fn merge_steps(&self, runs: &[Vec<Arc<OpenFile>>], output: &mut Output) -> Result<()> {
        for (step, name, table) in self.graph.tables() {
            let rows = |files: &Vec<_>| Rows::new(self.store.clone(), files, name, Arc::clone(table), FETCHED_BYTES);
            let mut rows: Vec<Rows> = runs.iter().map(rows).collect();
            let mut merge = Merge::new(Arc::clone(table), rows.len())?;
            loop {
                loop {
                    let hungry = merge.hungry();
                    if hungry.is_empty() {
                        break;
                    }
                    let wanted = rows.iter_mut().enumerate().filter(|(i, _)| hungry.contains(i));
                    let fed = try_join_all(wanted.map(|(i, rows)| async move { Ok::<_, Failure>((i, rows.next().await?)) })).await?;
                    fed.into_iter().for_each(|(i, read)| merge.feed(i, read));
                }
                if merge.is_done() {
                    break;
                }
                let watermark_us = self.watermark_us;
                // It computes for long, and the threads of tasks have others to serve.
                let stretch = spawn_blocking(move || {
                    let stretch = merge.next(|time| watermark_us.is_none_or(|w| time >= w));
                    (merge, stretch)
                });
                let (back, stretch) = stretch.await.map_err(|e| Failure::bug(format!("merge state files: {e}")))?;
                merge = back;
                if let Some(stretch) = stretch? {
                    output.write(step, &stretch).await?;
                }
            }
        }
        Ok(())
    }
}
