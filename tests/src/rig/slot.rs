//! How many tests of a rig run at once.

use std::sync::{Condvar, Mutex, PoisonError};

/// Tests that run at the same time: the machine has few cores, and each test keeps an engine and a broker busy.
const AT_ONCE: u32 = 2;

/// A right to run, for as long as it is held.
pub(super) struct Slot;

static FREE: (Mutex<u32>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

impl Slot {
    pub(super) fn take() -> Self {
        let free = FREE.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = FREE.1.wait_while(free, |n| *n == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *FREE.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREE.1.notify_one();
    }
}
