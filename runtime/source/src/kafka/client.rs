//! The librdkafka client of one source, which is closed within a deadline.

use std::ops::Deref;
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use weir_base::clock::steady;

use super::events::Events;

/// How long to wait until librdkafka has closed the client. It first waits for answers to the group offsets that it is
/// publishing. If the group's coordinator died meanwhile, each of its attempts waits as long as a request may take,
/// which is minutes in all. Nothing needs that: the checkpoint has those offsets.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The most events served in one go, so that a storm of them does not hold up a lane.
const SERVED_AT_ONCE_MAX: usize = 16;

/// Dereferences to the consumer that it holds. Dropping it waits at most [`CLOSE_DEADLINE`] for that consumer to close.
pub(super) struct Client(Option<BaseConsumer<Events>>);

impl Client {
    pub(super) fn new(config: &ClientConfig, events: Events) -> KafkaResult<Self> {
        BaseConsumer::from_config_and_context(config, events).map(|consumer| Self(Some(consumer)))
    }

    /// Serves the client's own events, if that is due. They come to the client's queue and not to the lanes' queues, so
    /// every lane calls this.
    pub(super) fn serve(&self) {
        if self.context().claim_serving(steady()) {
            self.serve_now();
        }
    }

    pub(super) fn serve_now(&self) {
        for _ in 0..SERVED_AT_ONCE_MAX {
            // The context has already received what `poll` returns, and records come only to the lanes' queues.
            drop(self.poll(Duration::ZERO));
        }
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
