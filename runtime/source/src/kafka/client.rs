//! The librdkafka client of one source, which is closed within a deadline.

use std::ops::Deref;
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;

use super::events::Events;

/// How long to wait until librdkafka has closed the client. It first waits for answers to the group offsets that it is
/// publishing. If the group's coordinator died meanwhile, each of its attempts waits as long as a request may take,
/// which is minutes in all. Nothing needs that: the checkpoint has those offsets.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Dereferences to the consumer that it holds. Dropping it waits at most [`CLOSE_DEADLINE`] for that consumer to close.
pub(super) struct Client(Option<BaseConsumer<Events>>);

impl Client {
    pub(super) fn new(config: &ClientConfig, events: Events) -> KafkaResult<Self> {
        BaseConsumer::from_config_and_context(config, events).map(|consumer| Self(Some(consumer)))
    }
}

impl Deref for Client {
    type Target = BaseConsumer<Events>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().unwrap_or_else(|| unreachable!("only the end takes it"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let consumer = self.0.take();
        let (tell, closed) = mpsc::channel::<()>();
        let close = move || {
            drop(consumer);
            drop(tell);
        };
        // If no thread can be started, the closure is dropped here, which closes the client on this thread, and there
        // is nothing to wait for.
        let spawned = std::thread::Builder::new().name("kafka-close".into()).spawn(close);
        if spawned.is_ok() && closed.recv_timeout(CLOSE_DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::info!(
                "Kafka's brokers did not answer within {CLOSE_DEADLINE:?} when the client was closed; nothing depends \
                 on it"
            );
        }
    }
}
