//! What the writer meets in tests: a store that loses requests and answers, and tables that know the last epoch they took.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload, PutResult};

use crate::checkpoint::manifest::{Committable, Manifest};
use crate::checkpoint::writer::Committer;
use crate::failure::{Failure, Result};
use crate::retry::Jitter;
use crate::storage::meddled::{Meddled, Meddler, lost, refused};

/// A store whose calls fail now and then: before they are done, or after.
#[derive(Debug)]
pub struct Unreliable {
    inner: Arc<dyn ObjectStore>,
    dice: Mutex<Jitter>,
    /// Of a thousand calls.
    faults: u32,
    puts: Puts,
}

#[derive(Debug, Clone, Copy)]
enum Puts {
    Honest,
    /// A second create is let through.
    Overwrite,
    /// Never answered.
    Hang,
}

enum Dice {
    Good,
    FailBefore,
    FailAfter,
    /// As S3 says it when another create of the same name is under way; or when the client has asked twice.
    Conflict,
}

impl Unreliable {
    pub fn on(inner: Arc<dyn ObjectStore>, seed: u64, faults: u32) -> Arc<dyn ObjectStore> {
        Self::store(inner, seed, faults, Puts::Honest)
    }

    /// One that lets a second create through.
    pub fn overwriting(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Self::store(inner, 0, 0, Puts::Overwrite)
    }

    /// One that never answers a put.
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

    fn put<'a>(&'a self, at: &'a Path, payload: PutPayload, mut options: PutOptions) -> BoxFuture<'a, object_store::Result<PutResult>> {
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

/// The last epoch, and the offsets that came in.
type Table = (u64, Vec<(i64, i64)>);

/// Tables as Delta keeps them: the last epoch, and the offsets that came in. Refuses some calls, before or after they are done.
#[derive(Default)]
pub struct Tables {
    pub rows: Mutex<BTreeMap<String, Table>>,
    pub calls: AtomicU32,
    pub fails_every: u32,
}

impl Committer for Tables {
    fn commit<'a>(&'a self, manifest: &'a Manifest, committable: &'a Committable) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            let fails = self.fails_every > 0 && call.is_multiple_of(self.fails_every);
            if fails && call.is_multiple_of(2) {
                return Err(Failure::retry("the table was away"));
            }
            let mut tables = self.rows.lock().unwrap();
            let (txn, rows) = tables.entry(committable.sink.clone()).or_default();
            match manifest.epoch.0.cmp(txn) {
                std::cmp::Ordering::Less => return Err(Failure::fenced("the table holds a later epoch")),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => {
                    *txn = manifest.epoch.0;
                    let p = &manifest.sources[0].partitions[0];
                    rows.push((p.start, p.end));
                }
            }
            if fails { Err(Failure::retry("the table's answer was lost")) } else { Ok(()) }
        })
    }
}

impl Tables {
    pub fn rows(&self, sink: &str) -> Vec<(i64, i64)> {
        self.rows.lock().unwrap().get(sink).map(|(_, rows)| rows.clone()).unwrap_or_default()
    }
}
