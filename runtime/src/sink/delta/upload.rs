//! One object on its way to the store: small ones go in a single request at the end, larger ones in parts as they grow, so that memory does
//! not grow with the file.

use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _};

use crate::failure::{Remedy, Result};
use crate::storage::Location;

/// Above S3's minimum for a part (5 MiB). All parts but the last have this size, which some stores insist on.
const PART_BYTES: usize = 8 << 20;
const RETRY_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Upload {
    location: Location,
    path: Path,
    /// For how long a small object is tried again before the epoch fails. Parts can't be repeated: the client numbers them as they go.
    give_up_after: Duration,
    pending: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
    bytes: u64,
}

impl Upload {
    pub(super) fn new(location: Location, path: Path, give_up_after: Duration) -> Self {
        Self { location, path, give_up_after, pending: Vec::new(), parts: None, bytes: 0 }
    }

    /// What waits in memory for a full part.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    pub(super) async fn push(&mut self, chunk: Vec<u8>) -> Result<()> {
        self.bytes += chunk.len() as u64;
        if self.pending.is_empty() {
            self.pending = chunk;
        } else {
            self.pending.extend_from_slice(&chunk);
        }
        while self.pending.len() > PART_BYTES {
            let rest = self.pending.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.pending, rest);
            self.put_part(part).await?;
        }
        Ok(())
    }

    /// The object is there, whole, when this returns its size.
    pub(super) async fn finish(mut self) -> Result<u64> {
        let rest = std::mem::take(&mut self.pending);
        if self.parts.is_none() {
            put_whole(&self.location, &self.path, rest.into(), self.give_up_after).await?;
            return Ok(self.bytes);
        }
        if !rest.is_empty() {
            self.put_part(rest).await?;
        }
        if let Some(parts) = &mut self.parts
            && let Err(e) = parts.complete().await
        {
            return Err(self.location.describe(e, format!("write {}", self.path)));
        }
        Ok(self.bytes)
    }

    /// Leaves nothing behind, as far as the store answers.
    pub(super) async fn abort(mut self) {
        if let Some(parts) = &mut self.parts
            && let Err(e) = parts.abort().await
        {
            tracing::debug!(path = %self.path, error = %e, "an upload could not be aborted; the store's own clean-up removes it");
        }
    }

    async fn put_part(&mut self, part: Vec<u8>) -> Result<()> {
        let sent = async {
            let parts = match &mut self.parts {
                Some(parts) => parts,
                none => none.insert(self.location.store.put_multipart(&self.path).await?),
            };
            parts.put_part(part.into()).await
        };
        let sent = sent.await;
        sent.map_err(|e| self.location.describe(e, format!("write {}", self.path)))
    }
}

async fn put_whole(location: &Location, path: &Path, whole: Bytes, give_up_after: Duration) -> Result<()> {
    let started = Instant::now();
    loop {
        let Err(e) = location.store.put(path, whole.clone().into()).await else { return Ok(()) };
        let failure = location.describe(e, format!("write {path}"));
        if failure.remedy != Remedy::Retry || started.elapsed() >= give_up_after {
            return Err(failure);
        }
        tracing::warn!(%failure, "a data file could not be written; trying again");
        tokio::time::sleep(RETRY_EVERY).await;
    }
}
