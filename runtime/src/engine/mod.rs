//! Runs a plan: epoch by epoch, from the claim of the checkpoint to the last commit.
//!
//! ```text
//! start ─▶ lanes read ─▶ due ─▶ close ─┬▶ lanes read on …
//!                                      └▶ workers close ─▶ files uploaded ─▶ manifest ─▶ sinks commit ─▶ offsets published
//!          ▲                                                                                                │
//!          └──────────────────────────── partitions came or went: other lanes ◀─────────────────────────────┘
//! ```

mod clock;
mod coordinator;
mod lanes;
pub mod sinks;
pub(crate) mod source_run;
mod start;
pub mod worker;

pub use clock::{MaintenanceClock, now_us};
pub use coordinator::{Summary, run};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use crate::checkpoint::home::Home;
use crate::observe::progress::Progress;
use crate::storage::Secrets;

/// The usual [`Options::garbage_grace`].
pub const GARBAGE_GRACE: Duration = Duration::from_secs(60 * 60);

/// How a plan is run, apart from what it means.
#[derive(Debug, Clone)]
pub struct Options {
    pub secrets: Secrets,
    /// Threads that read; partitions are dealt out to them.
    pub lanes: usize,
    /// Threads that keep the state of keyed steps; key groups are dealt out to them.
    pub workers: usize,
    /// One JSON object per epoch is appended here.
    pub progress: Option<PathBuf>,
    pub http: Option<SocketAddr>,
    /// What the process may use; it ends with the reason before it uses more.
    pub memory_bytes: Option<u64>,
    /// How long a sink or a checkpoint store may be away before the process ends.
    pub give_up_after: Duration,
    /// The name of an AvailableNow run. One of this name that is done is not done again.
    pub run: Option<String>,
    /// How often new partitions and topics are looked for.
    pub discover_every: Duration,
    /// Where this process runs.
    pub home: Home,
    pub maintenance_clock: MaintenanceClock,
    /// Objects of the checkpoint that no manifest names are left alone for this long: people may be reading them.
    pub garbage_grace: Duration,
    /// Gets the report of each epoch.
    pub on_epoch: Option<watch::Sender<Option<Progress>>>,
}

/// What a running pipeline is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Run,
    /// Finish the epoch in hand, commit it, and end.
    Finish,
}
