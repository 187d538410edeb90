//! What the driver tells and the HTTP server shows.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::metrics::Metrics;
use super::progress::{Pending, Progress};

/// What the HTTP server shows.
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    pub(super) latest: Mutex<Option<Progress>>,
    /// The epoch that is closed and not committed. While it can't be committed, nothing else here moves.
    pub(super) pending: Mutex<Option<Pending>>,
    pub(super) ready: AtomicBool,
    pub(super) ended: AtomicBool,
}

impl Shared {
    /// Nothing has been told yet.
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            latest: Mutex::new(None),
            pending: Mutex::new(None),
            ready: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }
}

/// Locks the value. It is whole even if a thread has panicked.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
