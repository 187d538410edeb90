//! Where results go. A sink writes an epoch's rows before the manifest decides it, and makes them visible afterwards,
//! exactly once.
//!
//! To all other rooms a sink is an object. Its kind is named here, where sinks are opened, and in the folder of that
//! kind (`docs/decisions/0016-sinks.md`). A sink has three lives: before the claim of the checkpoint an [`Opener`]
//! looks and makes nothing; from the claim on a [`Sink`] commits; [`writing::Writers`] are apart from it, because one
//! epoch is written while the one before it is committed.

pub mod decided;
pub mod delta;
pub mod fitness;
pub mod reading_back;
pub mod upkeep;
pub mod writing;
pub mod years;

use std::sync::Arc;

use futures::future::BoxFuture;
use weir_base::failure::Result;
use weir_base::retry::RetryPolicy;
use weir_base::storage::{Secrets, Standing};
use weir_plan::Plan;
use weir_plan::plan::{self, SinkKind};

use self::decided::{Decided, HeldEpoch, Outcome};
use self::reading_back::{Expected, ReadBack, Versions};
use self::upkeep::Duty;
use self::writing::{Part, Payload, Sealed, Writers};
use crate::fitness::Fitness;

/// What the sinks of a process are opened with.
#[derive(Clone)]
pub struct Environment {
    pub plan: Arc<Plan>,
    pub secrets: Secrets,
    /// For what a sink retries by itself, such as data files. Opening and committing are single attempts.
    pub retry: RetryPolicy,
    pub standing: Standing,
}

/// A sink of the document.
///
/// # Errors
/// `Config`: nothing can be reached at its place.
pub fn opener(sink: &plan::Sink, of: &Environment) -> Result<Box<dyn Opener>> {
    match &sink.kind {
        SinkKind::Delta(_) => Ok(Box::new(delta::TableOpener::new(sink, of)?)),
    }
}

/// A sink that the document has no more, or has elsewhere: opened as it is, for what was decided for it. `None`:
/// nothing is there any more.
///
/// # Errors
/// `Config` if what is there is not written to; `Retry` if the store is away.
pub async fn former(pin: &Pin, of: &Environment) -> Result<Option<Box<dyn Sink>>> {
    check_kind(&pin.kind)?;
    delta::former(pin, of).await
}

/// What a sink of the document was given. The columns of `expected` must be there; what else it holds is left out.
///
/// # Errors
/// `Config` if nothing is there, if it has other columns, or if there are no such versions. One more than the newest to
/// begin with is no error: then there is nothing new. `Retry` if the store was away for too long.
pub async fn read_back(
    sink: &plan::Sink,
    expected: &Expected,
    versions: Versions,
    of: &Environment,
) -> Result<Box<dyn ReadBack>> {
    match &sink.kind {
        SinkKind::Delta(_) => delta::read_back(sink, expected, versions, of).await,
    }
}

/// Refuses a sink that only another version of Weir can open, by its pin.
///
/// # Errors
/// `Config`.
pub fn check_kind(kind: &str) -> Result<()> {
    match kind {
        delta::KIND => Ok(()),
        _ => Err(writing::unknown("it is a sink of the kind", kind)),
    }
}

/// Refuses a payload that only another version of Weir can commit; `kind` is its type.
///
/// # Errors
/// `Config`.
pub fn check_payload(kind: &str) -> Result<()> {
    match kind {
        delta::payload::APPEND => Ok(()),
        _ => Err(writing::unknown("its payload has the type", kind)),
    }
}

/// What rows a sink of the document can't hold.
#[must_use]
pub fn fitness(sink: &plan::Sink) -> Arc<dyn Fitness> {
    match &sink.kind {
        SinkKind::Delta(delta) => Arc::new(delta::fitness::Fit::of(sink, delta)),
    }
}

/// One sink before the claim. Every call is one attempt: the caller retries.
pub trait Opener: Send + Sync {
    /// Opens what is there. It writes nothing but probes, and fences nobody. `None`: nothing is there, and
    /// [`Self::create`] can be expected to make it.
    ///
    /// # Errors
    /// `Config` if what is there does not fit the document's sink; `Retry` if the store is away.
    fn open(&self) -> BoxFuture<'_, Result<Option<Box<dyn Sink>>>>;

    /// Makes it, unless somebody else does meanwhile: then theirs is opened. Called last, when nothing else can refuse
    /// the start.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn Sink>>>;
}

/// What tells a sink from any other one, for the manifest. Another id at the same place is another sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name in the document.
    pub sink: String,
    /// What it is, for whoever has nothing but this to open it by.
    pub kind: String,
    /// As the document writes it.
    pub place: String,
    pub id: String,
}

/// A sink that is open. Every call is one attempt: the caller retries.
pub trait Sink: Send {
    fn pin(&self) -> Pin;

    /// What it remembers of this pipeline; `None` for a sink that remembers nothing, which is never compared with the
    /// checkpoint.
    fn memory(&self) -> Option<Arc<dyn Memory>>;

    /// Where its epochs are written.
    fn writers(&self) -> Arc<dyn Writers>;

    /// One payload of what all writers of an epoch gave. `None`: the epoch has nothing for this sink.
    ///
    /// # Errors
    /// A bug, if its own writers did not give these parts.
    fn seal(&mut self, parts: Vec<Part>) -> BoxFuture<'_, Result<Option<Sealed>>>;

    /// Looks whether the commit could succeed now, before the epoch is decided: what can fail for good must fail here
    /// or earlier.
    ///
    /// # Errors
    /// `Config` if the commit could not succeed, or if the payload is not of its kind; `Retry` if it can't be told now.
    fn ready<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<()>>;

    /// Makes the rows of an epoch visible. The same epoch again changes nothing. Epochs of a lineage only go up.
    ///
    /// # Errors
    /// `Retry`: nobody knows whether it was committed, and the next call finds out. `Fenced`: the sink holds a later
    /// epoch. `Config`: it holds an epoch of this number that another manifest decided, or the payload is not of its
    /// kind.
    fn commit<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<Outcome>>;

    /// Time for small work of its own; it must not wait for anything.
    fn between_epochs(&mut self) {}

    fn status(&self) -> SinkStatus;

    /// What is to be done for it beside the commits.
    fn duties(&self, _of: &upkeep::Surroundings) -> Vec<Box<dyn Duty>> {
        Vec::new()
    }
}

/// What a sink tells of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// The newest version that is known here, of a sink that has versions.
    pub table_version: Option<i64>,
}

/// What a sink remembers of a pipeline's commits (`docs/decisions/0012-what-sinks-remember.md`).
pub trait Memory: Send + Sync {
    /// Of each lineage the newest epoch that the sink held when it was opened.
    fn held(&self) -> &[HeldEpoch];

    /// The same as it is now. A sink that is gone holds nothing.
    ///
    /// # Errors
    /// `Retry` if the sink is away; `Config` if it can't be read.
    fn held_now(&self) -> BoxFuture<'_, Result<Vec<HeldEpoch>>>;

    /// Whether the state action of this token was the last one before a commit that the sink held when it was opened.
    fn has_seen(&self, token: &str) -> bool;
}

#[cfg(test)]
mod tests;
