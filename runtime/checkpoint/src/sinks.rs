//! What a writer asks of the sinks, whatever their kind: before it claims, before it decides, and when an epoch is
//! decided.

use futures::future::BoxFuture;
use weir_base::failure::Result;
use weir_plan::ids::Epoch;

use super::manifest::{Committable, Manifest};
use super::protocol::Mark;

/// What happened to one sink's part of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// The sink has it, from this call or an earlier one.
    Committed,
    /// It was decided before a person's state action and can't be committed any more, so it is left out.
    GivenUp,
}

/// Commits one sink's part of an epoch. It is called again for the same epoch after any doubt, so it must be
/// idempotent.
pub trait Committer: Send + Sync {
    /// # Errors
    /// `Retry` is tried again; `Fenced` means that the sink holds a later epoch; anything else ends the writer.
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<Landed>>;

    /// Checks before the epoch is decided whether the commit could succeed: what can fail for good must fail before.
    ///
    /// # Errors
    /// `Retry` is tried again; anything else ends the writer, and nothing is decided.
    fn ready<'a>(&'a self, _manifest: &'a Manifest, _committable: &'a Committable) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What one sink of a pipeline remembers about the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkMemory {
    pub sink: String,
    /// Distinguishes the sink from any other that was ever in its place.
    pub id: String,
    /// The sink's place, for messages: "the table at s3://lake/silver".
    pub place: String,
    /// What the sink holds, by lineage.
    pub held: Vec<SinkHolds>,
}

/// The newest commit of a pipeline in one of its sinks, in one lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkHolds {
    pub lineage: String,
    pub epoch: Epoch,
    /// The mark of the manifest that decided the epoch; `None` if an older version of Weir committed it, because that
    /// version wrote no mark.
    pub mark: Option<Mark>,
    /// Whether the sink knows that this pipeline committed the epoch. Otherwise it knows only the lineage, and can't
    /// tell whose it is.
    pub is_named: bool,
}

/// What a starting writer asks of the sinks, before it claims.
pub trait Sinks: Send + Sync {
    /// For each sink, its newest commit in each lineage of this pipeline that it knows. This includes lineages of other
    /// checkpoints, if the sink can tell that they belonged to this pipeline. With `anew` the sinks are asked now;
    /// otherwise what they held when they were opened will do.
    ///
    /// # Errors
    /// `Retry` is tried again; anything else ends the writer.
    fn held(&self, anew: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>>;

    /// Whether a person's state action, which is not done yet, says to go on although the sinks hold something else
    /// than the checkpoint.
    fn excuses(&self, newest: Option<&Manifest>) -> bool;
}
