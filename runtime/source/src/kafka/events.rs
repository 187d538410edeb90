//! What the client reports beside records: unreachable brokers, refused offset commits, librdkafka's log. There is one
//! `Events` per client, and the thread that serves the events fills it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientContext, TopicPartitionList};
use weir_base::clock::steady;
use weir_base::failure::Failure;

use super::access::Access;
use super::fault::{self, BrokerFault, Origin};
use super::refusal;

/// How long a broker's error is news. librdkafka repeats an unchanged error after 30 s.
const FAULT_IS_NEWS: Duration = Duration::from_secs(60);

/// The most errors of brokers that are remembered; a cluster with more of them has other troubles than a short list.
const BROKERS_MAX: usize = 16;

/// The client's events are served this often, so errors and log lines wait for about this long at most.
const SERVE_EVERY: Duration = Duration::from_millis(100);

/// The facility under which librdkafka logs errors that nobody takes as events.
const LOGGED_ERROR: &str = "ERROR";

/// How long brokers may refuse a new client before that counts: a user that was just created is not known to all
/// brokers at once.
const REFUSAL_STANDS_AFTER: Duration = Duration::from_secs(3);

/// The facility under which librdkafka logs what happens to connections.
const BROKER_FAILED: &str = "FAIL";

/// A continuing trouble is reported again after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Events {
    access: Access,
    doubts: AtomicU64,
    /// Whether a broker has ever answered this client.
    was_let_in: AtomicBool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The last error of each broker address, and when it came.
    faults: BTreeMap<(String, Origin), (String, Instant)>,
    /// Whether something happened since the last look.
    fresh: bool,
    told_at: Option<Instant>,
    served_at: Option<Instant>,
    /// When a broker first refused certificate, user or password.
    refused_since: Option<Instant>,
    /// What is wrong with the certificates of brokers, by address; `None` while a thread looks, or if it found nothing.
    certificates: BTreeMap<String, Option<String>>,
    publish_told_at: Option<Instant>,
}

impl State {
    /// Whether an error is still news.
    fn has_fault(&self, now: Instant) -> bool {
        self.faults.values().any(|(_, at)| now.saturating_duration_since(*at) < FAULT_IS_NEWS)
    }
}

impl Events {
    pub(super) fn new(access: Access) -> Self {
        Self { access, doubts: AtomicU64::new(0), was_let_in: AtomicBool::new(false), state: Arc::default() }
    }

    pub(super) fn bootstrap_servers(&self) -> &str {
        self.access.bootstrap_servers()
    }

    /// Says that a broker has answered.
    pub(super) fn let_in(&self) {
        self.was_let_in.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_let_in(&self) -> bool {
        self.was_let_in.load(Ordering::Relaxed)
    }

    /// Why no broker lets this client in, if none ever has and waiting would not help: wrong certificates or passwords,
    /// as far as one can tell. A client that was let in before waits, since its passwords are then being replaced.
    pub(super) fn shut_out(&self) -> Option<Failure> {
        if self.was_let_in() {
            return None;
        }
        let mut state = self.lock();
        let now = steady();
        let since = state.refused_since?;
        if now.saturating_duration_since(since) < REFUSAL_STANDS_AFTER && !self.is_refused_everywhere(&state) {
            return None;
        }
        Some(Failure::config(self.describe(&mut state, now).message))
    }

    /// Whether each broker that the document names refuses this client for certain, and it is known what is wrong with
    /// their certificates.
    fn is_refused_everywhere(&self, state: &State) -> bool {
        let is_explained = |address: &str, reason: &str| {
            !refusal::is_of_certificate(reason) || state.certificates.get(address).is_some_and(Option::is_some)
        };
        self.access.servers().all(|server| {
            state.faults.iter().any(|((address, _), (reason, _))| {
                address == server && refusal::is_certain(reason) && is_explained(address, reason)
            })
        })
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
        let (failure, hang_up) = {
            let mut state = self.lock();
            let failure = self.describe(&mut state, steady());
            (failure, state.faults.values().all(|(reason, _)| refusal::is_hanging_up(reason)))
        };
        if self.was_let_in() {
            return failure;
        }
        // librdkafka says little of a broker that hangs up, as one does that gets something other than TLS, or a
        // request before it knows the user.
        if self.access.lacks_tls() {
            return Failure::config(format!(
                "{failure}; a broker speaks TLS at this address: write `tls: {{}}` in the connection, or the address of \
                 a listener without TLS"
            ));
        }
        if hang_up && self.access.may_lack_user() {
            return Failure::retry(format!(
                "{failure}; somebody takes the connection at this address and hangs up: if the listener asks for a user, \
                 write `sasl` in the connection"
            ));
        }
        failure
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
            .map(|((address, origin), (reason, _))| {
                let then =
                    state.certificates.get(address).cloned().flatten().filter(|_| refusal::is_of_certificate(reason));
                let then = then.or_else(|| refusal::remedy(reason).map(str::to_owned));
                let reason = then.map_or_else(|| reason.clone(), |then| format!("{then} ({reason})"));
                fault::describe(address, *origin, self.bootstrap_servers(), &reason)
            })
            .collect();
        if faults.is_empty() {
            return Failure::retry(format!(
                "no Kafka broker answers at {} (from bootstrapServers)",
                self.bootstrap_servers()
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

    /// Has a thread find out what is wrong with a broker's certificate, once per address.
    fn look_at_certificate(&self, address: &str, state: &mut State) {
        if state.certificates.len() >= BROKERS_MAX || state.certificates.contains_key(address) {
            return;
        }
        state.certificates.insert(address.to_owned(), None);
        let (access, address, shared) = (self.access.clone(), address.to_owned(), Arc::clone(&self.state));
        let look = move || {
            let fault = access.certificate_fault(&address);
            lock(&shared).certificates.insert(address, fault);
        };
        // Without a thread there is a shorter message.
        drop(std::thread::Builder::new().name("kafka-certificate".into()).spawn(look));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The state is valid between any two statements, so a panic of another holder of the lock does no harm.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.access.token()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // "topic does not exist" comes to a lane's queue as a general error. A batch read does not return such an error
        // but logs it (`rd_kafka_toppar_enq_error`, `rd_kafka_poll_cb`). The text decides nothing: the lanes ask the
        // brokers.
        if facility == LOGGED_ERROR {
            self.doubts.fetch_add(1, Ordering::Relaxed);
        }
        match level {
            // These come as errors too, and are reported as problems, with remedies and less often.
            _ if facility == BROKER_FAILED => tracing::debug!(target: "librdkafka", facility, "{message}"),
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
        if let Some(fault) = fault.as_ref().filter(|fault| refusal::is_one(&fault.reason)) {
            state.refused_since.get_or_insert_with(steady);
            if refusal::is_of_certificate(&fault.reason) {
                self.look_at_certificate(&fault.address, &mut state);
            }
        }
        // A connection that ends is normal (brokers restart, idle connections are closed). A connection that can't be
        // opened is news. Without such a fault "all brokers are down" only means that all connections were idle.
        let ended = fault.as_ref().is_some_and(|f| f.reason.starts_with("Disconnected") && !refusal::is_one(&f.reason));
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
    use weir_base::storage::Secrets;
    use weir_plan::plan::KafkaConnection;

    use super::*;

    #[test]
    fn a_certain_refusal_by_each_broker_stands_at_once_and_another_after_a_while() {
        let events = Events::new(Access::new(&KafkaConnection::plaintext("a:1, b:2"), &Secrets::default()));
        let handshake = "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism";
        events.error(transport(), &format!("a:1/bootstrap: {handshake}"));
        assert!(events.shut_out().is_none(), "the other one may let it in");
        events.error(transport(), "b:2/bootstrap: SASL authentication error: Authentication failed");
        assert!(events.shut_out().is_none(), "the user may be new");
        events.error(transport(), &format!("b:2/bootstrap: {handshake}"));
        let refused = events.shut_out().unwrap();
        assert!(refused.message.contains("a:1") && refused.message.contains("b:2"), "{refused}");
        events.let_in();
        assert!(events.shut_out().is_none());
    }

    #[test]
    fn a_certificate_that_is_refused_stands_when_it_is_known_why() {
        let events = Events::new(Access::new(&KafkaConnection::plaintext("a:1"), &Secrets::default()));
        events.error(
            transport(),
            "a:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
        );
        assert!(events.shut_out().is_none());
        events.lock().certificates.insert("a:1".to_owned(), Some("it has expired".to_owned()));
        assert!(events.shut_out().is_some_and(|refused| refused.message.contains("it has expired")));
    }

    const REFUSED: &str = "b:1/2: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";

    fn transport() -> KafkaError {
        KafkaError::Global(Code::BrokerTransportFailure)
    }

    #[test]
    fn problem_is_told_once_and_again_only_after_a_while_if_it_goes_on() {
        let events = Events::new(Access::new(&KafkaConnection::plaintext("a:1"), &Secrets::default()));
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
        let events = Events::new(Access::new(&KafkaConnection::plaintext("a:1"), &Secrets::default()));
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
