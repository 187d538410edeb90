//! AWS keys for what is signed elsewhere than in a store's client.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};

use super::access;
use crate::failure::{Failure, Result};

/// The keys that this process has by the usual chain. Those of a profile are read again, and the library replaces
/// those of a role before they expire.
pub struct AwsKeys {
    provider: AwsCredentialProvider,
    origin: String,
}

impl AwsKeys {
    /// Sends no request yet.
    ///
    /// # Errors
    /// `Config`, if there is a file of credentials that can't be read.
    pub fn of_environment(region: &str) -> Result<Self> {
        let found = access::from_environment(&|name| std::env::var(name).ok())?;
        if let Some(keys) = found.keys {
            return Ok(Self { provider: keys, origin: found.origin });
        }
        // The builder has the rest of the chain; no bucket of this name is asked for anything.
        let builder = AmazonS3Builder::from_env().with_bucket_name("none").with_region(region);
        let store = builder.build().map_err(|e| Failure::config(format!("AWS keys: {e}")))?;
        Ok(Self { provider: Arc::clone(store.credentials()), origin: found.origin })
    }

    /// The keys of this moment.
    ///
    /// # Errors
    /// `Retry`, if whoever gives them does not answer or refuses.
    pub async fn get(&self) -> Result<Arc<AwsCredential>> {
        let keys = self.provider.get_credential().await;
        keys.map_err(|e| Failure::retry(format!("no AWS keys from {}: {e}", self.origin)))
    }
}
