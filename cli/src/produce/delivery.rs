//! Delivery of records to a topic: whether the topic exists, and why a record was not delivered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use weir_runtime::clock::steady;
use weir_runtime::failure::{Failure, Remedy, Result};
use weir_runtime::source::kafka::access::{Access, explained};

/// The topic to produce to.
#[derive(Clone)]
pub struct Target {
    /// How the brokers are reached.
    pub access: Access,
    pub topic: String,
}

/// The most events of the client that may be waiting at once: logs, errors, and requests for a token.
const EVENTS_AT_ONCE: usize = 32;
/// The time limit of the first question for the topic. The next ones have twice as long each, up to [`ATTEMPT`].
const FIRST_ATTEMPT: Duration = Duration::from_millis(250);
const ATTEMPT: Duration = Duration::from_secs(4);
/// The pause between two questions.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The number of partitions of the topic.
///
/// # Errors
/// `Config` if the topic does not exist, `Retry` if no broker answers in time.
pub fn partition_count(producer: &BaseProducer<Delivery>, target: &Target, within: Duration) -> Result<i32> {
    let Target { access, topic } = target;
    let bootstrap_servers = access.bootstrap_servers();
    let unknown =
        || Failure::config(format!("topic {topic} does not exist on Kafka at {bootstrap_servers}; create it first"));
    let (until, mut attempt) = (steady() + within, FIRST_ATTEMPT);
    let metadata = loop {
        // Gives the client a token if it asks for one, and receives its messages about the brokers. It does neither
        // while it waits for an answer.
        (0..EVENTS_AT_ONCE).for_each(|_| producer.poll(Duration::ZERO));
        let left = until.saturating_duration_since(steady());
        match producer.client().fetch_metadata(Some(topic), left.clamp(Duration::from_millis(1), attempt)) {
            Ok(metadata) => break metadata,
            Err(_) if left.is_zero() => return Err(producer.context().explain(target, "no broker answers")),
            Err(_) => producer.poll(RETRY_AFTER.min(left)),
        }
        attempt = ATTEMPT.min(2 * attempt);
    };
    let found = metadata.topics().first().ok_or_else(unknown)?;
    match found.error().map(Code::from) {
        None if !found.partitions().is_empty() => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
        None | Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Err(unknown()),
        Some(error) => {
            let remedy = remedy_of(error);
            Err(Failure { remedy, message: format!("topic {topic} on Kafka at {bootstrap_servers}: {error}") })
        }
    }
}

/// Keeps the first record that was not delivered, and the last error of a broker.
pub struct Delivery {
    /// Has the tokens of a mechanism that needs some.
    access: Access,
    failed: Mutex<Option<(Remedy, String)>>,
    last_error: Mutex<Option<String>>,
}

impl Delivery {
    /// For a client that comes in like this.
    #[must_use]
    pub fn by(access: Access) -> Self {
        Self { access, failed: Mutex::default(), last_error: Mutex::default() }
    }

    /// Checks that no record has failed so far.
    ///
    /// # Errors
    /// The first record that was not delivered.
    pub fn check(&self, target: &Target) -> Result<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.map_or(Ok(()), |(remedy, failed)| Err(Failure { remedy, ..self.explain(target, &failed) }))
    }

    /// A failure that says `what` happened and the client's last error.
    pub fn explain(&self, target: &Target, what: &str) -> Failure {
        let why = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = why.map_or_else(String::new, |why| format!("; {why}"));
        Failure::retry(format!("topic {} on Kafka at {}: {what}{why}", target.topic, target.access.bootstrap_servers()))
    }
}

impl ClientContext for Delivery {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.access.token()
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // "All brokers are down" says less than the error of the last broker.
        if error.rdkafka_error_code() == Some(Code::AllBrokersDown) {
            return;
        }
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(explained(reason));
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| {
                (
                    error.rdkafka_error_code().map_or(Remedy::Retry, remedy_of),
                    format!("{} was not delivered: {error}", name(record)),
                )
            });
        }
    }
}

/// The record's partition and its first header, if it has any: in a replayed record, that header says where it comes
/// from.
fn name(record: &BorrowedMessage<'_>) -> String {
    let partition = record.partition();
    match record.headers().and_then(|headers| headers.iter().next()) {
        Some(Header { key, value }) => {
            format!(
                "a record for partition {partition} ({key}: {})",
                String::from_utf8_lossy(value.unwrap_or_default())
            )
        }
        None => format!("a record for partition {partition}"),
    }
}

/// The remedy for an error. If a broker refuses a record for its content, it would refuse it again.
fn remedy_of(error: Code) -> Remedy {
    match error {
        Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidTimestamp
        | Code::InvalidRecord
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition => Remedy::Config,
        _ => Remedy::Retry,
    }
}
