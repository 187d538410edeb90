//! How long to wait before another attempt, and when to give up. This is the one policy for everything outside that may
//! be away: the checkpoint, a table, a data file. Clients have a few retries of their own for blips; this policy
//! decides.

use std::time::{Duration, Instant};

use crate::clock::{since, steady};
use crate::failure::{Failure, Remedy, Result};
use crate::random::Random;

/// Exponential backoff with jitter and a time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    pub first: Duration,
    pub max: Duration,
    /// The time without progress after which it gives up.
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(10),
            give_up_after: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The default waits with this limit.
    #[must_use]
    pub fn giving_up_after(limit: Duration) -> Self {
        Self { give_up_after: limit, ..Self::default() }
    }

    /// Attempts something until it works, fails for good, or the time is over. Each attempt must have a deadline of its
    /// own, and two attempts must have the effect of one. `doing` names the work for the log.
    ///
    /// # Errors
    /// The first failure that is not `Retry`, or `Retry` with the last reason when the time is over.
    pub async fn persist<T, F: Future<Output = Result<T>>>(
        &self,
        doing: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        let mut patience = Patience::new(*self, Jitter::new(Random::of_system().number()));
        let mut retry = 0;
        loop {
            match attempt().await {
                Err(failure) if failure.remedy == Remedy::Retry => {
                    retry += 1;
                    tracing::warn!(retry, "{doing} failed and is tried again: {failure}");
                    patience.pause(retry, &failure.message).await?;
                }
                ended => return ended,
            }
        }
    }

    /// The wait before attempt `retry + 1`, for `retry` from 1: between half and all of `first × 2^(retry - 1)`, at
    /// most `max`. `jitter` is in `0.0..1.0`.
    #[must_use]
    pub fn delay(&self, retry: u32, jitter: f64) -> Duration {
        let whole =
            self.first.saturating_mul(1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.max);
        whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

/// Random numbers that are good enough to keep two writers out of step; the caller gives the seed. SplitMix64 (Steele,
/// Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, in `0.0..1.0`.
    #[allow(clippy::cast_precision_loss)]
    pub fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// One piece of work that is tried until it works or the policy's time is over.
#[derive(Debug)]
pub struct Patience {
    policy: RetryPolicy,
    jitter: Jitter,
    began: Option<Instant>,
}

impl Patience {
    #[must_use]
    pub fn new(policy: RetryPolicy, jitter: Jitter) -> Self {
        Self { policy, jitter, began: None }
    }

    /// Notes progress, which starts the time limit anew.
    pub fn progress(&mut self) {
        self.began = None;
    }

    /// Waits before the next attempt, and logs why, so that whoever reads the log while nothing moves sees the reason.
    ///
    /// # Errors
    /// `Retry` with `why`, if the wait would pass the time limit.
    pub async fn wait(&mut self, retry: u32, why: &str) -> Result<()> {
        tracing::warn!(retry, "failed and is tried again: {why}");
        self.pause(retry, why).await
    }

    async fn pause(&mut self, retry: u32, why: &str) -> Result<()> {
        let began = *self.began.get_or_insert_with(steady);
        let delay = self.policy.delay(retry, self.jitter.draw());
        if since(began) + delay > self.policy.give_up_after {
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

    #[test]
    fn waits_double_up_to_the_greatest_and_jitter_takes_at_most_half() {
        let policy = RetryPolicy {
            first: Duration::from_millis(100),
            max: Duration::from_secs(1),
            give_up_after: Duration::from_secs(9),
        };
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

    const QUICK: RetryPolicy = RetryPolicy {
        first: Duration::from_millis(1),
        max: Duration::from_millis(1),
        give_up_after: Duration::from_millis(20),
    };

    #[tokio::test]
    async fn what_fails_for_a_while_is_done_in_the_end_and_what_fails_for_good_is_not_repeated() {
        for (failures, then, expected) in
            [(3, Ok("done"), Ok("done")), (1, Err(Failure::config("no")), Err(Failure::config("no")))]
        {
            let mut tries = 0;
            let patient = RetryPolicy { give_up_after: Duration::from_secs(60), ..QUICK };
            let ended = patient.persist("this", || {
                tries += 1;
                let answer = if tries > failures { then.clone() } else { Err(Failure::retry("away")) };
                async { answer }
            });
            assert_eq!(ended.await, expected);
            assert_eq!(tries, failures + 1);
        }
    }

    #[tokio::test]
    async fn what_goes_on_failing_is_given_up_with_the_last_reason() {
        let ended: Result<()> = QUICK.persist("this", async || Err(Failure::retry("away"))).await;
        assert_eq!(ended, Err(Failure::retry("away; given up after 20ms of trying")));
    }

    #[tokio::test]
    async fn patience_ends_with_the_last_reason() {
        // The first wait fits into the limit even if the scheduler holds this thread up before it.
        let policy = RetryPolicy {
            first: Duration::from_millis(100),
            max: Duration::from_millis(100),
            give_up_after: Duration::from_secs(1),
        };
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
