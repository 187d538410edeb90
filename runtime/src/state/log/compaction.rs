//! Compacts the state beside the running epochs. Runs of files are merged from one stream each, as many at a time as
//! the memory for compaction allows.

use std::sync::Arc;

use futures::future::try_join_all;
use tokio::task::spawn_blocking;

use super::reading::{self, OpenFile, Rows};
use super::writing::Output;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::state::Merge;
use crate::state::StepTable;
use crate::state::file::BATCH_BYTES;

/// Bytes of a run that are fetched at a time, unless one chunk is larger.
const FETCHED_BYTES: u64 = BATCH_BYTES as u64;
/// Bytes of memory per run: a batch as it was fetched, one decoded, and its rows on their way through the merge.
const BYTES_PER_RUN: u64 = 4 * BATCH_BYTES as u64;
/// The most runs that are merged at a time, whatever memory there is, since each needs a request of its own.
const RUNS_AT_ONCE_MAX: u64 = 64;

/// What a compaction needs.
pub struct Compaction {
    pub tables: Arc<[StepTable]>,
    pub store: StateFiles,
    /// The files to be merged, the oldest run first. No file of the state is older. Each run is sorted, in the order of
    /// its files.
    pub runs: Vec<Vec<StateFile>>,
    /// The name of the first file that is written.
    pub first: StateName,
    /// Per table, µs: entries with an earlier time are left out.
    pub horizons_us: Vec<Option<i64>>,
    /// Bytes of memory that the compaction may take.
    pub bytes_max: u64,
    #[cfg(test)]
    pub held: super::Held,
}

/// The files that replace `inputs`.
#[derive(Debug)]
pub struct Compacted {
    /// The paths of the files that are replaced.
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
            // The merged run takes the place of its parts, since the newer of two rows counts. It becomes garbage as
            // soon as it is merged again.
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
                // The merge computes for a long time, and the threads of async tasks have other tasks to serve.
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
