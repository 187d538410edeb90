//! What a writer asks of the sinks, of whatever kind they are: before it claims, before it decides, and when an epoch
//! is decided.

use futures::future::BoxFuture;
use weir_base::failure::Result;
use weir_plan::ids::Epoch;

use super::manifest::{Committable, Manifest};
use super::protocol::Mark;

/// What became of one sink's part of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// The sink has it: now, or since an earlier call.
    Committed,
    /// It was decided before a person's state action, can't be committed any more, and is left out.
    GivenUp,
}

/// Commits one sink's part of an epoch. Called again for the same epoch after any doubt, so it must be idempotent.
pub trait Committer: Send + Sync {
    /// # Errors
    /// `Retry` is tried again; `Fenced` if the table holds a later epoch; anything else ends the writer.
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<Landed>>;

    /// Looks whether the commit could succeed, before the epoch is decided: what can fail for good must fail before.
    ///
    /// # Errors
    /// `Retry` is tried again; anything else ends the writer, and nothing is decided.
    fn ready<'a>(&'a self, _manifest: &'a Manifest, _committable: &'a Committable) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What one sink of a pipeline remembers of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkMemory {
    pub sink: String,
    /// Tells it from any other one that was ever in its place.
    pub id: String,
    /// For sentences: "the table at s3://lake/silver".
    pub place: String,
    /// By lineage.
    pub held: Vec<SinkHolds>,
}

/// The newest commit of a pipeline in one of its sinks, in one lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkHolds {
    pub lineage: String,
    pub epoch: Epoch,
    /// Of the manifest that decided it; `None` if an older version of Weir committed it, which did not write it.
    pub mark: Option<Mark>,
    /// The sink knows that this pipeline committed it, and not only a lineage whose pipeline it can't tell.
    pub is_named: bool,
}

/// What a starting writer asks of the sinks, before it claims.
pub trait Sinks: Send + Sync {
    /// Of each sink, and of each lineage of this pipeline that it knows, its newest commit. Also of lineages of other
    /// checkpoints, where the sink can tell that they were this pipeline's. What the sinks held when they were opened
    /// will do, unless they are to be asked `anew`.
    ///
    /// # Errors
    /// `Retry` is tried again; anything else ends the writer.
    fn held(&self, anew: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>>;

    /// Whether a person's state action, which is not done yet, says to go on although the sinks hold something else
    /// than the checkpoint.
    fn excuses(&self, newest: Option<&Manifest>) -> bool;
}
