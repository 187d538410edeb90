//! Stubs for the writer's tests: a store that loses requests and answers, and tables that know the last epoch they
//! took.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload, PutResult};
use weir_base::failure::{Failure, Result};
use weir_base::retry::Jitter;
use weir_plan::ids::Epoch;
use weir_testing::meddled::{Meddled, Meddler, lost, refused};

use crate::manifest::{Committable, Manifest};
use crate::protocol::Mark;
use crate::sinks::{Committer, Landed, SinkHolds, SinkMemory, Sinks};

/// A store whose calls fail now and then, before or after they take effect.
#[derive(Debug)]
pub struct Unreliable {
    inner: Arc<dyn ObjectStore>,
    dice: Mutex<Jitter>,
    /// How many of a thousand calls fail.
    faults: u32,
    puts: Puts,
}

#[derive(Debug, Clone, Copy)]
enum Puts {
    Honest,
    /// The store allows a second create.
    Overwrite,
    /// The store never answers.
    Hang,
}

enum Dice {
    Good,
    FailBefore,
    FailAfter,
    /// S3's answer when another create of the same name is under way, or when the client has asked twice.
    Conflict,
}

impl Unreliable {
    pub fn on(inner: Arc<dyn ObjectStore>, seed: u64, faults: u32) -> Arc<dyn ObjectStore> {
        Self::store(inner, seed, faults, Puts::Honest)
    }

    /// A store that allows a second create.
    pub fn overwriting(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Self::store(inner, 0, 0, Puts::Overwrite)
    }

    /// A store that never answers a put.
    pub fn hanging(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Self::store(inner, 0, 0, Puts::Hang)
    }

    fn store(inner: Arc<dyn ObjectStore>, seed: u64, faults: u32, puts: Puts) -> Arc<dyn ObjectStore> {
        Arc::new(Meddled(Arc::new(Self { inner, dice: Mutex::new(Jitter::new(seed)), faults, puts })))
    }

    fn roll(&self) -> Dice {
        let mut dice = self.dice.lock().unwrap();
        if dice.draw() * 1000.0 >= f64::from(self.faults) {
            return Dice::Good;
        }
        match dice.draw() {
            x if x < 0.3 => Dice::FailBefore,
            x if x < 0.8 => Dice::FailAfter,
            _ => Dice::Conflict,
        }
    }

    fn good_or_lost(&self) -> object_store::Result<()> {
        if matches!(self.roll(), Dice::Good) { Ok(()) } else { Err(lost()) }
    }
}

impl Meddler for Unreliable {
    fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    fn put<'a>(
        &'a self,
        at: &'a Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> BoxFuture<'a, object_store::Result<PutResult>> {
        Box::pin(async move {
            let is_create = options.mode == PutMode::Create;
            match self.puts {
                Puts::Honest => {}
                Puts::Overwrite => options.mode = PutMode::Overwrite,
                Puts::Hang => return std::future::pending().await,
            }
            match self.roll() {
                Dice::Good => self.inner.put_opts(at, payload, options).await,
                Dice::FailBefore => Err(lost()),
                Dice::FailAfter => self.inner.put_opts(at, payload, options).await.and(Err(lost())),
                Dice::Conflict if is_create => Err(refused(at)),
                Dice::Conflict => Err(lost()),
            }
        })
    }

    fn before_get(&self, _: &Path) -> object_store::Result<()> {
        self.good_or_lost()
    }

    fn before_list(&self) -> object_store::Result<()> {
        self.good_or_lost()
    }
}

/// A table with what its log keeps, the last epoch of each lineage and the mark of its manifest, and with the offsets
/// that came in.
#[derive(Clone, Default)]
pub struct Table {
    txns: BTreeMap<String, (Epoch, Mark)>,
    rows: Vec<(i64, i64)>,
}

/// Tables that refuse some calls, before or after they take effect.
#[derive(Default)]
pub struct Tables {
    pub tables: Mutex<BTreeMap<String, Table>>,
    pub calls: AtomicU32,
    pub fails_every: u32,
    /// Whether a person says to go on whatever the tables hold.
    pub excuses: bool,
    /// Whether a version wrote them that knew no marks.
    pub without_marks: bool,
}

impl Committer for Tables {
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<Landed>> {
        Box::pin(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            let fails = self.fails_every > 0 && call.is_multiple_of(self.fails_every);
            if fails && call.is_multiple_of(2) {
                return Err(Failure::retry("the table was away"));
            }
            let mut tables = self.tables.lock().unwrap();
            let table = tables.entry(committable.sink.clone()).or_default();
            let (last, mark) = table.txns.get(&manifest.lineage).copied().unwrap_or((Epoch(0), Mark(0)));
            match manifest.epoch.cmp(&last) {
                std::cmp::Ordering::Less => return Err(Failure::fenced("the table holds a later epoch")),
                std::cmp::Ordering::Equal => {
                    assert_eq!(mark, manifest.head().mark(), "another manifest of the same number")
                }
                std::cmp::Ordering::Greater => {
                    table.txns.insert(manifest.lineage.clone(), (manifest.epoch, manifest.head().mark()));
                    let p = &manifest.sources[0].partitions[0];
                    table.rows.push((p.start, p.end));
                }
            }
            if fails { Err(Failure::retry("the table's answer was lost")) } else { Ok(Landed::Committed) }
        })
    }
}

impl Sinks for Tables {
    fn held(&self, _: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>> {
        let tables = self.tables.lock().unwrap();
        let memory = |sink: &str| SinkMemory {
            sink: sink.to_owned(),
            id: format!("id-of-{sink}"),
            place: format!("the table {sink}"),
            held: tables.get(sink).map(|table| self.held_in(table)).unwrap_or_default(),
        };
        Box::pin(std::future::ready(Ok(super::SINKS.into_iter().map(memory).collect())))
    }

    fn excuses(&self, _: Option<&Manifest>) -> bool {
        self.excuses
    }
}

impl Tables {
    fn held_in(&self, table: &Table) -> Vec<SinkHolds> {
        let holds = |(lineage, (epoch, mark)): (&String, &(Epoch, Mark))| SinkHolds {
            lineage: lineage.clone(),
            epoch: *epoch,
            mark: (!self.without_marks).then_some(*mark),
            is_named: !self.without_marks,
        };
        table.txns.iter().map(holds).collect()
    }

    /// A copy of a sink's table, to be put back later.
    pub fn copy(&self, sink: &str) -> Table {
        self.tables.lock().unwrap().get(sink).cloned().unwrap_or_default()
    }

    pub fn put_back(&self, sink: &str, copy: Table) {
        self.tables.lock().unwrap().insert(sink.to_owned(), copy);
    }

    pub fn rows(&self, sink: &str) -> Vec<(i64, i64)> {
        self.tables.lock().unwrap().get(sink).map(|table| table.rows.clone()).unwrap_or_default()
    }
}

/// A pipeline whose sinks hold nothing.
pub struct Nothing;

impl Sinks for Nothing {
    fn held(&self, _: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn excuses(&self, _: Option<&Manifest>) -> bool {
        false
    }
}
