//! A registry of schemas whose answers a test decides.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;
use weir_base::failure::Result;
use weir_base::retry::RetryPolicy;
use weir_decode::schemas::{Effort, Known, Registry, SchemaId};

const QUICK: RetryPolicy = RetryPolicy {
    first: Duration::from_millis(1),
    max: Duration::from_millis(2),
    give_up_after: Duration::from_millis(50),
};

/// Gives up after 50 ms on a registry that is away, checks twice within a millisecond that a schema is absent, and then
/// does not ask for it again for an hour.
pub const EFFORT: Effort = Effort {
    retry: QUICK,
    fetch_within: Duration::from_secs(60),
    ask_again_after: Duration::from_millis(1),
    absent_for: Duration::from_secs(3600),
    kept_bytes_max: 1 << 20,
};

/// A registry that answers once the test has set the answer.
#[derive(Default)]
pub struct Shelf {
    answers: Mutex<HashMap<u32, Result<Known>>>,
    asked: Mutex<Vec<u32>>,
    changed: Notify,
}

impl Shelf {
    pub fn put(&self, id: u32, answer: Result<Known>) {
        self.answers.lock().unwrap().insert(id, answer);
        self.changed.notify_waiters();
    }

    pub fn define(&self, id: u32, definition: &str) {
        self.put(id, Ok(Known::Definition(definition.into())));
    }

    /// The ids of the schemas that were asked for, in order.
    pub fn asked(&self) -> Vec<u32> {
        self.asked.lock().unwrap().clone()
    }
}

impl Registry for Shelf {
    fn name(&self) -> &str {
        "the shelf"
    }

    fn fetch(&self, id: SchemaId) -> BoxFuture<'_, Result<Known>> {
        self.asked.lock().unwrap().push(id.0);
        Box::pin(async move {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(answer) = self.answers.lock().unwrap().get(&id.0).cloned() {
                    return answer;
                }
                changed.await;
            }
        })
    }
}

pub fn absent(id: u32) -> Result<Known> {
    Ok(Known::Absent(format!("the shelf has no schema {id}")))
}
