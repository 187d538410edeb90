//! The data files of this process that a commit may yet name. A vacuum spares them whatever their age: an epoch may be
//! open for longer than files are kept, and a machine's clock may step.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The files of one table; cloning is cheap. Paths are relative to the table, as the store has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending(Arc<Mutex<HashSet<String>>>);

impl Pending {
    /// Notes a file. Call this before the first byte of the file goes to the store.
    pub(super) fn begin(&self, path: &str) {
        self.with(|files| files.insert(path.to_owned()));
    }

    /// Forgets a file that is committed or will never be.
    pub(super) fn settle(&self, path: &str) {
        self.with(|files| files.remove(path));
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.with(|files| files.contains(path))
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
