//! How long to wait before asking again, and when to stop.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Failure, Result};

/// Exponential backoff with jitter, and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    pub first: Duration,
    pub max: Duration,
    /// After this long without progress.
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(10), give_up_after: Duration::from_secs(300) }
    }
}

impl RetryPolicy {
    /// The wait before attempt `retry + 1`, for `retry` from 1: between half and all of `first × 2^(retry - 1)`, at most `max`. `jitter`
    /// in `0.0..1.0`.
    #[must_use]
    pub fn delay(&self, retry: u32, jitter: f64) -> Duration {
        let whole = self.first.saturating_mul(1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.max);
        whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

/// Random enough to keep two writers out of step; seeded by the caller. SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// In `0.0..1.0`.
    #[allow(clippy::cast_precision_loss)]
    pub fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// One thing that is tried until it works or the policy's time is over.
#[derive(Debug)]
pub struct Patience {
    policy: RetryPolicy,
    jitter: Jitter,
    since: Option<Instant>,
}

impl Patience {
    #[must_use]
    pub fn new(policy: RetryPolicy, jitter: Jitter) -> Self {
        Self { policy, jitter, since: None }
    }

    /// There was progress: the time starts anew.
    pub fn progress(&mut self) {
        self.since = None;
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// `Retry` with `why`, if it has been going on for too long.
    pub async fn wait(&mut self, retry: u32, why: &str) -> Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let delay = self.policy.delay(retry, self.jitter.draw());
        if since.elapsed() + delay > self.policy.give_up_after {
            return Err(Failure::retry(format!("{why}; given up after {:?} of trying", self.policy.give_up_after)));
        }
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::failure::Remedy;

    #[test]
    fn waits_double_up_to_the_greatest_and_jitter_takes_at_most_half() {
        let policy = RetryPolicy { first: Duration::from_millis(100), max: Duration::from_secs(1), give_up_after: Duration::from_secs(9) };
        let longest: Vec<_> = [1, 2, 3, 4, 5, 40, u32::MAX].map(|n| policy.delay(n, 1.0).as_millis()).to_vec();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(policy.delay(2, 0.0), Duration::from_millis(100));
    }

    #[test]
    fn two_seeds_give_two_rhythms() {
        let draws = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..8).map(|_| jitter.draw()).collect::<Vec<_>>()
        };
        assert_ne!(draws(1), draws(2));
        assert_eq!(draws(1), draws(1));
        assert!(draws(1).iter().all(|d| (0.0..1.0).contains(d)));
    }

    #[tokio::test]
    async fn patience_ends_with_the_last_reason() {
        let policy =
            RetryPolicy { first: Duration::from_millis(1), max: Duration::from_millis(1), give_up_after: Duration::from_millis(5) };
        let mut patience = Patience::new(policy, Jitter::new(7));
        let mut tries = 0;
        let failure = loop {
            tries += 1;
            if let Err(failure) = patience.wait(tries, "no answer").await {
                break failure;
            }
        };
        assert_eq!(failure.remedy, Remedy::Retry);
        assert!(failure.message.starts_with("no answer; given up after"), "{failure}");
        assert!(tries > 1);
    }
}
