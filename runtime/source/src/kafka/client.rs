//! librdkafka's client of one source, with an end that has a deadline.

use std::ops::Deref;
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;

use super::events::Events;

/// What librdkafka does before it lets go: group offsets on their way are answered or given up. With a coordinator that
/// died while one was, it waits for each of its tries for as long as a request may take, minutes in all; the checkpoint
/// has those offsets.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Used as the consumer that it holds; dropped, it waits for that one's end no longer than [`CLOSE_DEADLINE`].
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
        // Without another thread there is none to wait for: the closure, dropped, has closed the client here.
        let spawned = std::thread::Builder::new().name("kafka-close".into()).spawn(close);
        if spawned.is_ok() && closed.recv_timeout(CLOSE_DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::info!(
                "Kafka's brokers did not answer within {CLOSE_DEADLINE:?} when the client was closed; nothing depends \
                 on it"
            );
        }
    }
}
