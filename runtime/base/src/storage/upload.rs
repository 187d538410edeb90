//! One object on its way to the store, a data file or a state file. A small object goes in a single request at the end,
//! a larger one in parts as it grows, so that neither memory nor a request grows with the file. The pipeline's policy
//! repeats each request from what is in memory: the whole object or the current part.

use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt as _};

use super::{PartFile, REQUEST_DEADLINE};
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;

/// The size of a part in bytes, above S3's minimum of 5 MiB. All parts but the last have this size, because some stores
/// insist on it. It is also the most that one request carries, so that `REQUEST_DEADLINE` sets a least bandwidth and
/// does not limit the size of objects.
pub const PART_BYTES: usize = 8 << 20;

/// An object that is written in the order of its bytes.
pub struct Upload {
    to: Target,
    pending: Vec<u8>,
    parts: Option<Parts>,
    /// Bytes that were sent in parts.
    bytes_sent: u64,
    bytes: u64,
}

/// Where an object goes, and how the store's errors are sorted.
pub struct Target {
    pub store: Arc<dyn ObjectStore>,
    /// The same store, if it takes numbered parts; `None` for a local folder.
    pub parts: Option<Arc<dyn MultipartStore>>,
    pub path: Path,
    pub retry: RetryPolicy,
    /// The work, for the log, as in "writing a data file to s3://lake/rides".
    pub doing: String,
    /// Sorts an error by its remedy.
    pub sort: Sort,
}

pub type Sort = Box<dyn Fn(object_store::Error) -> Failure + Send + Sync>;

/// The parts that were sent already.
enum Parts {
    /// Parts with our own numbers, so that a part can be sent again.
    Numbered { store: Arc<dyn MultipartStore>, id: MultipartId, sent: Vec<PartId> },
    /// Parts of a file in a local folder.
    InFile(PartFile),
}

impl Upload {
    pub fn new(to: Target) -> Self {
        Self { to, pending: Vec::new(), parts: None, bytes_sent: 0, bytes: 0 }
    }

    /// Bytes that wait in memory for a full part.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    pub async fn push(&mut self, chunk: Vec<u8>) -> Result<()> {
        self.bytes += chunk.len() as u64;
        if self.pending.is_empty() {
            self.pending = chunk;
        } else {
            self.pending.extend_from_slice(&chunk);
        }
        let mut sent = 0;
        while self.pending.len() - sent > PART_BYTES {
            let part = Bytes::copy_from_slice(&self.pending[sent..sent + PART_BYTES]);
            self.put_part(part).await?;
            sent += PART_BYTES;
        }
        self.pending.drain(..sent);
        Ok(())
    }

    /// Completes the object and returns its size in bytes. When this returns, the whole object is there.
    pub async fn finish(mut self) -> Result<u64> {
        let rest = Bytes::from(std::mem::take(&mut self.pending));
        if self.parts.is_none() {
            self.to.put_whole(rest).await?;
            return Ok(self.bytes);
        }
        if !rest.is_empty() {
            self.put_part(rest).await?;
        }
        match self.parts.take() {
            Some(Parts::Numbered { store, id, sent }) => {
                self.to.complete(store.as_ref(), &id, &sent, self.bytes).await?;
            }
            Some(Parts::InFile(file)) => {
                self.to.persist(async || self.to.asked(file.finish()).await).await?;
            }
            None => {}
        }
        Ok(self.bytes)
    }

    /// Removes what was sent, as far as the store answers.
    pub async fn abort(self) {
        let aborted = match self.parts {
            Some(Parts::Numbered { store, id, .. }) => store.abort_multipart(&self.to.path, &id).await,
            Some(Parts::InFile(file)) => file.abort().await,
            None => Ok(()),
        };
        if let Err(e) = aborted {
            tracing::debug!(path = %self.to.path, error = %e, "an upload could not be aborted; the store's own \
                clean-up removes it");
        }
    }

    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let (to, at) = (&self.to, self.bytes_sent);
        self.bytes_sent += part.len() as u64;
        let parts = match self.parts.take() {
            Some(parts) => parts,
            None => to.begin().await?,
        };
        let (parts, sent) = match parts {
            Parts::Numbered { store, id, mut sent } => {
                let number = sent.len();
                let put =
                    to.persist(async || to.asked(store.put_part(&to.path, &id, number, part.clone().into())).await);
                let put = put.await.map(|part| sent.push(part));
                (Parts::Numbered { store, id, sent }, put)
            }
            Parts::InFile(file) => {
                let put = to.persist(async || to.asked(file.put(at, part.clone())).await).await;
                (Parts::InFile(file), put)
            }
        };
        // A failed upload keeps its parts as well, for `abort`.
        self.parts = Some(parts);
        sent
    }
}

impl Target {
    async fn put_whole(&self, whole: Bytes) -> Result<()> {
        self.persist(async || self.asked(self.store.put(&self.path, whole.clone().into())).await.map(|_| ())).await
    }

    /// Starts an upload in parts. If an answer is lost and this starts a second one, the first stays empty until the
    /// store's own clean-up removes it.
    async fn begin(&self) -> Result<Parts> {
        self.persist(async || {
            Ok(match &self.parts {
                Some(store) => {
                    let id = self.asked(store.create_multipart(&self.path)).await?;
                    Parts::Numbered { store: store.clone(), id, sent: Vec::new() }
                }
                None => Parts::InFile(self.asked(PartFile::begin(&self.path)).await?),
            })
        })
        .await
    }

    /// Completes an upload in parts. The store forgets an upload that it has completed, so an error after a lost answer
    /// may mean success (the client's own retry gets such an error). Nobody else writes an object of this name.
    async fn complete(&self, store: &dyn MultipartStore, id: &MultipartId, sent: &[PartId], bytes: u64) -> Result<()> {
        let complete = async || {
            let Err(failure) = self.asked(store.complete_multipart(&self.path, id, sent.to_vec())).await else {
                return Ok(());
            };
            match self.asked(self.store.head(&self.path)).await {
                Ok(found) if found.size == bytes => Ok(()),
                _ => Err(failure),
            }
        };
        self.persist(complete).await
    }

    async fn persist<T, F: Future<Output = Result<T>>>(&self, attempt: impl FnMut() -> F) -> Result<T> {
        self.retry.persist(&self.doing, attempt).await
    }

    async fn asked<T>(&self, request: impl Future<Output = object_store::Result<T>>) -> Result<T> {
        match tokio::time::timeout(REQUEST_DEADLINE, request).await {
            Ok(answer) => answer.map_err(|e| (self.sort)(e)),
            Err(_) => Err(Failure::retry(format!("write {}: no answer within {REQUEST_DEADLINE:?}", self.path))),
        }
    }
}
