//! The edge to the object store. Each function makes one call with a deadline and sorts every outcome into what the
//! protocol understands. An error is `Unknown` unless it certainly means something else: a create that failed may have
//! landed.

use std::error::Error as _;
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
use weir_base::storage::{Standing, Target, Upload, innermost, is_refusal};

/// A checkpoint's place in an object store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// The same store, if it takes large objects in numbered parts; `None` for a folder.
    parts: Option<Arc<dyn MultipartStore>>,
    root: Path,
    /// The checkpoint's URI as the user wrote it, for messages.
    uri: Arc<str>,
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
        Self { inner, parts: None, root, uri: uri.into(), deadline, standing: Standing::default() }
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
            Ok(Err(error)) => sort(&error, doing, path, &self.uri).or_else(|failure| self.judge(&error, failure)),
            Err(_) => {
                Ok(Outcome::Unknown(format!("{doing} {path} in {}: no answer within {:?}", self.uri, self.deadline)))
            }
        }
    }

    /// Sorts the error of a call that may be repeated by its remedy.
    fn refused(&self, doing: &str, path: &str, error: &Error) -> Failure {
        match sort::<()>(error, doing, path, &self.uri).or_else(|failure| self.judge(error, failure)) {
            Err(failure) => failure,
            Ok(Outcome::Unknown(why)) => Failure::retry(why),
            Ok(_) => {
                Failure::retry(format!("{doing} {path} in {}: the store refuses ({})", self.uri, innermost(error)))
            }
        }
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
fn sort<T>(error: &Error, doing: &str, path: &str, uri: &str) -> Result<Outcome<T>> {
    let text = error.to_string();
    let says = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if says(&["NoSuchBucket"]) {
        return Err(Failure::config(format!("the bucket of {uri} does not exist; create it, or correct the URI")));
    }
    // These are retried, as in `storage::failures` for tables: somebody renews the token or corrects the clock without
    // touching the document.
    if says(&["ExpiredToken", "RequestTimeTooSkewed"]) {
        let code = code(&text).unwrap_or("expired");
        return Ok(Outcome::Unknown(format!(
            "{doing} {path} in {uri}: the store refused an expired token or a wrong clock ({code})"
        )));
    }
    if says(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"])
        || matches!(error, Error::Unauthenticated { .. })
    {
        return Err(Failure::config(format!(
            "the store refuses the access keys for {uri} ({doing} {path}); correct the Secret or the environment"
        )));
    }
    if says(&["AccessDenied"])
        || matches!(error, Error::PermissionDenied { .. })
        || matches!(io_kind(error), Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem))
    {
        return Err(Failure::config(format!(
            "not allowed to {doing} {path} in {uri}{}; a checkpoint needs to read, write, list and delete",
            code(&text).map_or(String::new(), |code| format!(" ({code})"))
        )));
    }
    if says(&["without LOCATION", "AuthorizationHeaderMalformed", "PermanentRedirect"]) {
        return Err(Failure::config(format!("the bucket of {uri} is in another region; correct the region")));
    }
    if matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
        || says(&["<Code>NotImplemented</Code>"])
    {
        return Err(Failure::config(format!(
            "the store at {uri} does not support to {doing} objects as a checkpoint needs it (conditional put): \
             {text}; use a store that does"
        )));
    }
    Ok(match error {
        Error::AlreadyExists { .. } | Error::Precondition { .. } => Outcome::AlreadyExists,
        Error::NotFound { .. } => Outcome::NotFound,
        _ if io_kind(error) == Some(std::io::ErrorKind::StorageFull) => {
            Outcome::Unknown(format!("{doing} {path} in {uri}: the disk is full; free some space"))
        }
        _ => Outcome::Unknown(format!("{doing} {path} in {uri}: {}", innermost(error))),
    })
}

/// The code in S3's XML error.
fn code(text: &str) -> Option<&str> {
    text.split_once("<Code>")?.1.split_once("</Code>").map(|(code, _)| code)
}

fn io_kind(error: &Error) -> Option<std::io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
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
        sort(&error, "create", "epochs/1", "s3://lake/c")
    }

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
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
    fn errors_that_a_person_must_mend_are_sentences_about_the_uri() {
        for text in [
            "404: NoSuchBucket",
            "403: InvalidAccessKeyId",
            "403: AccessDenied",
            "PermanentRedirect",
            "<Code>NotImplemented</Code>",
        ] {
            let failure = sorted(generic(text)).unwrap_err();
            assert_eq!(failure.remedy, Remedy::Config, "{text}");
            assert!(failure.message.contains("s3://lake/c"), "{failure}");
        }
        let missing = Error::NotFound { path: "x".into(), source: "<Code>NoSuchBucket</Code>".into() };
        assert!(sorted(missing).unwrap_err().message.contains("the bucket of s3://lake/c does not exist"));
    }

    #[test]
    fn a_refusal_tells_the_stores_reason() {
        let disabled =
            Error::PermissionDenied { path: "x".into(), source: "403: <Code>AllAccessDisabled</Code>".into() };
        let failure = sorted(disabled).unwrap_err();
        assert!(
            failure.message.starts_with("not allowed to create epochs/1 in s3://lake/c (AllAccessDisabled);"),
            "{failure}"
        );
    }

    #[test]
    fn a_token_that_has_expired_and_a_clock_that_is_wrong_are_tried_again() {
        for code in ["ExpiredToken", "RequestTimeTooSkewed"] {
            let error =
                Error::PermissionDenied { path: "x".into(), source: format!("403: <Code>{code}</Code>").into() };
            let says =
                format!("create epochs/1 in s3://lake/c: the store refused an expired token or a wrong clock ({code})");
            assert_eq!(sorted(error), Ok(Outcome::Unknown(says)));
        }
    }

    #[test]
    fn any_other_error_leaves_open_whether_it_was_done() {
        assert!(matches!(sorted(generic("503: SlowDown")), Ok(Outcome::Unknown(_))));
        assert_eq!(sorted(Error::AlreadyExists { path: "x".into(), source: "409".into() }), Ok(Outcome::AlreadyExists));
        let full = Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
        };
        assert_eq!(
            sorted(full),
            Ok(Outcome::Unknown("create epochs/1 in s3://lake/c: the disk is full; free some space".into()))
        );
    }
}
