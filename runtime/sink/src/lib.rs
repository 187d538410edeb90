//! Where results go. A sink writes an epoch's rows before the manifest decides the epoch, and makes them visible
//! afterwards, exactly once.
//!
//! All other parts see a sink only through traits. Its kind is named here, where sinks are opened, and in the folder of
//! that kind (`docs/decisions/0016-sinks.md`). Three traits cover a sink's life. Before the claim of the checkpoint, an
//! [`Opener`] looks and creates nothing. From the claim on, a [`Sink`] commits. [`writing::Writers`] are separate from
//! it, because one epoch is written while the one before it is committed.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

pub mod console;
pub mod decided;
pub mod delta;
pub mod discarding;
pub mod fitness;
pub mod reading_back;
pub mod upkeep;
pub mod writing;
pub mod years;

use std::sync::Arc;

use futures::future::BoxFuture;
use weir_base::clock::{Clock, wall_ms};
use weir_base::failure::{Failure, Result};
use weir_base::random::Random;
use weir_base::retry::RetryPolicy;
use weir_base::storage::{Secrets, Standing};
use weir_plan::Plan;
use weir_plan::plan::{self, SinkKind};
use weir_plan::quote::quoted;

use self::decided::{Decided, HeldEpoch, Outcome};
use self::reading_back::{Expected, ReadBack, Versions};
use self::upkeep::Duty;
use self::writing::{Part, Payload, Sealed, Writers};
use crate::fitness::Fitness;

/// What the sinks of a process need to be opened.
#[derive(Clone)]
pub struct Environment {
    pub plan: Arc<Plan>,
    pub secrets: Secrets,
    pub means: Means,
    pub standing: Standing,
}

/// What a sink has of its process: how long it tries, by which clock it goes, and what its ids are drawn from.
#[derive(Clone)]
pub struct Means {
    /// The policy for what a sink retries by itself, such as data files. Opening and committing are single attempts.
    pub retry: RetryPolicy,
    /// Since 1970.
    pub now_ms: Clock,
    pub random: Random,
}

impl Means {
    /// The machine's clock, and a generator of one's own.
    #[must_use]
    pub fn of_system(retry: RetryPolicy) -> Self {
        Self { retry, now_ms: Arc::new(wall_ms), random: Random::of_system() }
    }
}

/// The opener of a sink of the document.
///
/// # Errors
/// `Config`, if nothing can be reached at its place.
pub fn opener(sink: &plan::Sink, of: &Environment) -> Result<Box<dyn Opener>> {
    match &sink.kind {
        SinkKind::Delta(_) => Ok(Box::new(delta::TableOpener::new(sink, of)?)),
        SinkKind::Console(console) => Ok(Box::new(console::ConsoleOpener::new(sink, console))),
    }
}

/// A sink that the document no longer has, or has elsewhere. It is opened as it is, for what was decided for it. `None`
/// if nothing is there any more.
///
/// # Errors
/// `Config` if Weir does not write to what is there; `Retry` if the store is away.
pub async fn former(pin: &Pin, of: &Environment) -> Result<Option<Box<dyn Sink>>> {
    check_kind(&pin.kind)?;
    match pin.kind.as_str() {
        console::KIND => Ok(Some(console::former(pin))),
        _ => delta::former(pin, of).await,
    }
}

/// Reads back what a sink of the document was given. The columns of `expected` must be there; other columns are left
/// out.
///
/// # Errors
/// `Config` if nothing is there, if it has other columns, or if there are no such versions. To begin one version above
/// the newest is no error: then there is nothing new. `Retry` if the store was away for too long.
pub async fn read_back(
    sink: &plan::Sink,
    expected: &Expected,
    versions: Versions,
    of: &Environment,
) -> Result<Box<dyn ReadBack>> {
    match &sink.kind {
        SinkKind::Delta(_) => delta::read_back(sink, expected, versions, of).await,
        SinkKind::Console(_) => Err(Failure::config(format!(
            "sink {} is a console, and what was shown there can't be read back; name a sink that writes a table",
            quoted(&sink.name)
        ))),
    }
}

/// Refuses a sink that only another version of Weir can open, by the kind in its pin.
///
/// # Errors
/// `Config`.
pub fn check_kind(kind: &str) -> Result<()> {
    match kind {
        delta::KIND | console::KIND => Ok(()),
        _ => Err(writing::unknown("it is a sink of the kind", kind)),
    }
}

/// Refuses a payload that only another version of Weir can commit; `kind` is its type.
///
/// # Errors
/// `Config`.
pub fn check_payload(kind: &str) -> Result<()> {
    match kind {
        delta::payload::APPEND | console::SHOW => Ok(()),
        _ => Err(writing::unknown("its payload has the type", kind)),
    }
}

/// Checks which rows a sink of the document can't hold.
#[must_use]
pub fn fitness(sink: &plan::Sink) -> Arc<dyn Fitness> {
    match &sink.kind {
        SinkKind::Delta(delta) => Arc::new(delta::fitness::Fit::of(sink, delta)),
        SinkKind::Console(_) => Arc::new(console::All),
    }
}

/// One sink before the claim. Every call is one attempt; the caller retries.
pub trait Opener: Send + Sync {
    /// Opens what is there. It writes only probes and fences nobody. `None` means that nothing is there, and that
    /// [`Self::create`] should succeed.
    ///
    /// # Errors
    /// `Config` if what is there does not fit the document's sink; `Retry` if the store is away.
    fn open(&self) -> BoxFuture<'_, Result<Option<Box<dyn Sink>>>>;

    /// Creates the sink, unless somebody else does meanwhile; then this opens theirs. The caller calls this last, when
    /// nothing else can refuse the start.
    ///
    /// # Errors
    /// See [`Self::open`].
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn Sink>>>;
}

/// What distinguishes a sink from any other one, for the manifest. A sink with another id at the same place is another
/// sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The sink's name in the document.
    pub sink: String,
    /// The sink's kind, for a reader that has only the pin to open the sink.
    pub kind: String,
    /// The sink's place, as the document writes it.
    pub place: String,
    pub id: String,
}

/// An open sink. Every call is one attempt; the caller retries.
pub trait Sink: Send {
    fn pin(&self) -> Pin;

    /// What the sink remembers about this pipeline; `None` for a sink that remembers nothing, which is never compared
    /// with the checkpoint.
    fn memory(&self) -> Option<Arc<dyn Memory>>;

    /// The writers of the sink's epochs.
    fn writers(&self) -> Arc<dyn Writers>;

    /// Joins what all writers of an epoch gave into one payload. `None` means that the epoch has nothing for this sink.
    ///
    /// # Errors
    /// `Bug`, if the sink's own writers did not give these parts.
    fn seal(&mut self, parts: Vec<Part>) -> BoxFuture<'_, Result<Option<Sealed>>>;

    /// Checks before the epoch is decided whether the commit could succeed now: what can fail for good must fail here
    /// or earlier.
    ///
    /// # Errors
    /// `Config` if the commit could not succeed or the payload is of another kind; `Retry` if this can't be said now.
    fn ready<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<()>>;

    /// Makes the rows of an epoch visible. Another call with the same epoch changes nothing. Epochs of a lineage only
    /// go up.
    ///
    /// # Errors
    /// `Retry`: nobody knows whether the epoch was committed, and the next call finds out. `Fenced`: the sink holds a
    /// later epoch. `Config`: the sink holds an epoch of this number that another manifest decided, or the payload is
    /// of another kind.
    fn commit<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<Outcome>>;

    /// Gives the sink time for small work of its own, which must not wait for anything.
    fn between_epochs(&mut self) {}

    fn status(&self) -> SinkStatus;

    /// The sink's duties beside the commits.
    fn duties(&self, _of: &upkeep::Surroundings) -> Vec<Box<dyn Duty>> {
        Vec::new()
    }
}

/// What a sink reports about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// The newest version that is known here, if the sink has versions.
    pub table_version: Option<i64>,
}

/// What a sink remembers about a pipeline's commits (`docs/decisions/0012-what-sinks-remember.md`).
pub trait Memory: Send + Sync {
    /// The newest epoch of each lineage that the sink held when it was opened.
    fn held(&self) -> &[HeldEpoch];

    /// The newest epoch of each lineage that the sink holds now. A sink that is gone holds nothing.
    ///
    /// # Errors
    /// `Retry` if the sink is away; `Config` if it can't be read.
    fn held_now(&self) -> BoxFuture<'_, Result<Vec<HeldEpoch>>>;

    /// Whether, in what the sink held when it was opened, the state action with this token was the last one before a
    /// commit.
    fn has_seen(&self, token: &str) -> bool;
}

#[cfg(test)]
mod tests;
