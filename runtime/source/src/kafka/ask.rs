//! Questions to the brokers, which are repeated until a broker answers or a deadline has passed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use weir_base::clock::{since, steady};
use weir_base::failure::{Failure, Result};

use super::client::Client;
use super::fault;

/// The timeout of one request; a question may send several before its deadline.
const ATTEMPT: Duration = Duration::from_secs(2);

/// The timeout of the first request to brokers that have not let this client in yet. The client does not end a request
/// early when they refuse it, so the next ones take twice as long each, up to [`ATTEMPT`].
const FIRST_ATTEMPT: Duration = Duration::from_millis(250);

/// The pause between two attempts that were answered at once.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How long a topic may be unknown before Weir says that it does not exist: brokers learn of a new topic one after the
/// other.
const UNKNOWN_TOPIC_GRACE: Duration = Duration::from_secs(2);

/// Until when a topic may be unknown that was read before, for a question that is asked now and has this deadline. Its
/// name is not misspelled, and a broker that has just come back may not know its topics yet. The other half of the time
/// is for what is asked next.
pub(super) fn patience_with_known(deadline: Duration) -> Instant {
    steady() + deadline / 2
}

/// How many partitions a topic has. A topic that was read before may be unknown until `known_until`.
///
/// # Errors
/// `Config` if the topic does not exist or may not be read, `Retry` when no broker answers in time.
pub(super) fn partition_count(
    client: &Client,
    topic: &str,
    known_until: Option<Instant>,
    until: Instant,
) -> Result<i32> {
    let asked = steady();
    count_partitions(client, topic, known_until, until).map_err(|refusal| match known_until {
        Some(_) if refusal.is_unknown_topic() => {
            fault::known_topic_gone(topic, client.context().bootstrap_servers(), since(asked))
        }
        _ => refusal.explain(client, topic),
    })
}

/// How many partitions a topic has; `None` if the topic does not exist. A topic that was read before may be unknown
/// until `known_until`.
///
/// # Errors
/// `Config` if it may not be read, `Retry` when no broker answers in time.
pub(super) fn partition_count_if_there(
    client: &Client,
    topic: &str,
    known_until: Option<Instant>,
    until: Instant,
) -> Result<Option<i32>> {
    match count_partitions(client, topic, known_until, until) {
        Ok(count) => Ok(Some(count)),
        Err(refusal) if refusal.is_unknown_topic() => Ok(None),
        Err(refusal) => Err(refusal.explain(client, topic)),
    }
}

/// How many partitions each topic has that this user may see. A topic whose partitions have no leader yet is left out.
///
/// # Errors
/// `Retry` when no broker answers in time.
pub(super) fn all_partition_counts(client: &Client, until: Instant) -> Result<BTreeMap<String, i32>> {
    let metadata = until_answered(client, until, |timeout| client.fetch_metadata(None, timeout));
    let metadata = metadata.map_err(|refusal| refusal.explain(client, "(all)"))?;
    let led = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(led
        .map(|topic| (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)))
        .collect())
}

fn count_partitions(
    client: &Client,
    topic: &str,
    known_until: Option<Instant>,
    until: Instant,
) -> Result<i32, Refusal> {
    let grace_ends = steady() + UNKNOWN_TOPIC_GRACE;
    let unknown_until = until.min(known_until.map_or(grace_ends, |known_until| known_until.max(grace_ends)));
    let mut unknown: Option<Refusal> = None;
    loop {
        let answer = until_answered(client, until, |timeout| {
            let metadata = client.fetch_metadata(Some(topic), timeout)?;
            let topic = metadata.topics().first().ok_or(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition))?;
            match topic.error() {
                Some(error) => Err(KafkaError::MetadataFetch(error.into())),
                None => Ok(i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)),
            }
        });
        match answer {
            Err(refusal) if refusal.is_unknown_topic() && steady() < unknown_until => {
                if known_until.is_some() && unknown.is_none() {
                    let (servers, waits) = (client.context().bootstrap_servers(), unknown_until - steady());
                    tracing::warn!("{}", fault::known_topic_missing(topic, servers, waits));
                }
                unknown = Some(refusal);
                std::thread::sleep(RETRY_AFTER);
            }
            // The last request may have had no time left. Then the earlier answer of the brokers counts.
            other => return other.map_err(|refusal| unknown.unwrap_or(refusal)),
        }
    }
}

/// Waits for a broker that lets this client in.
///
/// # Errors
/// `Config` if the brokers refuse its certificates or passwords, `Retry` when no broker answers in time.
pub(super) fn answers(client: &Client, until: Instant) -> Result<()> {
    // A name that no topic has: the answer is short, whatever the cluster holds.
    let asked = until_answered(client, until, |timeout| client.fetch_metadata(Some("weir.is.there"), timeout));
    asked.map(drop).map_err(|refusal| refusal.explain(client, "(none)"))
}

/// Asks until there is an answer that another attempt would not change, or the time is up.
pub(super) fn until_answered<T>(
    client: &Client,
    until: Instant,
    mut ask: impl FnMut(Duration) -> Result<T, KafkaError>,
) -> Result<T, Refusal> {
    let mut attempt = if client.context().was_let_in() { ATTEMPT } else { FIRST_ATTEMPT };
    loop {
        let started = steady();
        let timeout = until.saturating_duration_since(started).clamp(Duration::from_millis(1), attempt);
        attempt = ATTEMPT.min(2 * attempt);
        let refusal = match ask(timeout) {
            Ok(answer) => {
                client.context().let_in();
                return Ok(answer);
            }
            Err(e) => Refusal::from(e),
        };
        client.serve_now();
        if refusal.is_final() || steady() >= until || client.context().shut_out().is_some() {
            return Err(refusal);
        }
        tracing::debug!(reason = %refusal.text, "asking Kafka again");
        // At the start there are no lanes yet that would tell it.
        if let Some(problem) = client.context().take_problem(steady()) {
            tracing::warn!("{problem}");
        }
        std::thread::sleep(RETRY_AFTER.saturating_sub(since(started)));
    }
}

/// The error that a request got instead of an answer.
pub(super) struct Refusal {
    code: Option<Code>,
    text: String,
}

impl Refusal {
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self.code, Some(Code::UnsupportedFeature | Code::UnsupportedVersion))
    }

    pub(super) fn explain(&self, client: &Client, topic: &str) -> Failure {
        let servers = client.context().bootstrap_servers();
        match self.code {
            _ if self.is_unknown_topic() => fault::topic_gone(topic, servers),
            Some(Code::TopicAuthorizationFailed) => fault::topic_forbidden(topic, servers),
            Some(Code::InvalidTopic) => fault::topic_name(topic),
            Some(
                Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::RequestTimedOut,
            ) => client.context().shut_out().unwrap_or_else(|| client.context().unreachable()),
            _ => Failure::retry(format!("Kafka at {servers}, topic {topic}: {}", self.text)),
        }
    }

    pub(super) fn is_unknown_topic(&self) -> bool {
        matches!(self.code, Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition))
    }

    fn is_final(&self) -> bool {
        let refused = matches!(self.code, Some(Code::TopicAuthorizationFailed | Code::InvalidTopic));
        refused || self.is_unsupported() || self.is_unknown_topic()
    }
}

impl From<KafkaError> for Refusal {
    fn from(error: KafkaError) -> Self {
        Self { code: error.rdkafka_error_code(), text: error.to_string() }
    }
}
