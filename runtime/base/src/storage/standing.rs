//! Whether a run has begun. If the store refuses access at the start, a person has to put it right, and the run ends
//! with that message at once. A run that has begun once had access to everything that it needs. When it loses access,
//! because somebody exchanges a key or edits a policy or a disk turns read-only, access mostly comes back, often
//! through the person who is making the change. Until then the run waits, as for a store that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Remedy};

/// Whether the run has begun; everything that one run writes to shares it.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<AtomicBool>);

impl Standing {
    /// Notes that the store has once allowed everything that the run needs.
    pub fn has_begun(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// What a refusal of access means now: `Config` at the start, `Retry` once the run has begun.
    #[must_use]
    pub fn judge(&self, refusal: Failure) -> Failure {
        if refusal.remedy != Remedy::Config || !self.0.load(Ordering::Relaxed) {
            return refusal;
        }
        Failure::retry(format!(
            "{}; it was allowed when this run began, and is tried again in case it is given back",
            refusal.message
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_at_the_start_is_a_persons_to_mend_and_later_it_is_tried_again() {
        let standing = Standing::default();
        assert_eq!(standing.judge(Failure::config("no")), Failure::config("no"));
        standing.clone().has_begun();
        let says = "no; it was allowed when this run began, and is tried again in case it is given back";
        assert_eq!(standing.judge(Failure::config("no")), Failure::retry(says));
    }
}
