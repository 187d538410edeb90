//! Stores that fail on purpose. In one, the next commits go wrong in chosen ways, data files fail for a while, and log
//! checkpoints wait. The other loses parts of uploads.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, PutResult, Result};
use tokio::sync::Semaphore;
use weir_base::storage::Location;

use crate::meddled::{Meddled, Meddler, Pending, lost, refused};

/// What happens to the next attempts to create a commit, one fault per attempt.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The commit lands, and the answer is lost.
    LoseAnswer,
    /// The commit lands, and the answer says that it was there already, as when the client's own retry meets its first
    /// request.
    RefuseOwn,
    /// Nothing lands, and the answer is an error.
    Fail,
    /// Nothing lands, and the answer is a refusal, as S3's 409 when two requests meet.
    RefuseNobody,
    /// Another engine's commit takes the version just before ours.
    Race(String),
    /// These commits replace the log just before ours.
    Anew(Vec<(i64, String)>),
    /// The request neither lands nor gets an answer.
    Hang,
}

#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    pub faults: Mutex<Vec<Fault>>,
    /// The store overwrites objects that it should only create.
    careless: bool,
    /// How many puts of data files still fail.
    pub away: AtomicU32,
    /// The names of the log's files that were read.
    pub log_reads: Mutex<BTreeSet<String>>,
    /// Writing a log checkpoint takes one of these permits; if the semaphore is closed, it fails.
    pub checkpoints: Semaphore,
    pub checkpoints_begun: AtomicU32,
}

impl Faulty {
    /// A faulty store in front of the location's, and the location that uses it. The first fault of the list comes
    /// first.
    pub fn before(location: &Location, faults: impl IntoIterator<Item = Fault>) -> (Arc<Self>, Location) {
        Self::new(location, faults, false)
    }

    fn new(location: &Location, faults: impl IntoIterator<Item = Fault>, careless: bool) -> (Arc<Self>, Location) {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.reverse();
        let faulty = Arc::new(Self {
            inner: location.store.clone(),
            faults: Mutex::new(faults),
            careless,
            away: AtomicU32::new(0),
            log_reads: Mutex::default(),
            checkpoints: Semaphore::new(1000),
            checkpoints_begun: AtomicU32::new(0),
        });
        (faulty.clone(), Location { store: Arc::new(Meddled(faulty)), ..location.clone() })
    }
}

/// The same location in a store that ignores the condition of conditional puts.
pub fn careless(location: &Location) -> Location {
    Faulty::new(location, [], true).1
}

/// The same location, reached through a faulty store. The first fault of the list comes first.
pub fn through(location: &Location, faults: impl IntoIterator<Item = Fault>) -> Location {
    Faulty::before(location, faults).1
}

impl Faulty {
    fn is_away(&self) -> bool {
        self.away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    async fn let_checkpoint_through(&self) -> Result<()> {
        self.checkpoints_begun.fetch_add(1, Ordering::Relaxed);
        self.checkpoints.acquire().await.map_err(|_| lost())?.forget();
        Ok(())
    }

    async fn put_with_faults(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if path.as_ref().ends_with(".checkpoint.parquet") {
            self.let_checkpoint_through().await?;
        } else if path.as_ref().ends_with(".parquet") && self.is_away() {
            return Err(lost());
        }
        let is_commit = options.mode == PutMode::Create && path.as_ref().contains("_delta_log/");
        let fault = if is_commit { self.faults.lock().unwrap().pop() } else { None };
        match fault {
            None if self.careless => self.inner.put(path, payload).await,
            None => self.inner.put_opts(path, payload, options).await,
            Some(Fault::LoseAnswer) => self.inner.put_opts(path, payload, options).await.and(Err(lost())),
            Some(Fault::RefuseOwn) => self.inner.put_opts(path, payload, options).await.and(Err(refused(path))),
            Some(Fault::Fail) => Err(lost()),
            Some(Fault::RefuseNobody) => Err(refused(path)),
            Some(Fault::Race(foreign)) => {
                self.inner.put(path, Bytes::from(foreign).into()).await?;
                self.inner.put_opts(path, payload, options).await
            }
            Some(Fault::Anew(commits)) => {
                let folder = path.as_ref().rsplit_once('/').unwrap().0.to_owned();
                for (version, commit) in commits {
                    self.inner
                        .put(&Path::from(format!("{folder}/{version:020}.json")), Bytes::from(commit).into())
                        .await?;
                }
                self.inner.put_opts(path, payload, options).await
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

impl Meddler for Faulty {
    fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    fn put<'a>(&'a self, path: &'a Path, payload: PutPayload, options: PutOptions) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.put_with_faults(path, payload, options))
    }

    fn before_get(&self, path: &Path) -> Result<()> {
        if path.as_ref().contains("_delta_log/") {
            self.log_reads.lock().unwrap().insert(path.filename().unwrap().to_owned());
        }
        Ok(())
    }
}

/// A store that takes large objects in parts, and fails requests of such uploads; each counter says how many such
/// requests still fail.
#[derive(Debug, Default)]
pub struct LossyParts {
    pub inner: Arc<InMemory>,
    /// The bytes of each part that came, in the order in which they came.
    pub sizes: Mutex<Vec<usize>>,
    pub begin: AtomicU32,
    pub part: AtomicU32,
    pub complete: AtomicU32,
    /// The upload is completed, and then the answer is lost.
    pub completed: AtomicU32,
    pub aborted: AtomicU32,
}

fn strike(left: &AtomicU32) -> Result<()> {
    match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
        Ok(_) => Err(lost()),
        Err(_) => Ok(()),
    }
}

impl MultipartStore for LossyParts {
    fn create_multipart<'a, 'b, 'c>(&'a self, path: &'b Path) -> Pending<'c, MultipartId>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            strike(&self.begin)?;
            self.inner.create_multipart(path).await
        })
    }

    fn put_part<'a, 'b, 'c, 'd>(
        &'a self,
        path: &'b Path,
        id: &'c MultipartId,
        number: usize,
        data: PutPayload,
    ) -> Pending<'d, PartId>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        Box::pin(async move {
            strike(&self.part)?;
            self.sizes.lock().unwrap().push(data.content_length());
            self.inner.put_part(path, id, number, data).await
        })
    }

    fn complete_multipart<'a, 'b, 'c, 'd>(
        &'a self,
        path: &'b Path,
        id: &'c MultipartId,
        parts: Vec<PartId>,
    ) -> Pending<'d, PutResult>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        Box::pin(async move {
            strike(&self.complete)?;
            let completed = self.inner.complete_multipart(path, id, parts).await?;
            strike(&self.completed)?;
            Ok(completed)
        })
    }

    fn abort_multipart<'a, 'b, 'c, 'd>(&'a self, path: &'b Path, id: &'c MultipartId) -> Pending<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.aborted.fetch_add(1, Ordering::Relaxed);
        self.inner.abort_multipart(path, id)
    }
}
