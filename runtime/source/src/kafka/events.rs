//! What the client reports beside records: unreachable brokers, refused offset commits, librdkafka's log. There is one
//! `Events` per client, and the thread that serves the events fills it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientContext, TopicPartitionList};
use weir_base::clock::steady;
use weir_base::failure::Failure;

use super::fault::{self, BrokerFault, Origin};

/// How long a broker's error is news. librdkafka repeats an unchanged error after 30 s.
const FAULT_IS_NEWS: Duration = Duration::from_secs(60);

/// The most errors of brokers that are remembered; a cluster with more of them has other troubles than a short list.
const BROKERS_MAX: usize = 16;

/// The client's events are served this often, so errors and log lines wait for about this long at most.
const SERVE_EVERY: Duration = Duration::from_millis(100);

/// The facility under which librdkafka logs errors that nobody takes as events.
const LOGGED_ERROR: &str = "ERROR";

/// A continuing trouble is reported again after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Events {
    bootstrap_servers: String,
    doubts: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last error of each broker address, and when it came.
    faults: BTreeMap<(String, Origin), (String, Instant)>,
    /// Whether something happened since the last look.
    fresh: bool,
    told_at: Option<Instant>,
    served_at: Option<Instant>,
    publish_told_at: Option<Instant>,
}

impl State {
    /// Whether an error is still news.
    fn has_fault(&self, now: Instant) -> bool {
        self.faults.values().any(|(_, at)| now.saturating_duration_since(*at) < FAULT_IS_NEWS)
    }
}

impl Events {
    pub(super) fn new(bootstrap_servers: &str) -> Self {
        Self { bootstrap_servers: bootstrap_servers.to_owned(), doubts: AtomicU64::new(0), state: Mutex::default() }
    }

    pub(super) fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// A counter that grows whenever the client loses sight of a topic or a partition. Each lane then asks about its
    /// own.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::Relaxed)
    }

    /// The trouble that came up since the last call; `None` if some was reported a moment ago.
    pub(super) fn take_problem(&self, now: Instant) -> Option<Failure> {
        let mut state = self.lock();
        if !state.fresh || state.told_at.is_some_and(|at| now.duration_since(at) < REPEAT_AFTER) {
            return None;
        }
        state.fresh = false;
        state.told_at = Some(now);
        Some(self.describe(&mut state, now))
    }

    /// Describes everything that is known about unreachable brokers.
    pub(super) fn unreachable(&self) -> Failure {
        self.describe(&mut self.lock(), steady())
    }

    pub(super) fn publish_failed(&self, error: &KafkaError) {
        let now = steady();
        let mut state = self.lock();
        if state.publish_told_at.is_none_or(|at| now.duration_since(at) >= REPEAT_AFTER) {
            state.publish_told_at = Some(now);
            tracing::warn!(%error, "the consumer group's offsets were not published; the pipeline does not need them, \
                                    its lag as Kafka's tools show it is stale");
        }
    }

    fn describe(&self, state: &mut State, now: Instant) -> Failure {
        state.faults.retain(|_, (_, at)| now.saturating_duration_since(*at) < FAULT_IS_NEWS);
        let faults: Vec<_> = state
            .faults
            .iter()
            .map(|((address, origin), (reason, _))| fault::describe(address, *origin, &self.bootstrap_servers, reason))
            .collect();
        if faults.is_empty() {
            return Failure::retry(format!(
                "no Kafka broker answers at {} (from bootstrapServers)",
                self.bootstrap_servers
            ));
        }
        Failure::retry(format!("Kafka can't be reached: {}", faults.join("; ")))
    }

    /// Whether the caller is to serve the client's events now: true to one caller per period.
    pub(super) fn claim_serving(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let due = state.served_at.is_none_or(|at| now.duration_since(at) >= SERVE_EVERY);
        if due {
            state.served_at = Some(now);
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid between any two statements, so a panic of another holder of the lock does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // "topic does not exist" comes to a lane's queue as a general error. A batch read does not return such an error
        // but logs it (`rd_kafka_toppar_enq_error`, `rd_kafka_poll_cb`). The text decides nothing: the lanes ask the
        // brokers.
        if facility == LOGGED_ERROR {
            self.doubts.fetch_add(1, Ordering::Relaxed);
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(target: "librdkafka", facility, "{message}")
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}")
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let fault = BrokerFault::parse(reason);
        let mut state = self.lock();
        // A connection that ends is normal (brokers restart, idle connections are closed). A connection that can't be
        // opened is news. Without such a fault "all brokers are down" only means that all connections were idle.
        let ended = fault.as_ref().is_some_and(|f| f.reason.starts_with("Disconnected"));
        let all_down = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        state.fresh |= (all_down && state.has_fault(steady())) || (fault.is_some() && !ended);
        if let Some(fault) = fault
            && (state.faults.len() < BROKERS_MAX || state.faults.contains_key(&(fault.address.clone(), fault.origin)))
        {
            state.faults.insert((fault.address, fault.origin), (fault.reason, steady()));
        }
    }
}

impl ConsumerContext for Events {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            self.publish_failed(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REFUSED: &str = "b:1/2: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";

    fn transport() -> KafkaError {
        KafkaError::Global(Code::BrokerTransportFailure)
    }

    #[test]
    fn problem_is_told_once_and_again_only_after_a_while_if_it_goes_on() {
        let events = Events::new("a:1");
        let start = Instant::now();
        assert_eq!(events.take_problem(start), None);
        events.error(transport(), REFUSED);
        let told = events.take_problem(start).unwrap();
        assert_eq!(
            told.message,
            "Kafka can't be reached: b:1 (advertised by broker 2 on the listener of bootstrapServers a:1): \
             Connect to ipv4#10.0.0.1:1 failed: Connection refused"
        );
        events.error(transport(), REFUSED);
        assert_eq!(events.take_problem(start + Duration::from_secs(9)), None);
        assert!(events.take_problem(start + Duration::from_secs(10)).is_some());
        assert_eq!(events.take_problem(start + Duration::from_secs(30)), None);
    }

    #[test]
    fn closed_connection_alone_is_no_problem_but_its_reason_is_kept_for_one() {
        let events = Events::new("a:1");
        events.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(events.take_problem(Instant::now()), None, "all connections were idle");
        events.error(transport(), "b:1/2: Disconnected (after 5000ms in state UP)");
        assert_eq!(events.take_problem(Instant::now()), None);
        events.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(
            events.take_problem(Instant::now()).unwrap().message,
            "Kafka can't be reached: b:1 (advertised by broker 2 on the listener of bootstrapServers a:1): Disconnected"
        );
    }
}
