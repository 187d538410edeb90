//! Takes up new certificates and passwords while a pipeline runs. The files of mounted Secrets are read again every few
//! seconds, beside the lanes. A client with what is new tries the brokers first; when they let it in, the driver closes
//! the open epoch and goes on with that client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::clock::steady;
use crate::failure::{Failure, Result};
use crate::source::kafka::{KafkaInput, Renewed};

/// The wait between two looks at the files. The kubelet itself takes a minute or so to bring a Secret's new content.
const EVERY: Duration = Duration::from_secs(5);
/// How long brokers may take to let a new client in.
const DEADLINE: Duration = Duration::from_secs(10);
/// The same trouble is reported again after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

pub struct Renewal {
    input: Arc<KafkaInput>,
    looked_at: Instant,
    under_way: Option<JoinHandle<Result<Option<Renewed>>>>,
    found: Option<Renewed>,
    told: Option<(String, Instant)>,
}

impl Renewal {
    #[must_use]
    pub fn new(input: Arc<KafkaInput>, now: Instant) -> Self {
        Self { input, looked_at: now, under_way: None, found: None, told: None }
    }

    /// Resolves when there is a client with new certificates or passwords; [`Self::take`] then returns it. The future
    /// may be dropped, and this called again.
    ///
    /// # Errors
    /// A bug, if looking panics.
    pub async fn found(&mut self) -> Result<()> {
        if !self.input.may_be_renewed() {
            return std::future::pending().await;
        }
        while self.found.is_none() {
            let look = match &mut self.under_way {
                Some(look) => look,
                None => {
                    tokio::time::sleep_until((self.looked_at + EVERY).into()).await;
                    let input = Arc::clone(&self.input);
                    self.under_way.insert(tokio::task::spawn_blocking(move || input.renewed(DEADLINE)))
                }
            };
            let looked = look.await;
            self.under_way = None;
            self.looked_at = steady();
            match looked.map_err(|e| Failure::bug(format!("look for new passwords: {e}")))? {
                Ok(renewed) => self.found = renewed,
                Err(failure) => self.tell(&failure),
            }
        }
        Ok(())
    }

    /// Returns the new client, once.
    pub fn take(&mut self) -> Option<Renewed> {
        self.found.take()
    }

    /// The old client goes on, for as long as the brokers have it.
    fn tell(&mut self, failure: &Failure) {
        let now = steady();
        if self.told.as_ref().is_none_or(|(said, at)| *said != failure.message || now - *at >= REPEAT_AFTER) {
            tracing::warn!("new certificates or passwords for Kafka can't be used, so the old ones stay: {failure}");
            self.told = Some((failure.message.clone(), now));
        }
    }
}
