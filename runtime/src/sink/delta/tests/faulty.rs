//! A local store whose next commit goes wrong in a chosen way.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::storage::Location;

/// What happens to the next attempts to create a commit, one each.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The commit lands, the answer is lost.
    LoseAnswer,
    /// The commit lands, the answer is that it was there already: the client's own retry met its first request.
    RefuseOwn,
    /// Nothing lands, the answer is an error.
    Fail,
    /// Nothing lands and the answer is a refusal: S3's 409, when two requests only met.
    RefuseNobody,
    /// Another engine's commit takes the version just before.
    Race(String),
    /// Neither lands nor answers.
    Hang,
}

#[derive(Debug)]
pub(super) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    faults: Mutex<Vec<Fault>>,
    /// Overwrites what it should only create.
    careless: bool,
}

/// The same place in a store that does not know conditional puts.
pub(super) fn careless(location: Location) -> Location {
    let store = Faulty { inner: location.store.clone(), faults: Mutex::default(), careless: true };
    Location { store: Arc::new(store), ..location }
}

/// The same place, reached through faults. The first fault of the list comes first.
pub(super) fn through(location: Location, faults: impl IntoIterator<Item = Fault>) -> Location {
    let mut faults: Vec<_> = faults.into_iter().collect();
    faults.reverse();
    let store = Faulty { inner: location.store.clone(), faults: Mutex::new(faults), careless: false };
    Location { store: Arc::new(store), ..location }
}

fn lost() -> Error {
    Error::Generic { store: "S3", source: "connection reset".into() }
}

fn refused(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "412".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

type Listing = BoxStream<'static, Result<ObjectMeta>>;

// The signatures of `async_trait`, which is no dependency of ours.
type Pending<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Faulty {
    async fn put_with_faults(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
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
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

impl ObjectStore for Faulty {
    fn put_opts<'a, 'b, 'c>(&'a self, path: &'b Path, payload: PutPayload, options: PutOptions) -> Pending<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.put_with_faults(path, payload, options))
    }

    fn put_multipart_opts<'a, 'b, 'c>(&'a self, path: &'b Path, options: PutMultipartOptions) -> Pending<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_multipart_opts(path, options)
    }

    fn get_opts<'a, 'b, 'c>(&'a self, path: &'b Path, options: GetOptions) -> Pending<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.get_opts(path, options)
    }

    fn get_ranges<'a, 'b, 'c, 'd>(&'a self, path: &'b Path, ranges: &'c [Range<u64>]) -> Pending<'d, Vec<Bytes>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.inner.get_ranges(path, ranges)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> Listing {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Pending<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'd>(&'a self, from: &'b Path, to: &'c Path, options: CopyOptions) -> Pending<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.inner.copy_opts(from, to, options)
    }
}
