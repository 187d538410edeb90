//! What the writer meets in tests: a store that loses requests and answers, and tables that know the last epoch they took.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};

use crate::checkpoint::manifest::{Committable, Manifest};
use crate::checkpoint::writer::Committer;
use crate::failure::{Failure, Result};
use crate::retry::Jitter;

/// A store whose calls fail now and then: before they are done, or after.
#[derive(Debug)]
pub struct Unreliable {
    pub inner: Arc<dyn ObjectStore>,
    pub dice: Mutex<Jitter>,
    /// Of a thousand calls.
    pub faults: u32,
    /// Lets a second create through.
    pub overwrites: bool,
    /// Never answers a put.
    pub hangs: bool,
}

impl std::fmt::Display for Unreliable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unreliable store")
    }
}

enum Dice {
    Good,
    FailBefore,
    FailAfter,
    /// As S3 says it when another create of the same name is under way; or when the client has asked twice.
    Conflict,
}

impl Unreliable {
    pub fn on(inner: Arc<dyn ObjectStore>, seed: u64, faults: u32) -> Arc<Self> {
        Arc::new(Self { inner, dice: Mutex::new(Jitter::new(seed)), faults, overwrites: false, hangs: false })
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
}

fn away() -> Error {
    Error::Generic { store: "test", source: "connection reset".into() }
}

type Called<'a, T> = Pin<Box<dyn Future<Output = object_store::Result<T>> + Send + 'a>>;

impl ObjectStore for Unreliable {
    fn put_opts<'a, 'b, 'c>(&'a self, at: &'b Path, payload: PutPayload, mut options: PutOptions) -> Called<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            if self.hangs {
                return std::future::pending().await;
            }
            let is_create = options.mode == PutMode::Create;
            if self.overwrites {
                options.mode = PutMode::Overwrite;
            }
            match self.roll() {
                Dice::Good => self.inner.put_opts(at, payload, options).await,
                Dice::FailBefore => Err(away()),
                Dice::FailAfter => self.inner.put_opts(at, payload, options).await.and(Err(away())),
                Dice::Conflict if is_create => Err(Error::AlreadyExists { path: at.to_string(), source: "409".into() }),
                Dice::Conflict => Err(away()),
            }
        })
    }

    fn put_multipart_opts<'a, 'b, 'c>(&'a self, at: &'b Path, options: PutMultipartOptions) -> Called<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_multipart_opts(at, options)
    }

    fn get_opts<'a, 'b, 'c>(&'a self, at: &'b Path, options: GetOptions) -> Called<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            match self.roll() {
                Dice::Good => self.inner.get_opts(at, options).await,
                _ => Err(away()),
            }
        })
    }

    fn get_ranges<'a, 'b, 'd, 'c>(&'a self, at: &'b Path, ranges: &'d [Range<u64>]) -> Called<'c, Vec<Bytes>>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
        Self: 'c,
    {
        self.inner.get_ranges(at, ranges)
    }

    fn delete_stream(&self, at: BoxStream<'static, object_store::Result<Path>>) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.roll() {
            Dice::Good => self.inner.list(prefix),
            _ => Box::pin(futures::stream::iter([Err(away())])),
        }
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Called<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'd, 'c>(&'a self, from: &'b Path, to: &'d Path, options: CopyOptions) -> Called<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
        Self: 'c,
    {
        self.inner.copy_opts(from, to, options)
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
