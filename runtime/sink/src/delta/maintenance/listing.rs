//! The small files of a table. The kernel streams them from the last log checkpoint and the commits since; memory holds
//! only the candidates and the file names in those commits.

use delta_kernel::scan::StatsOptions;
use delta_kernel::scan::state::ScanFile;
use weir_base::failure::Result;

use super::choose::{Candidates, DataFile};
use crate::delta::log::{Log, State, Unreadable, state_of};

/// A table at one version.
pub(super) struct Listed {
    pub(super) state: State,
    pub(super) candidates: Candidates,
    /// Whether some files have deletion vectors, which mark rows as deleted.
    pub(super) has_deletion_vectors: bool,
}

struct Visit {
    partition_columns: Vec<String>,
    candidates: Candidates,
    has_deletion_vectors: bool,
}

/// Lists the table's small files; its files should have `target_bytes`.
pub(super) async fn list(log: &Log, target_bytes: u64) -> Result<Listed> {
    log.newest("list the files of", move |snapshot, engine| {
        let state = state_of(snapshot)?;
        let partition_columns = state.metadata.partition_columns.clone();
        let mut visit =
            Visit { partition_columns, candidates: Candidates::new(target_bytes), has_deletion_vectors: false };
        let scan = snapshot.clone().scan_builder().with_stats(StatsOptions::none()).build()?;
        for files in scan.scan_metadata(engine)? {
            visit = files.and_then(|files| files.visit_scan_files(visit, offer)).map_err(Unreadable::from)?;
        }
        Ok(Listed { state, candidates: visit.candidates, has_deletion_vectors: visit.has_deletion_vectors })
    })
    .await
}

fn offer(visit: &mut Visit, mut file: ScanFile) {
    visit.has_deletion_vectors |= file.dv_info.has_vector();
    // The kernel leaves nulls out.
    let values = visit.partition_columns.iter().map(|column| file.partition_values.remove(column)).collect();
    let size = u64::try_from(file.size).unwrap_or_default();
    visit.candidates.offer(values, DataFile { path: file.path, size, modified_ms: file.modification_time });
}
