//! Whether a run has begun. A start that is refused has to be put right by a person, and says so at once. A run that
//! has begun was allowed everything that it needs: a key that is exchanged, a policy that is edited, a disk that turns
//! read-only is mostly given back, often by whoever is just at it, and until then the run waits as for a store that is
//! away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Remedy};

/// Shared by all that one run writes to.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<AtomicBool>);

impl Standing {
    /// Everything that the run needs has been allowed once.
    pub fn has_begun(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// What a refusal of access means now.
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
