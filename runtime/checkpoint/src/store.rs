//! The edge to the object store. Each function makes one call with a deadline and sorts every outcome into what the
//! protocol understands. An error is `Unknown` unless it certainly means something else: a create that failed may have
//! landed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::retry::RetryPolicy;
use weir_base::storage::{Access, Standing, Target, Upload, innermost, is_missing_object, is_refusal};

/// A checkpoint's place in an object store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// The same store, if it takes large objects in numbered parts; `None` for a folder.
    parts: Option<Arc<dyn MultipartStore>>,
    root: Path,
    /// The checkpoint's URI as the user wrote it, for messages.
    uri: Arc<str>,
    /// How the store is reached, for messages.
    access: Access,
    deadline: Duration,
    standing: Standing,
}

// The client's own Debug shows its keys.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// A range of an object's bytes, and the length of the whole object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub bytes: Bytes,
    pub object_bytes: u64,
}

/// How a call ended. What a person must repair is an error instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    Done(T),
    AlreadyExists,
    NotFound,
    /// It is unknown whether the call took effect or yet will; the text says why.
    Unknown(String),
}

impl Store {
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, root: Path, uri: &str, deadline: Duration) -> Self {
        Self {
            inner,
            parts: None,
            root,
            uri: uri.into(),
            access: Access::Folder,
            deadline,
            standing: Standing::default(),
        }
    }

    /// This store, which is reached like this.
    #[must_use]
    pub fn reached_by(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Sends large objects to the store in numbered parts.
    #[must_use]
    pub fn in_parts(self, parts: Option<Arc<dyn MultipartStore>>) -> Self {
        Self { parts, ..self }
    }

    /// This store, in a run that shares this standing.
    #[must_use]
    pub fn in_run(self, standing: &Standing) -> Self {
        Self { standing: standing.clone(), ..self }
    }

    /// The checkpoint's URI, for messages.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Creates an object if its name is free.
    ///
    /// # Errors
    /// `Config`, if another attempt can't help.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<Outcome<()>> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let location = self.location(path);
        let call = async { self.inner.put_opts(&location, PutPayload::from(bytes), options).await.map(|_| ()) };
        match self.call("create", path, call).await? {
            // A missing object can't be the reason why a create fails.
            Outcome::NotFound => Ok(Outcome::Unknown(format!("create {path} in {}: not found", self.uri))),
            outcome => Ok(outcome),
        }
    }

    /// Begins the upload of an object of any size that nobody else writes.
    pub(crate) fn upload(&self, path: &str, retry: RetryPolicy) -> Upload {
        let (of, writing) = (self.clone(), path.to_owned());
        Upload::new(Target {
            store: Arc::clone(&self.inner),
            parts: self.parts.clone(),
            path: self.location(path),
            retry,
            doing: format!("writing {path} in {}", self.uri),
            sort: Box::new(move |error| of.refused("write", &writing, &error)),
        })
    }

    /// # Errors
    /// See [`Self::create`].
    pub async fn read(&self, path: &str) -> Result<Outcome<Bytes>> {
        let location = self.location(path);
        self.call("read", path, async { self.inner.get(&location).await?.bytes().await }).await
    }

    /// Reads a range of an object.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub(crate) async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Outcome<Stretch>> {
        let location = self.location(path);
        let call = async {
            let found = self.inner.get_opts(&location, GetOptions::new().with_range(Some(range))).await?;
            let object_bytes = found.meta.size;
            Ok(Stretch { bytes: found.bytes().await?, object_bytes })
        };
        self.call("read", path, call).await
    }

    /// The length of an object, in bytes.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub async fn size(&self, path: &str) -> Result<Outcome<u64>> {
        let location = self.location(path);
        self.call("look at", path, async { self.inner.head(&location).await.map(|meta| meta.size) }).await
    }

    /// Deletes an object. A missing object counts as deleted.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub async fn delete(&self, path: &str) -> Result<Outcome<()>> {
        let location = self.location(path);
        match self.call("delete", path, async { self.inner.delete(&location).await }).await? {
            Outcome::NotFound => Ok(Outcome::Done(())),
            outcome => Ok(outcome),
        }
    }

    /// Lists a folder; with `above`, only names that sort after it. Each page of the listing has its own deadline.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub async fn list(&self, folder: &str, above: Option<&str>) -> Result<Outcome<Vec<ObjectMeta>>> {
        let prefix = self.location(folder);
        let mut pages = match above {
            Some(path) => self.inner.list_with_offset(Some(&prefix), &self.location(path)),
            None => self.inner.list(Some(&prefix)),
        };
        let mut objects = Vec::new();
        loop {
            match self.call("list", folder, pages.try_next()).await? {
                Outcome::Done(Some(object)) => objects.push(object),
                Outcome::Done(None) | Outcome::NotFound => return Ok(Outcome::Done(objects)),
                Outcome::AlreadyExists => return Ok(Outcome::AlreadyExists),
                Outcome::Unknown(why) => return Ok(Outcome::Unknown(why)),
            }
        }
    }

    fn location(&self, path: &str) -> Path {
        path.split('/').fold(self.root.clone(), |at, part| at.join(part))
    }

    async fn call<T>(
        &self,
        doing: &str,
        path: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<Outcome<T>> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(value)) => Ok(Outcome::Done(value)),
            Ok(Err(error)) => self.sort(&error, doing, path),
            Err(_) => {
                Ok(Outcome::Unknown(format!("{doing} {path} in {}: no answer within {:?}", self.uri, self.deadline)))
            }
        }
    }

    /// Sorts the error of a call that may be repeated by its remedy.
    fn refused(&self, doing: &str, path: &str, error: &Error) -> Failure {
        match self.sort::<()>(error, doing, path) {
            Err(failure) => failure,
            Ok(Outcome::Unknown(why)) => Failure::retry(why),
            Ok(_) => {
                Failure::retry(format!("{doing} {path} in {}: the store refuses ({})", self.uri, innermost(error)))
            }
        }
    }

    fn sort<T>(&self, error: &Error, doing: &str, path: &str) -> Result<Outcome<T>> {
        sort(error, &self.access, || format!("{doing} {path} in {}", self.uri))
            .or_else(|failure| self.judge(error, failure))
    }

    /// Returns `Unknown` for a refused access that is to be retried. Nothing was done in that case, but `Unknown` is
    /// the outcome that gets tried again.
    fn judge<T>(&self, error: &Error, failure: Failure) -> Result<Outcome<T>> {
        let judged = if is_refusal(error) { self.standing.judge(failure) } else { failure };
        if judged.remedy == Remedy::Retry { Ok(Outcome::Unknown(judged.message)) } else { Err(judged) }
    }
}

/// Sorts an error. For a create, `object_store`'s S3 client returns 412 as `AlreadyExists`, even if the object is our
/// own from the client's first attempt. It also returns 409 (`ConditionalRequestConflict`: somebody is just writing) as
/// `AlreadyExists`, although nothing may be there. So the caller reads the object.
fn sort<T>(error: &Error, access: &Access, doing: impl FnOnce() -> String) -> Result<Outcome<T>> {
    if is_missing_object(error) {
        return Ok(Outcome::NotFound);
    }
    if matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. }) {
        return Ok(Outcome::AlreadyExists);
    }
    let failure = access.sort(error).context(doing());
    if failure.remedy == Remedy::Retry { Ok(Outcome::Unknown(failure.message)) } else { Err(failure) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    /// Longer than a disk takes on a busy machine.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn in_memory() -> Store {
        Store::new(Arc::new(InMemory::new()), Path::from("a/b"), "memory:///a/b", DEADLINE)
    }

    fn sorted(error: Error) -> Result<Outcome<()>> {
        sort(&error, &Access::Folder, || "create epochs/1 in s3://lake/c".into())
    }

    #[tokio::test]
    async fn an_object_is_created_once_read_listed_and_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        for store in [in_memory(), Store::new(Arc::new(local), Path::from("c"), "file:///c", DEADLINE)] {
            assert_eq!(store.list("epochs", None).await.unwrap(), Outcome::Done(vec![]));
            assert_eq!(store.create("epochs/1", Bytes::from_static(b"one")).await.unwrap(), Outcome::Done(()));
            assert_eq!(store.create("epochs/1", Bytes::from_static(b"two")).await.unwrap(), Outcome::AlreadyExists);
            assert_eq!(store.read("epochs/1").await.unwrap(), Outcome::Done(Bytes::from_static(b"one")));
            store.create("epochs/2", Bytes::new()).await.unwrap();
            let Outcome::Done(above) = store.list("epochs", Some("epochs/1")).await.unwrap() else {
                panic!("no listing")
            };
            assert_eq!(above.iter().map(|o| o.location.filename().unwrap()).collect::<Vec<_>>(), ["2"]);
            assert_eq!(store.delete("epochs/1").await.unwrap(), Outcome::Done(()));
            assert_eq!(store.delete("epochs/1").await.unwrap(), Outcome::Done(()));
            assert_eq!(store.read("epochs/1").await.unwrap(), Outcome::NotFound);
        }
    }

    #[test]
    fn what_a_person_must_mend_is_an_error_with_the_place() {
        let missing = Error::NotFound { path: "x".into(), source: "404 X: <Code>NoSuchBucket</Code>".into() };
        let says = "create epochs/1 in s3://lake/c: the bucket does not exist: Object at location x not found: 404 X \
                    (NoSuchBucket)";
        assert_eq!(sorted(missing), Err(Failure::config(says)));
        let denied = Error::PermissionDenied { path: "x".into(), source: "403 X: <Code>AccessDenied</Code>".into() };
        let failure = sorted(denied).unwrap_err();
        assert!(failure.message.starts_with("create epochs/1 in s3://lake/c: access was denied"), "{failure}");
    }

    #[test]
    fn any_other_error_leaves_open_whether_it_was_done() {
        let slow = Error::Generic { store: "S3", source: "503: <Code>SlowDown</Code>".into() };
        assert_eq!(sorted(slow), Ok(Outcome::Unknown("create epochs/1 in s3://lake/c: 503 (SlowDown)".into())));
        assert_eq!(sorted(Error::AlreadyExists { path: "x".into(), source: "409".into() }), Ok(Outcome::AlreadyExists));
        assert_eq!(sorted(Error::NotFound { path: "x".into(), source: "404".into() }), Ok(Outcome::NotFound));
    }
}
