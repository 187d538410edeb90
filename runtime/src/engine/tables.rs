//! The tables of a starting process. Those that are there are opened and checked first; those that are not are made last, when nothing else
//! can refuse the start: what is refused leaves nothing behind.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use weir_plan::Plan;
use weir_plan::plan::{Sink, StateAction};
use weir_plan::quote::quoted;

use super::Options;
use super::claim;
use crate::checkpoint::manifest::{Manifest, PinnedTable};
use crate::checkpoint::protocol::Mark;
use crate::checkpoint::sinks::{SinkHolds, SinkMemory, Sinks};
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;
use crate::sink::decided::HeldEpoch;
use crate::sink::delta::{DeltaTable, Memory};
use crate::storage::{Location, Standing};

/// By sink, in the order of the plan.
pub struct Tables {
    plan: Arc<Plan>,
    retry: RetryPolicy,
    places: Vec<Place>,
}

struct Place {
    location: Location,
    /// None: there is no table yet.
    table: Option<DeltaTable>,
}

/// What the tables held when they were opened, for the claim; and how to ask them again.
pub struct Remembered {
    memories: Vec<SinkMemory>,
    /// In the same order.
    tables: Vec<Memory>,
    retry: RetryPolicy,
    action: Option<StateAction>,
}

impl Tables {
    /// Opens what is there and makes nothing.
    ///
    /// # Errors
    /// `Config` for a table that does not fit its sink, also for one that could not be made.
    pub async fn open(plan: &Arc<Plan>, options: &Options, retry: RetryPolicy, standing: &Standing) -> Result<Self> {
        let places = plan.sinks.iter().map(|sink| async move {
            let location = crate::storage::open(sink.uri(), plan.storage_for(sink.uri()), &options.secrets)?.in_run(standing);
            let table = open_if_there(plan, sink, &location, retry).await?;
            Ok(Place { location, table })
        });
        Ok(Self { plan: Arc::clone(plan), retry, places: futures::future::try_join_all(places).await? })
    }

    /// Opens those that were not there and are now: another new writer may have made them meanwhile.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn look_again(&mut self) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        for (sink, place) in plan.sinks.iter().zip(&mut self.places).filter(|(_, place)| place.table.is_none()) {
            place.table = open_if_there(&plan, sink, &place.location, self.retry).await?;
        }
        Ok(())
    }

    /// The sinks without a table, and where it would be.
    #[must_use]
    pub fn missing(&self) -> Vec<(String, String)> {
        let missing = self.plan.sinks.iter().zip(&self.places).filter(|(_, place)| place.table.is_none());
        missing.map(|(sink, _)| (sink.name.clone(), sink.uri().to_owned())).collect()
    }

    /// What the tables that are there remember of this pipeline.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        let there = || self.plan.sinks.iter().zip(&self.places).filter_map(|(sink, place)| Some((sink, place.table.as_ref()?)));
        let (memories, tables) = there()
            .map(|(sink, table)| {
                let memory = table.memory(&self.plan.pipeline, &sink.name);
                let told = SinkMemory {
                    sink: sink.name.clone(),
                    table_id: table.table_id().to_owned(),
                    place: format!("the table at {}", sink.uri()),
                    held: holds(memory.held()),
                };
                (told, memory)
            })
            .unzip();
        Remembered { memories, tables, retry: self.retry, action: self.plan.state_action.clone() }
    }

    /// The identities of the tables that are there.
    pub fn pinned(&self) -> Vec<PinnedTable> {
        let pin = |(sink, place): (&Sink, &Place)| {
            let table_id = place.table.as_ref()?.table_id().to_owned();
            Some(PinnedTable { sink: sink.name.clone(), uri: sink.uri().to_owned(), table_id })
        };
        self.plan.sinks.iter().zip(&self.places).filter_map(pin).collect()
    }

    /// Makes those that are not there.
    ///
    /// # Errors
    /// `Retry`, `Config`: the store.
    pub async fn make_missing(&mut self) -> Result<()> {
        let (plan, retry) = (Arc::clone(&self.plan), self.retry);
        for (sink, place) in plan.sinks.iter().zip(&mut self.places).filter(|(_, place)| place.table.is_none()) {
            let doing = format!("creating {}", sink.uri());
            let made = async || DeltaTable::create(place.location.clone(), sink, &plan.pipeline, retry).await;
            let made = retry.persist(&doing, made).await.map_err(|e| e.context(format!("sink {}", quoted(&sink.name))))?;
            place.table = Some(made);
        }
        Ok(())
    }

    /// All of them, once they are there.
    ///
    /// # Errors
    /// A bug, if one was not made.
    pub fn into_tables(self) -> Result<Vec<DeltaTable>> {
        let made = |place: Place| place.table.ok_or_else(|| Failure::bug(format!("the table at {} was never made", place.location.url)));
        self.places.into_iter().map(made).collect()
    }
}

async fn open_if_there(plan: &Plan, sink: &Sink, location: &Location, retry: RetryPolicy) -> Result<Option<DeltaTable>> {
    let doing = format!("opening {}", sink.uri());
    let table = retry.persist(&doing, async || DeltaTable::open_if_there(location.clone(), sink, &plan.pipeline, retry).await).await;
    table.map_err(|e| e.context(format!("sink {}", quoted(&sink.name))))
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
        let asked = self.memories.iter().zip(&self.tables).map(|(memory, table)| async {
            let doing = format!("reading what {} holds", memory.place);
            let held = self.retry.persist(&doing, async || table.held_now().await).await?;
            Ok(SinkMemory { held: holds(&held), ..memory.clone() })
        });
        futures::future::try_join_all(asked).await
    }
}

impl Sinks for Remembered {
    fn held(&self, anew: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>> {
        match anew {
            true => self.ask_again().boxed(),
            false => std::future::ready(Ok(self.memories.clone())).boxed(),
        }
    }

    /// A token that a table knows was done before the rows that it holds: it says nothing about them.
    fn excuses(&self, newest: Option<&Manifest>) -> bool {
        let is_new = |action: &StateAction| !self.tables.iter().any(|table| table.has_seen(&action.token));
        claim::due(self.action.as_ref(), newest).is_some_and(is_new)
    }
}
