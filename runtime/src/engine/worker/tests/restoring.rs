//! State of some workers goes through files to any number of others.

use std::time::Duration;

use object_store::memory::InMemory;
use object_store::path::Path;
use weir_plan::ids::Generation;

use super::closing::{WINDOWS, column, epoch, graph, rows_of};
use super::*;
use crate::checkpoint::manifest::{Manifest, StateFile};
use crate::checkpoint::state_files::StateFiles;
use crate::checkpoint::store::Store;
use crate::engine::start::restoring::restore;
use crate::memory::Memory;
use crate::retry::{Jitter, RetryPolicy};
use crate::state::log::{Restorable, StateLog};

/// More keys than a batch of a state file has.
const KEYS: i64 = 20_000;

async fn restorable(graph: &Graph, files: &StateFiles, written: &[StateFile]) -> Restorable {
    Restorable::open(Arc::clone(graph.tables()), files.clone(), written).await.unwrap()
}

/// A manifest after whose epoch the source has this watermark.
fn manifest(watermark_us: i64) -> Manifest {
    let fixture = include_bytes!("../../../../fixtures/manifest-v2-data.json");
    let mut manifest = Manifest::decode(Epoch(43), "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491", fixture).unwrap();
    manifest.tasks.clear();
    manifest.sources.truncate(1);
    (manifest.sources[0].name, manifest.sources[0].watermark_after_us) = ("in".into(), Some(watermark_us));
    manifest
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_go_on_with_any_number_of_workers_whatever_files_they_are_in() {
    let graph = graph();
    let retry = RetryPolicy::giving_up_after(Duration::from_millis(1));
    for (before, after, stretch_bytes) in [(1, 2, 1), (2, 1, 1), (2, 2, usize::MAX), (2, 3, 1), (3, 2, usize::MAX)] {
        let store = Store::new(Arc::new(InMemory::new()), Path::from("c"), "test://c", Duration::from_secs(5));
        let files = StateFiles::new(store, Generation(1), retry, Jitter::new(1));
        let mut log =
            StateLog::new(&restorable(&graph, &files, &[]).await, files.clone(), Arc::new(Memory::new(None).unwrap()));
        log.held.stretch_bytes = Some(stretch_bytes);
        let mut crew = Crew::new(&graph, before);
        let mut written = Vec::new();
        // Each group is written twice, except for the last window, which only the second epoch's change has.
        for after_us in [5, 10 * (WINDOWS - 1)] {
            let lane = rows_of(&crew, KEYS);
            let (_, epoch) = epoch(&mut crew, lane, after_us).await;
            written.extend(log.write(files.name(crew.epoch, 0, 0), epoch.changes).await.unwrap());
        }
        let watermark_us = 10 * (WINDOWS - 1);
        let saved = restorable(&graph, &files, &written).await;
        let mut state = restore(&graph, &saved, &manifest(watermark_us), after).await.unwrap();
        let steps = state.at_rest(&[Some(watermark_us)]).unwrap();
        let held: Vec<_> = steps.iter().map(|step| (step.open_windows, step.tables[0].entries)).collect();
        assert_eq!(held, [(Some(1), KEYS as u64), (Some(1), 1)], "{before} to {after}");
        assert!(
            state.stages.iter_mut().all(|stage| stage.held(0).unwrap().entries[0] > 0),
            "each has some of the keys"
        );
        let mut crew = Crew::of(state);
        let ([tens, hundreds], _) = epoch(&mut crew, EdgeReport::default(), 100).await;
        let mut rows: Vec<_> =
            tens.iter().flat_map(|batch| column(batch, 0).into_iter().zip(column(batch, 1))).collect();
        rows.sort_unstable();
        assert!(rows.into_iter().eq((0..KEYS).map(|key| (key, 2 * key))), "each key once, with the sum of both epochs");
        let all: Vec<_> =
            hundreds.iter().flat_map(|batch| column(batch, 0).into_iter().zip(column(batch, 1))).collect();
        assert_eq!(all, [(WINDOWS * KEYS, 2 * WINDOWS * KEYS * (KEYS - 1) / 2)]);
    }
}
