//! The compaction of state beside the running epochs: runs of files are merged by a stream of each, as many at a time
//! as the memory for it allows.

use std::sync::Arc;

use futures::future::try_join_all;
use tokio::task::spawn_blocking;

use super::StepTable;
use super::reading::{self, OpenFile, Rows};
use super::writing::Output;
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
    pub tables: Arc<[StepTable]>,
    pub store: StateFiles,
    /// The files to be merged, the oldest first, and none older than these: each run is sorted, by the order of its
    /// files.
    pub runs: Vec<Vec<StateFile>>,
    /// Of its first file.
    pub first: StateName,
    /// Per table: entries below it are left out.
    pub horizons_us: Vec<Option<i64>>,
    /// The memory that it may take.
    pub bytes_max: u64,
    #[cfg(test)]
    pub held: super::Held,
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
        #[cfg(test)]
        if let Some(gate) = &self.held.gate {
            gate.acquire().await.map_err(|e| Failure::bug(e.to_string()))?.forget();
        }
        let inputs = self.runs.iter().flatten().map(|file| file.path.clone()).collect();
        let at_once = usize::try_from((self.bytes_max / BYTES_PER_RUN).clamp(2, RUNS_AT_ONCE_MAX)).unwrap_or(2);
        let mut runs = std::mem::take(&mut self.runs);
        while runs.len() > at_once {
            // What is merged stands where its parts stood, since of two rows the newer counts. It is garbage as soon as
            // it is merged again.
            let mut merged = Vec::with_capacity(runs.len().div_ceil(at_once));
            for (n, part) in runs.chunks(at_once).enumerate() {
                merged.push(match part {
                    [one] => one.clone(),
                    several => self.merge(several.to_vec(), n == 0).await?,
                });
            }
            runs = merged;
        }
        Ok(Compacted { inputs, outputs: self.merge(runs, true).await? })
    }

    async fn merge(&mut self, runs: Vec<Vec<StateFile>>, are_oldest: bool) -> Result<Vec<StateFile>> {
        let mut opened = Vec::with_capacity(runs.len());
        for run in runs {
            opened.push(reading::open(&self.store, &run).await?);
        }
        let output = Output::new(Arc::clone(&self.tables), self.store.clone(), self.first);
        #[cfg(test)]
        let output = output.with_files_of(self.held.file_bytes);
        let mut output = output;
        if let Err(failure) = self.merge_tables(&opened, are_oldest, &mut output).await {
            output.abort().await;
            return Err(failure);
        }
        let files = output.finish().await?;
        self.first.n += u32::try_from(files.len()).unwrap_or(u32::MAX);
        Ok(files)
    }

    async fn merge_tables(&self, runs: &[Vec<Arc<OpenFile>>], are_oldest: bool, output: &mut Output) -> Result<()> {
        for (i, table) in self.tables.iter().enumerate() {
            let rows = |files: &Vec<_>| Rows::new(self.store.clone(), files, table, FETCHED_BYTES);
            let mut rows: Vec<Rows> = runs.iter().map(rows).collect();
            let mut merge = Merge::new(Arc::clone(&table.schema), rows.len(), are_oldest)?;
            loop {
                loop {
                    let hungry = merge.hungry();
                    if hungry.is_empty() {
                        break;
                    }
                    let wanted = rows.iter_mut().enumerate().filter(|(i, _)| hungry.contains(i));
                    let fed =
                        try_join_all(wanted.map(|(i, rows)| async move { Ok::<_, Failure>((i, rows.next().await?)) }))
                            .await?;
                    fed.into_iter().for_each(|(i, read)| merge.feed(i, read));
                }
                if merge.is_done() {
                    break;
                }
                let horizon_us = self.horizons_us[i];
                // It computes for long, and the threads of tasks have others to serve.
                let stretch = spawn_blocking(move || {
                    let stretch = merge.next(|time| horizon_us.is_none_or(|horizon_us| time >= horizon_us));
                    (merge, stretch)
                });
                let (back, stretch) = stretch.await.map_err(|e| Failure::bug(format!("merge state files: {e}")))?;
                merge = back;
                if let Some(stretch) = stretch? {
                    output.write(i, &stretch).await?;
                }
            }
        }
        Ok(())
    }
}
