//! Keys that may change while the process runs. The kubelet exchanges the files of a Secret some time after somebody
//! has changed it, so a provider reads them again before it signs a request. Requests that were refused meanwhile are
//! tried again with the new keys.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::clock::steady;
use crate::failure::{Failure, Result};

/// How often keys are read again at most. A key that is refused is tried again later than this.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The keys of one place, as they were when they were last read.
pub(super) struct CurrentKeys {
    /// The place, as in "the Secret `lake`".
    origin: String,
    read: Box<dyn Fn() -> Result<AwsCredential> + Send + Sync>,
    last: Mutex<Last>,
}

struct Last {
    keys: Arc<AwsCredential>,
    read_at: Instant,
    /// Why the keys could not be read again, if so.
    failure: Option<Failure>,
}

impl CurrentKeys {
    /// # Errors
    /// Those of `read`, which reads the keys now and from time to time.
    pub(super) fn new(origin: &str, read: impl Fn() -> Result<AwsCredential> + Send + Sync + 'static) -> Result<Self> {
        let last = Last { keys: Arc::new(read()?), read_at: steady(), failure: None };
        Ok(Self { origin: origin.to_owned(), read: Box::new(read), last: Mutex::new(last) })
    }

    pub(super) fn access_key_id(&self) -> String {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).keys.key_id.clone()
    }

    /// The keys for a request that is signed now. If they can't be read again, the last ones stay in use.
    fn at(&self, now: Instant) -> Arc<AwsCredential> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(last.read_at) < READ_AGAIN_AFTER {
            return Arc::clone(&last.keys);
        }
        last.read_at = now;
        match (self.read)() {
            Ok(keys) => {
                last.failure = None;
                if keys != *last.keys {
                    tracing::info!("{} has other keys now (access key id {})", self.origin, keys.key_id);
                    last.keys = Arc::new(keys);
                }
            }
            Err(failure) => {
                if last.failure.as_ref() != Some(&failure) {
                    tracing::warn!("{failure}; the last keys stay in use");
                }
                last.failure = Some(failure);
            }
        }
        Arc::clone(&last.keys)
    }
}

impl fmt::Debug for CurrentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentKeys").field("access_key_id", &self.access_key_id()).finish_non_exhaustive()
    }
}

impl CredentialProvider for CurrentKeys {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(self.at(steady())) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keys(id: &str) -> AwsCredential {
        AwsCredential { key_id: id.into(), secret_key: format!("{id}-secret"), token: None }
    }

    #[test]
    fn other_keys_are_taken_up_and_the_last_ones_stay_while_none_can_be_read() {
        let there = Arc::new(Mutex::new(Some("a")));
        let read = {
            let there = Arc::clone(&there);
            move || there.lock().unwrap().map(keys).ok_or_else(|| Failure::config("the Secret is gone"))
        };
        let current = CurrentKeys::new("the Secret `lake`", read).unwrap();
        let begin = steady();
        let id_after = |passed: Duration| current.at(begin + passed).key_id.clone();
        *there.lock().unwrap() = Some("b");
        assert_eq!(id_after(READ_AGAIN_AFTER / 2), "a");
        assert_eq!((id_after(2 * READ_AGAIN_AFTER).as_str(), current.access_key_id().as_str()), ("b", "b"));
        *there.lock().unwrap() = None;
        assert_eq!(id_after(4 * READ_AGAIN_AFTER), "b");
        *there.lock().unwrap() = Some("c");
        assert_eq!(id_after(6 * READ_AGAIN_AFTER), "c");
        assert!(!format!("{current:?}").contains("secret"));
    }
}
