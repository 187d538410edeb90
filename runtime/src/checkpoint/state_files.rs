//! State files in the checkpoint: written once under a name that nobody else uses, read back whole and checked.

use bytes::Bytes;
use weir_plan::ids::{Epoch, Generation};

use super::layout::StateName;
use super::manifest::StateFile;
use super::store::{Outcome, Store};
use crate::failpoint;
use crate::failure::{Failure, Result};
use crate::retry::{Jitter, Patience, RetryPolicy};

/// Cheap to clone: the state of the next epoch is uploaded while the last one is being committed.
#[derive(Debug, Clone)]
pub struct StateFiles {
    pub(super) store: Store,
    pub(super) generation: Generation,
    pub(super) retry: RetryPolicy,
    pub(super) jitter: Jitter,
}

impl StateFiles {
    /// The name of the `n`th file that `task` writes for `epoch`: the first epoch whose manifest will refer to it, never one that is
    /// decided already.
    #[must_use]
    pub fn name(&self, epoch: Epoch, task: u32, n: u32) -> StateName {
        StateName { generation: self.generation, epoch, task, n }
    }

    /// Uploads a file; returns its path, as a manifest refers to it.
    ///
    /// # Errors
    /// `Config` or `Retry`, after the policy's time.
    pub async fn put(&self, name: &StateName, extension: &str, bytes: Bytes) -> Result<String> {
        failpoint::reach("state.upload.before");
        let path = name.path(extension);
        let mut patience = Patience::new(self.retry, self.jitter.clone());
        let mut retry = 0;
        loop {
            // Overwriting is right: the only object under this name is our own first try.
            match self.store.write(&path, bytes.clone()).await? {
                Outcome::Done(()) => break,
                Outcome::Unknown(why) => {
                    retry += 1;
                    patience.wait(retry, &why).await?;
                }
                Outcome::AlreadyExists | Outcome::NotFound => {
                    retry += 1;
                    patience.wait(retry, &format!("write {path} in {}: the store refuses", self.store.uri())).await?;
                }
            }
        }
        failpoint::reach("state.upload.after");
        Ok(path)
    }

    /// # Errors
    /// `Config`: the file is gone or damaged. `Retry`, after the policy's time.
    pub async fn read(&self, file: &StateFile) -> Result<Bytes> {
        let mut patience = Patience::new(self.retry, self.jitter.clone());
        let mut retry = 0;
        let bytes = loop {
            match self.store.read(&file.path).await? {
                Outcome::Done(bytes) => break bytes,
                Outcome::NotFound | Outcome::AlreadyExists => {
                    return Err(Failure::config(format!(
                        "the newest manifest in {} refers to {}, which is gone; restore the file",
                        self.store.uri(),
                        file.path
                    )));
                }
                Outcome::Unknown(why) => {
                    retry += 1;
                    patience.wait(retry, &why).await?;
                }
            }
        };
        let crc32 = crc32fast::hash(&bytes);
        if bytes.len() as u64 != file.bytes || crc32 != file.crc32 {
            return Err(Failure::config(format!(
                "{} in {} is damaged: {} bytes with checksum {crc32:08x}, and {} with {:08x} were written; restore the file",
                file.path,
                self.store.uri(),
                bytes.len(),
                file.bytes,
                file.crc32
            )));
        }
        Ok(bytes)
    }
}
