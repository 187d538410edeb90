//! An object store for tests in which a [`Meddler`] decides what goes wrong; every other call passes through.

use std::fmt::{Debug, Display, Formatter};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Decides what happens to some calls of the store behind it. By default nothing goes wrong.
pub trait Meddler: Debug + Send + Sync + 'static {
    fn inner(&self) -> &Arc<dyn ObjectStore>;

    fn put<'a>(&'a self, at: &'a Path, payload: PutPayload, options: PutOptions) -> BoxFuture<'a, Result<PutResult>> {
        self.inner().put_opts(at, payload, options)
    }

    /// An error to return instead of reading the object.
    fn before_get(&self, _at: &Path) -> Result<()> {
        Ok(())
    }

    /// An error to return instead of a listing.
    fn before_list(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub struct Meddled<M>(pub Arc<M>);

/// The error of a request whose answer never came.
pub fn lost() -> Error {
    Error::Generic { store: "test", source: "connection reset".into() }
}

/// S3's refusal to create an object. S3 gives it when the object is there, when the client's own first try has landed,
/// and when two requests met.
pub fn refused(at: &Path) -> Error {
    Error::AlreadyExists { path: at.to_string(), source: "412".into() }
}

impl<M: Meddler> Display for Meddled<M> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with a hand in it", self.0.inner())
    }
}

/// The return type that `async_trait` gives to methods; we do not depend on that crate.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl<M: Meddler> ObjectStore for Meddled<M> {
    fn put_opts<'a, 'b, 'c>(&'a self, at: &'b Path, payload: PutPayload, options: PutOptions) -> Pending<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.0.put(at, payload, options)
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        at: &'b Path,
        options: PutMultipartOptions,
    ) -> Pending<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.0.inner().put_multipart_opts(at, options)
    }

    fn get_opts<'a, 'b, 'c>(&'a self, at: &'b Path, options: GetOptions) -> Pending<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            self.0.before_get(at)?;
            self.0.inner().get_opts(at, options).await
        })
    }

    fn get_ranges<'a, 'b, 'c, 'd>(&'a self, at: &'b Path, ranges: &'c [Range<u64>]) -> Pending<'d, Vec<Bytes>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.0.inner().get_ranges(at, ranges)
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.inner().delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.0.before_list() {
            Ok(()) => self.0.inner().list(prefix),
            Err(error) => Box::pin(futures::stream::iter([Err(error)])),
        }
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Pending<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.0.inner().list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'd>(&'a self, from: &'b Path, to: &'c Path, options: CopyOptions) -> Pending<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.0.inner().copy_opts(from, to, options)
    }
}
