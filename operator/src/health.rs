//! Whether this process is ready: a candidate when the API server has answered it, the leader when it has seen all
//! pipelines once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The readiness, shared with the HTTP server.
#[derive(Debug, Default)]
pub struct Health {
    is_candidate: AtomicBool,
    /// The number of lists of pipelines that the leader has not seen yet.
    unseen: AtomicUsize,
}

impl Health {
    /// Notes that the API server has said who leads.
    pub fn answered(&self) {
        self.is_candidate.store(true, Ordering::Relaxed);
    }

    /// Notes that this process leads and has to see `lists` lists.
    pub fn elected(&self, lists: usize) {
        self.unseen.store(lists, Ordering::Relaxed);
    }

    /// Notes that one list was seen completely.
    pub fn listed(&self) {
        self.unseen.fetch_sub(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_candidate.load(Ordering::Relaxed) && self.unseen.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_ready_once_it_was_answered_and_the_leader_once_it_has_seen_all_lists() {
        let health = Health::default();
        assert!(!health.is_ready());
        health.answered();
        assert!(health.is_ready());
        health.elected(2);
        assert!(!health.is_ready());
        health.listed();
        assert!(!health.is_ready());
        health.listed();
        assert!(health.is_ready());
    }
}
