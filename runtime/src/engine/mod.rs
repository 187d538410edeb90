//! Runs a plan, epoch by epoch, from the claim of the checkpoint to the last commit.
//!
//! ```text
//! start ─▶ lanes read ─▶ due ─▶ close ─┬▶ lanes read on …
//!                                      └▶ workers close ─▶ files uploaded ─▶ manifest ─▶ sinks commit ─▶ offsets published
//!          ▲                                                                                                │
//!          └──────────────────────────── partitions came or went: other lanes ◀─────────────────────────────┘
//! ```

mod clock;
mod coordinator;
mod garbage;
mod lanes;
pub mod sinks;
pub(crate) mod source_run;
mod start;
mod state_action;
pub mod worker;

pub use clock::MaintenanceClock;
pub use coordinator::{Summary, run};
pub use lanes::stateless;

use std::time::Duration;

use crate::checkpoint::home::Home;
use crate::observe::Reporting;
use crate::storage::Secrets;

/// The default of [`Options::garbage_grace`].
pub const GARBAGE_GRACE: Duration = Duration::from_secs(60 * 60);

/// How a plan is run, apart from what it means.
#[derive(Debug, Clone)]
pub struct Options {
    pub secrets: Secrets,
    /// The number of threads that read. Partitions are distributed to them.
    pub lanes: usize,
    /// The number of threads that keep the state of keyed steps. Key groups are distributed to them.
    pub workers: usize,
    /// Bytes of memory that the process may use. Before it would use more, it ends with the reason.
    pub memory_bytes: Option<u64>,
    /// How long a sink or a checkpoint store may be unreachable before the process ends.
    pub give_up_after: Duration,
    /// The name of an AvailableNow run. A run of this name that has completed is not run again.
    pub run: Option<String>,
    /// How often the pipeline looks for new partitions and topics.
    pub discover_every: Duration,
    /// Where this process runs.
    pub home: Home,
    pub maintenance_clock: MaintenanceClock,
    /// Objects of the checkpoint that no manifest names are kept for this long, since someone may be reading them.
    pub garbage_grace: Duration,
    /// For measurements: results are computed, and none are written.
    pub discards_results: bool,
    pub reporting: Reporting,
}

/// A signal to a running pipeline from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Run,
    /// Finish the open epoch, commit it, and end.
    Finish,
}
