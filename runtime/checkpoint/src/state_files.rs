//! State files in the checkpoint. Each is written once, in parts, under a name that nobody else uses, and read back in
//! ranges.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use weir_base::failpoint;
use weir_base::failure::{Failure, Result};
use weir_base::retry::{Jitter, Patience, RetryPolicy};
use weir_base::storage::{PART_BYTES, Upload};
use weir_plan::ids::{Epoch, Generation};

use super::layout::StateName;
use super::manifest::StateFile;
use super::store::{Outcome, Store};

/// Reads and writes state files. Cloning is cheap, because the state of the next epoch is uploaded while the last one
/// is being committed.
#[derive(Debug, Clone)]
pub struct StateFiles {
    pub(super) store: Store,
    pub(super) generation: Generation,
    pub(super) retry: RetryPolicy,
    pub(super) jitter: Jitter,
}

/// A state file that is not complete yet.
pub struct NewFile {
    path: String,
    upload: Upload,
}

/// The failure for saved state that can't be used, with its remedies.
pub fn damaged(what: impl fmt::Display) -> Failure {
    Failure::config(format!("the file is damaged: {what}; {REMEDY}"))
}

const REMEDY: &str =
    "put a good copy in its place, or go back to an older epoch or discard the state with spec.stateAction";

impl StateFiles {
    /// The same files, for a writer of this generation.
    #[must_use]
    pub fn of_generation(&self, generation: Generation) -> Self {
        Self { generation, ..self.clone() }
    }

    /// State files, written under this generation.
    #[must_use]
    pub fn new(store: Store, generation: Generation, retry: RetryPolicy, jitter: Jitter) -> Self {
        Self { store, generation, retry, jitter }
    }

    /// The name of the `n`th file that `task` writes for `epoch`: the first epoch whose manifest will refer to it, and
    /// never an epoch that is decided already.
    #[must_use]
    pub fn name(&self, epoch: Epoch, task: u32, n: u32) -> StateName {
        StateName { generation: self.generation, epoch, task, n }
    }

    /// Begins a file. It may overwrite an object, because the only object with this name is from our own first attempt.
    #[must_use]
    pub fn create(&self, name: &StateName, extension: &str) -> NewFile {
        failpoint::reach("state.upload.before");
        let path = name.path(extension);
        NewFile { upload: self.store.upload(&path, self.retry), path }
    }

    /// Reads a range of a file. However long the range is, no request carries more than a part.
    ///
    /// # Errors
    /// `Config`: the file is gone, or has another length than was written. `Retry`: there was no progress for the
    /// policy's time.
    pub async fn read(&self, file: &StateFile, stretch: Range<u64>) -> Result<Bytes> {
        let part = |from: u64| from..stretch.end.min(from + PART_BYTES as u64);
        let mut bytes = self.read_part(file, part(stretch.start)).await?;
        if bytes.len() as u64 == stretch.end - stretch.start {
            return Ok(bytes);
        }
        let mut whole = BytesMut::from(bytes);
        while stretch.start + (whole.len() as u64) < stretch.end {
            bytes = self.read_part(file, part(stretch.start + whole.len() as u64)).await?;
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// Copies the bytes to another name, a part at a time.
    ///
    /// # Errors
    /// See [`Self::read`] and [`NewFile::push`].
    pub async fn copy(&self, file: &StateFile, name: &StateName) -> Result<StateFile> {
        let extension = file.path.rsplit_once('.').map_or("state", |(_, extension)| extension);
        let mut copy = self.create(name, extension);
        if let Err(failure) = self.copy_into(&mut copy, file).await {
            copy.abort().await;
            return Err(failure);
        }
        Ok(StateFile { path: copy.finish().await?, ..file.clone() })
    }

    async fn copy_into(&self, copy: &mut NewFile, file: &StateFile) -> Result<()> {
        let mut at = 0;
        while at < file.bytes {
            let end = file.bytes.min(at + PART_BYTES as u64);
            copy.push(self.read(file, at..end).await?.into()).await?;
            at = end;
        }
        Ok(())
    }

    /// The file's name and place, for messages.
    #[must_use]
    pub fn named(&self, file: &StateFile) -> String {
        format!("{} in {}", file.path, self.store.uri())
    }

    async fn read_part(&self, file: &StateFile, part: Range<u64>) -> Result<Bytes> {
        let mut patience = Patience::new(self.retry, self.jitter.clone());
        let mut retry = 0;
        loop {
            let why = match self.store.read_range(&file.path, part.clone()).await? {
                Outcome::Done(read) => {
                    self.check_length(file, read.object_bytes)?;
                    if read.bytes.len() as u64 == part.end - part.start {
                        return Ok(read.bytes);
                    }
                    format!(
                        "read {}: {} bytes came, and {} were asked for",
                        self.named(file),
                        read.bytes.len(),
                        part.end - part.start
                    )
                }
                Outcome::NotFound | Outcome::AlreadyExists => {
                    let says = format!("the state file is gone, and the manifest to go on from names it; {REMEDY}");
                    return Err(Failure::config(says).context(self.named(file)));
                }
                Outcome::Unknown(why) => {
                    // A store has no special error for a range behind the end.
                    if let Outcome::Done(bytes) = self.store.size(&file.path).await? {
                        self.check_length(file, bytes)?;
                    }
                    why
                }
            };
            retry += 1;
            patience.wait(retry, &why).await?;
        }
    }

    fn check_length(&self, file: &StateFile, found: u64) -> Result<()> {
        if found == file.bytes {
            return Ok(());
        }
        Err(damaged(format!("{found} bytes are there, and {} were written", file.bytes)).context(self.named(file)))
    }
}

impl NewFile {
    /// Appends bytes. They are sent as soon as they fill a part.
    ///
    /// # Errors
    /// `Config`, or `Retry` after the policy's time without progress.
    pub async fn push(&mut self, bytes: Vec<u8>) -> Result<()> {
        if bytes.is_empty() { Ok(()) } else { self.upload.push(bytes).await }
    }

    /// Completes the file and returns its path, as a manifest refers to it.
    ///
    /// # Errors
    /// See [`Self::push`].
    pub async fn finish(self) -> Result<String> {
        self.upload.finish().await?;
        failpoint::reach("state.upload.after");
        Ok(self.path)
    }

    /// Gives the file up and removes what was sent, as far as the store answers.
    pub async fn abort(self) {
        self.upload.abort().await;
    }
}
