//! Limits how many tests with a rig run at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

/// The number of tests that may run at the same time. The machine has few cores, and each test keeps an engine and a
/// broker busy.
const AT_ONCE: u32 = 2;

/// The right to run, as long as it is held.
pub struct Slot;

static FREE: (Mutex<u32>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

impl Slot {
    #[must_use]
    pub fn take() -> Self {
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
