//! Opens the sinks of a starting process. Sinks that exist are opened and checked first. Missing ones are created last,
//! when nothing else can refuse the start, so that a refused start leaves nothing behind.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use weir_plan::plan::{self, StateAction};
use weir_plan::quote::quoted;

use crate::checkpoint::manifest::{Manifest, PinnedSink};
use crate::checkpoint::protocol::Mark;
use crate::checkpoint::sinks::{SinkHolds, SinkMemory, Sinks};
use crate::engine::state_action;
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;
use crate::sink::decided::HeldEpoch;
use crate::sink::{self, Environment, Memory, Opener, Pin, Sink};

/// The sinks in the order of the plan.
pub struct Opening {
    of: Environment,
    places: Vec<Place>,
}

struct Place {
    opener: Box<dyn Opener>,
    /// `None` if nothing exists there yet.
    open: Option<Box<dyn Sink>>,
}

/// What the sinks held when they were opened, for the claim, and how to ask them again.
pub struct Remembered {
    told: Vec<SinkMemory>,
    /// In the order of `told`.
    memories: Vec<Arc<dyn Memory>>,
    retry: RetryPolicy,
    action: Option<StateAction>,
}

impl Opening {
    /// Opens the sinks that exist and creates none.
    ///
    /// # Errors
    /// `Config`, if what exists does not fit its sink, or if a missing sink could not be created.
    pub async fn begin(of: Environment) -> Result<Self> {
        let places = of.plan.sinks.iter().map(|sink| async {
            let opener = sink::opener(sink, &of)?;
            let open = open(&*opener, sink, of.means.retry).await?;
            Ok(Place { opener, open })
        });
        let places = futures::future::try_join_all(places).await?;
        Ok(Self { of, places })
    }

    /// Opens sinks that were missing and exist now: another new writer may have created them meanwhile.
    ///
    /// # Errors
    /// The errors of [`Self::begin`].
    pub async fn look_again(&mut self) -> Result<()> {
        for (sink, place) in self.of.plan.sinks.iter().zip(&mut self.places).filter(|(_, place)| place.open.is_none()) {
            place.open = open(&*place.opener, sink, self.of.means.retry).await?;
        }
        Ok(())
    }

    /// The missing sinks, with the places where they would be.
    #[must_use]
    pub fn missing(&self) -> Vec<(String, String)> {
        let missing = self.of.plan.sinks.iter().zip(&self.places).filter(|(_, place)| place.open.is_none());
        missing.map(|(sink, _)| (sink.name.clone(), sink.place().to_owned())).collect()
    }

    /// What the existing sinks remember of this pipeline.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        let there = self.there().filter_map(|sink| {
            let memory = sink.memory()?;
            Some((told(sink.pin(), &*memory), memory))
        });
        let (told, memories) = there.unzip();
        Remembered { told, memories, retry: self.of.means.retry, action: self.of.plan.state_action.clone() }
    }

    /// The identities of the existing sinks.
    #[must_use]
    pub fn pinned(&self) -> Vec<PinnedSink> {
        self.there().map(|sink| pinned(sink.pin())).collect()
    }

    /// Creates the missing sinks.
    ///
    /// # Errors
    /// `Retry` or `Config`, from the store.
    pub async fn make_missing(&mut self) -> Result<()> {
        for (sink, place) in self.of.plan.sinks.iter().zip(&mut self.places).filter(|(_, place)| place.open.is_none()) {
            let doing = format!("creating {}", sink.place());
            let made = self.of.means.retry.persist(&doing, async || place.opener.create().await).await;
            place.open = Some(made.map_err(|e| e.context(format!("sink {}", quoted(&sink.name))))?);
        }
        Ok(())
    }

    /// All sinks, once they exist.
    ///
    /// # Errors
    /// A bug, if one was not created.
    pub fn into_sinks(self) -> Result<Vec<Box<dyn Sink>>> {
        let plan = self.of.plan;
        let never_made = |sink: &plan::Sink| Failure::bug(format!("the sink at {} was never made", sink.place()));
        plan.sinks.iter().zip(self.places).map(|(sink, place)| place.open.ok_or_else(|| never_made(sink))).collect()
    }

    fn there(&self) -> impl Iterator<Item = &dyn Sink> {
        self.places.iter().filter_map(|place| place.open.as_deref())
    }
}

async fn open(opener: &dyn Opener, sink: &plan::Sink, retry: RetryPolicy) -> Result<Option<Box<dyn Sink>>> {
    let opened = retry.persist(&format!("opening {}", sink.place()), async || opener.open().await).await;
    opened.map_err(|e| e.context(format!("sink {}", quoted(&sink.name))))
}

/// A sink as a manifest has it.
fn pinned(Pin { sink, kind, place, id }: Pin) -> PinnedSink {
    PinnedSink { name: sink, kind, place, id }
}

/// Converts a sink as a manifest has it back to a pin.
pub fn pin_of(pinned: &PinnedSink) -> Pin {
    let PinnedSink { name, kind, place, id } = pinned.clone();
    Pin { sink: name, kind, place, id }
}

fn told(Pin { sink, place, id, .. }: Pin, memory: &dyn Memory) -> SinkMemory {
    SinkMemory { sink, id, place: format!("the table at {place}"), held: holds(memory.held()) }
}

fn holds(held: &[HeldEpoch]) -> Vec<SinkHolds> {
    let holds = |held: &HeldEpoch| {
        let HeldEpoch { lineage, epoch, mark, is_named } = held.clone();
        SinkHolds { lineage, epoch, mark: mark.map(Mark), is_named }
    };
    held.iter().map(holds).collect()
}

impl Remembered {
    async fn ask_again(&self) -> Result<Vec<SinkMemory>> {
        let asked = self.told.iter().zip(&self.memories).map(|(told, memory)| async {
            let doing = format!("reading what {} holds", told.place);
            let held = self.retry.persist(&doing, async || memory.held_now().await).await?;
            Ok(SinkMemory { held: holds(&held), ..told.clone() })
        });
        futures::future::try_join_all(asked).await
    }
}

impl Sinks for Remembered {
    fn held(&self, anew: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>> {
        match anew {
            true => self.ask_again().boxed(),
            false => std::future::ready(Ok(self.told.clone())).boxed(),
        }
    }

    /// The state action of a token that a sink has seen was done before the rows that the sink holds, so it does not
    /// explain them.
    fn excuses(&self, newest: Option<&Manifest>) -> bool {
        let is_new = |action: &StateAction| !self.memories.iter().any(|memory| memory.has_seen(&action.token));
        state_action::due(self.action.as_ref(), newest).is_some_and(is_new)
    }
}

#[cfg(test)]
mod tests;
