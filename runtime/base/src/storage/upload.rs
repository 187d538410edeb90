//! One object on its way to the store, be it a data file or a file of state: small ones go in a single request at the
//! end, larger ones in parts as they grow, so that neither memory nor a request grows with the file. Each request is
//! repeated by the pipeline's policy, from what is in memory: the object or the part in hand.

use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStore, ObjectStoreExt as _};

use super::{PartFile, REQUEST_DEADLINE};
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;

/// Above S3's minimum for a part (5 MiB). All parts but the last have this size, which some stores insist on. It is
/// also the most that one request carries, so that [`REQUEST_DEADLINE`] asks for a least bandwidth and not for a small
/// object.
pub const PART_BYTES: usize = 8 << 20;

/// An object that is written in the order of its bytes.
pub struct Upload {
    to: Target,
    pending: Vec<u8>,
    parts: Option<Parts>,
    /// In parts.
    bytes_sent: u64,
    bytes: u64,
}

/// Where an object goes, and what is made of the store's errors.
pub struct Target {
    pub store: Arc<dyn ObjectStore>,
    /// The same store, where its parts have numbers; none for a local folder.
    pub parts: Option<Arc<dyn MultipartStore>>,
    pub path: Path,
    pub retry: RetryPolicy,
    /// For the log, as in "writing a data file to s3://lake/rides".
    pub doing: String,
    /// Sorts an error by its remedy.
    pub sort: Sort,
}

pub type Sort = Box<dyn Fn(object_store::Error) -> Failure + Send + Sync>;

/// What has been sent already.
enum Parts {
    /// A part has a number of ours, so that it can be sent again.
    Numbered { store: Arc<dyn MultipartStore>, id: MultipartId, sent: Vec<PartId> },
    /// Of a local folder.
    InFile(PartFile),
}

impl Upload {
    pub fn new(to: Target) -> Self {
        Self { to, pending: Vec::new(), parts: None, bytes_sent: 0, bytes: 0 }
    }

    /// What waits in memory for a full part.
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

    /// The object is there, whole, when this returns its size.
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

    /// Leaves nothing behind, as far as the store answers.
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
        // Kept on a failure too, for `abort`.
        self.parts = Some(parts);
        sent
    }
}

impl Target {
    async fn put_whole(&self, whole: Bytes) -> Result<()> {
        self.persist(async || self.asked(self.store.put(&self.path, whole.clone().into())).await.map(|_| ())).await
    }

    /// Begun twice after a lost answer, the first upload stays empty until the store's own clean-up.
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

    /// Once completed, an upload is unknown to the store: an error after a lost answer (the client's own retry meets
    /// it) may mean success. Nobody else writes an object of this name.
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
