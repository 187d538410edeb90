//! The epoch that a state action goes back to. Its state is read and checked before the claim declares it the
//! pipeline's. The claim names copies of its files. The reason is that an older writer's collection may still be under
//! way: it takes files of older generations that its own manifests do not name, and never files of a later generation.

use std::sync::Arc;

use weir_plan::ids::Epoch;

use super::claim::state_of;
use super::restoring;
use crate::build::Graph;
use crate::checkpoint::manifest::{Manifest, StateFile};
use crate::checkpoint::state_files::StateFiles;
use crate::engine::worker::KeyedState;
use crate::failure::{Failure, Result};
use crate::random::Random;
use crate::state::log::Restorable;

pub struct Restored {
    pub manifest: Manifest,
    /// The epoch's state, as it was read.
    pub keyed: KeyedState,
    /// Where the numbers of the copies begin. It is random, so that another process that goes back too, for a claim of
    /// the same number, overwrites none of them.
    first_copy: u32,
}

impl Restored {
    /// Reads the state of an epoch.
    ///
    /// # Errors
    /// `Config`, if a file of the state is gone or damaged; `Retry`.
    pub async fn read(
        manifest: Manifest,
        graph: &Arc<Graph>,
        states: &StateFiles,
        workers: usize,
        random: &Random,
    ) -> Result<Self> {
        let keyed = async {
            let saved = Restorable::open(Arc::clone(graph.tables()), states.clone(), &state_of(&manifest)).await?;
            restoring::restore(graph, &saved, &manifest, workers).await
        };
        let keyed = keyed.await.map_err(|failure| unfit(manifest.epoch, failure))?;
        Ok(Self { manifest, keyed, first_copy: u32::try_from(random.number() >> 33).unwrap_or(0) })
    }

    /// Copies the files of the state for a claim of this number. `states` writes under the generation of the claim.
    ///
    /// # Errors
    /// The errors of [`Self::read`].
    pub async fn copy(&self, states: &StateFiles, claim: Epoch) -> Result<Vec<StateFile>> {
        let mut copies = Vec::new();
        for (n, file) in (self.first_copy..).zip(state_of(&self.manifest)) {
            let copy = states.copy(&file, &states.name(claim, 0, n)).await;
            copies.push(copy.map_err(|failure| unfit(self.manifest.epoch, failure))?);
        }
        Ok(copies)
    }
}

fn unfit(epoch: Epoch, failure: Failure) -> Failure {
    failure.context(format!("spec.stateAction.restore.epoch: epoch {epoch} can't be restored, and nothing was changed"))
}
