//! A large file in a local folder, written in parts, each at its own offset, so that a part that failed for lack of
//! room can be written again. (The store client's own upload keeps its own count: a part that fails there leaves a
//! hole, and the file is lost.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, Result};

use crate::random::Random;

/// A file that has another name until it is finished. Each call may be repeated.
pub struct PartFile {
    unfinished: PathBuf,
    whole: PathBuf,
}

impl PartFile {
    pub async fn begin(path: &Path) -> Result<Self> {
        let whole = LocalFileSystem::new().path_to_filesystem(path)?;
        let mut unfinished = whole.clone().into_os_string();
        // The client leaves names with `#` and a number out of its listings.
        unfinished.push(format!("#{}", Random::of_system().number()));
        let file = Self { unfinished: unfinished.into(), whole };
        let at = file.unfinished.clone();
        blocking(move || {
            at.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            File::create_new(&at).map(drop)
        })
        .await?;
        Ok(file)
    }

    /// Writes a part; `at` is the offset of its first byte in the file.
    pub async fn put(&self, at: u64, part: Bytes) -> Result<()> {
        let file = self.unfinished.clone();
        blocking(move || File::options().write(true).open(file)?.write_all_at(&part, at)).await
    }

    pub async fn finish(&self) -> Result<()> {
        let (from, to) = (self.unfinished.clone(), self.whole.clone());
        blocking(move || std::fs::rename(from, to)).await
    }

    pub async fn abort(self) -> Result<()> {
        blocking(move || std::fs::remove_file(self.unfinished)).await
    }
}

/// Runs a call of the file system on a thread for blocking calls: the disk may be slow, and the threads that serve the
/// network must not wait for it.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(call).await.map_err(|source| Error::JoinError { source })?;
    done.map_err(|e| Error::Generic { store: "LocalFileSystem", source: Box::new(e) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn parts_come_together_in_any_order_and_more_than_once_and_only_the_whole_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("date=2026-01-01").join("part.parquet");
        let file = PartFile::begin(&Path::from_absolute_path(&whole).unwrap()).await.unwrap();
        for (at, part) in [(4, "e file"), (0, "torn"), (0, "whol")] {
            file.put(at, part.into()).await.unwrap();
        }
        assert!(!whole.exists());
        file.finish().await.unwrap();
        assert_eq!(std::fs::read_to_string(&whole).unwrap(), "whole file");
    }

    #[tokio::test]
    async fn what_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file =
            PartFile::begin(&Path::from_absolute_path(folder.path()).unwrap().join("part.parquet")).await.unwrap();
        file.put(0, "torn".into()).await.unwrap();
        file.abort().await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
