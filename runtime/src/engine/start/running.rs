//! A pipeline that has claimed its checkpoint: what its driver works with.

use std::sync::Arc;
use std::time::Duration;

use weir_plan::Plan;

use super::assembly::Assembly;
use crate::build::Graph;
use crate::checkpoint::manifest::Until;
use crate::checkpoint::state_files::StateFiles;
use crate::checkpoint::writer::CheckpointWriter;
use crate::engine::garbage::Garbage;
use crate::engine::lanes::Lanes;
use crate::engine::sinks::committing::SinkSet;
use crate::engine::sinks::outputs::SinkOutputs;
use crate::engine::source_run::SourceRun;
use crate::engine::worker::Workers;
use crate::failure::Result;
use crate::memory::Memory;
use crate::observe::Observer;
use crate::sink::upkeep::Upkeep;
use crate::state::log::StateLog;
use crate::storage::Standing;

/// A pipeline that has claimed its checkpoint.
pub struct Running {
    pub(in crate::engine) plan: Arc<Plan>,
    pub(in crate::engine) graph: Arc<Graph>,
    pub(in crate::engine) writer: CheckpointWriter,
    pub(in crate::engine) sinks: SinkSet,
    pub(in crate::engine) until: Option<Until>,
    /// In the order of the plan's sources.
    pub(in crate::engine) sources: Vec<SourceRun>,
    /// How long a run with an end may make no progress towards it.
    pub(in crate::engine) give_up_after: Duration,
    pub(in crate::engine) assembly: Assembly,
    pub(in crate::engine) lanes: Lanes,
    pub(in crate::engine) lane_sinks: SinkOutputs,
    pub(in crate::engine) workers: Workers,
    /// The sinks that workers write to.
    pub(in crate::engine) keyed_sinks: SinkOutputs,
    pub(in crate::engine) state_store: StateFiles,
    pub(in crate::engine) state_log: StateLog,
    pub(in crate::engine) garbage: Garbage,
    pub(in crate::engine) memory: Arc<Memory>,
    pub(in crate::engine) observer: Observer,
    pub(in crate::engine) standing: Standing,
    /// The upkeep of the sinks. It ends with the run.
    pub(in crate::engine) _upkeep: Upkeep,
}

impl Running {
    pub(in crate::engine) fn until_reached(&self) -> bool {
        self.until.as_ref().is_none_or(|u| u.reached)
    }

    /// Continues over the partitions that there are now. The epoch before is decided and committed, and no lane has
    /// begun another.
    pub(in crate::engine) async fn assign_anew(&mut self) -> Result<()> {
        crate::failpoint::reach("assignment.before");
        self.lanes.end().await?;
        self.sources.iter_mut().for_each(SourceRun::change);
        let epoch = self.lanes.epoch.of_other_lanes();
        (self.lanes, self.lane_sinks) = self.assembly.lanes(&self.sources, epoch)?;
        crate::failpoint::reach("assignment.after");
        Ok(())
    }
}
