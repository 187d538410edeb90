//! What librdkafka's errors mean for a pipeline, and the sentences that describe them. Pure.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;
use weir_base::failure::{Failure, Result};
use weir_plan::ids::TopicPartition;
use weir_plan::plan::OnLostOffsets;
use weir_plan::quote::quoted;

/// What the first event after a fetch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A record or the end of the partition arrived.
    Readable,
    /// There was no record before the batch that begins at `base`, and that batch can't be read.
    Broken { base: i64 },
    /// The broker itself can't read this part of the log. It does not say how far that part reaches.
    Refused,
}

/// What an error event of a partition requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartitionFault {
    EndOfPartition,
    /// The next offset is missing: retention has deleted it, or the log was cut.
    OffsetLost,
    TopicGone,
    Forbidden,
    /// The next offset is in the log, but can't be read.
    Unreadable(Answer),
    /// A passing error: librdkafka tries again by itself.
    Transient,
}

impl PartitionFault {
    /// Sorts an error event; `offset` is the event's. For an error that librdkafka found in a batch, that is where the
    /// batch begins; for an error from the broker, it is the offset of the fetch.
    pub(super) fn of(code: Code, offset: i64) -> Self {
        match code {
            Code::PartitionEOF => Self::EndOfPartition,
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Self::OffsetLost,
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
                Self::TopicGone
            }
            Code::TopicAuthorizationFailed => Self::Forbidden,
            // NotImplemented: librdkafka does not know the batch's codec or version. If it read on by itself, it would
            // skip the batch.
            Code::BadMessage | Code::BadCompression | Code::NotImplemented => {
                Self::Unreadable(Answer::Broken { base: offset })
            }
            // Too large: even the largest fetch does not return a whole batch.
            Code::InvalidMessage | Code::InvalidMessageSize | Code::MessageSizeTooLarge => {
                Self::Unreadable(Answer::Refused)
            }
            _ => Self::Transient,
        }
    }
}

/// Where the client got a broker's address from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The document's `bootstrapServers`.
    Bootstrap,
    /// The cluster's metadata: the listener that the broker with this id advertises.
    Advertised(i32),
}

/// A broker that the client could not reach, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BrokerFault {
    pub(super) address: String,
    pub(super) origin: Origin,
    pub(super) reason: String,
}

impl BrokerFault {
    /// Reads librdkafka's `[protocol://]host:port/(bootstrap|<id>): reason`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, reason) = text.split_once(": ")?;
        let (address, origin) = name.rsplit_once('/')?;
        let address = address.rsplit_once("://").map_or(address, |(_, address)| address);
        let origin = if origin == "bootstrap" { Origin::Bootstrap } else { Origin::Advertised(origin.parse().ok()?) };
        // Only librdkafka's authors need to know how long each state took.
        let reason = reason.split(" (after ").next().unwrap_or(reason).trim_end();
        // Our own words name the document's fields instead of librdkafka's settings.
        let reason = reason.split(": broker certificate could not be verified").next().unwrap_or(reason);
        // A listener without SASL has no mechanisms to list.
        let reason = reason.strip_suffix(": broker's supported mechanisms:").unwrap_or(reason);
        Some(Self { address: address.to_owned(), origin, reason: reason.to_owned() })
    }
}

/// Formats `<address> (<where the address is from>): <reason>`.
pub(super) fn describe(address: &str, origin: Origin, bootstrap_servers: &str, reason: &str) -> String {
    match origin {
        Origin::Bootstrap => format!("{address} (from bootstrapServers): {reason}"),
        Origin::Advertised(id) => {
            format!(
                "{address} (advertised by broker {id} on the listener of bootstrapServers {bootstrap_servers}): \
                 {reason}"
            )
        }
    }
}

/// What the document says about lost offsets and topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnLoss {
    pub(super) offsets: OnLostOffsets,
    /// Whether a pattern finds the topics, so that nobody has named them one by one.
    pub(super) topics_come_and_go: bool,
}

impl OnLoss {
    /// # Errors
    /// `Config`, unless the source goes on without a topic that no longer exists.
    pub(super) fn topic_gone(self, topic: &str, servers: &str) -> Result<()> {
        match (self.topics_come_and_go, self.offsets) {
            (false, _) => Err(topic_gone(topic, servers)),
            (true, OnLostOffsets::Fail) => Err(Failure::config(format!(
                "topic {topic}, which was read since it matches topicPattern, does not exist on Kafka at {servers} \
                 any more and \
                 `onLostOffsets` is Fail; Earliest or Latest goes on without it"
            ))),
            (true, OnLostOffsets::Earliest | OnLostOffsets::Latest) => Ok(()),
        }
    }
}

pub(super) fn partition_missing(topic: &str, partition: i32, count: i32) -> Failure {
    let last = count - 1;
    Failure::config(format!("topic {topic} has no partition {partition}, which `assign` names: write 0 to {last}"))
}

pub(super) fn topic_gone(topic: &str, servers: &str) -> Failure {
    Failure::config(format!(
        "topic {topic} does not exist on Kafka at {servers} (any more); create it or correct the source's `topics`"
    ))
}

/// What is told while Weir asks again for a topic that was read before.
pub(super) fn known_topic_missing(topic: &str, servers: &str, waits: Duration) -> String {
    format!(
        "topic {topic}, which was read before, is unknown to Kafka at {servers}, as it may be to a broker that has just \
         come back: Weir asks for it for {waits:.0?} more"
    )
}

/// The failure when a topic that was read before is still unknown `after` Weir has asked for it so long.
pub(super) fn known_topic_gone(topic: &str, servers: &str, after: Duration) -> Failure {
    Failure::config(format!(
        "topic {topic}, which was read before, does not exist on Kafka at {servers} any more: the brokers did not know \
         it for {after:.0?}; create it or correct the source's `topics`"
    ))
}

pub(super) fn topic_forbidden(topic: &str, servers: &str) -> Failure {
    Failure::config(format!(
        "Kafka at {servers} does not let this user read topic {topic}; grant READ and DESCRIBE on it"
    ))
}

pub(super) fn topic_name(topic: &str) -> Failure {
    Failure::config(format!(
        "{} is not a name that a Kafka topic can have; use letters, digits, `.`, `_` and `-`",
        quoted(topic)
    ))
}

pub(super) fn offsets_lost(partition: &TopicPartition, wanted: i64, low: i64, end: i64) -> Failure {
    Failure::config(format!(
        "{partition}: offset {wanted} comes next, but Kafka has [{low}, {end}) and `onLostOffsets` is Fail; Earliest \
         or Latest goes on there, \
         without the records that are lost"
    ))
}

/// The failure when a log was cut; `reason` is librdkafka's text. `onLostOffsets` does not cover this case, because the
/// pipeline has read records that the log no longer holds.
pub(super) fn log_cut(partition: &TopicPartition, reason: &str) -> Failure {
    let found = reason.split(". Reset ").next().unwrap_or(reason);
    Failure::config(format!(
        "{partition}: Kafka's log was cut below the next offset to read (an unclean election of a leader), and records \
         that this checkpoint has counted are gone ({found}); spec.stateAction with discard: {{offsets: StartFrom}} \
         reads it from startFrom on"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Option<String> {
        BrokerFault::parse(text).map(|f| describe(&f.address, f.origin, "a:1", &f.reason))
    }

    #[test]
    fn broker_fault_says_where_the_address_came_from() {
        let bootstrap = described(
            "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state \
             CONNECT)",
        );
        assert_eq!(
            bootstrap.as_deref(),
            Some("127.0.0.1:1 (from bootstrapServers): Connect to ipv4#127.0.0.1:1 failed: Connection refused")
        );
        let advertised =
            described("sasl_ssl://kafka.data:9093/2: Failed to resolve 'kafka.data:9093': Name or service not known");
        assert_eq!(
            advertised.as_deref(),
            Some(
                "kafka.data:9093 (advertised by broker 2 on the listener of bootstrapServers a:1): Failed to resolve \
                 'kafka.data:9093': Name or service not known"
            )
        );
    }

    #[test]
    fn text_without_a_broker_is_no_broker_fault() {
        for text in ["1/1 brokers are down", "", "GroupCoordinator: 1: Disconnected", "a/b: c"] {
            assert_eq!(BrokerFault::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_topic_that_was_named_may_not_go_and_one_of_a_pattern_goes_by_the_policy() {
        use OnLostOffsets::{Earliest, Fail, Latest};
        for (topics_come_and_go, offsets, said) in [
            (false, Earliest, Some("topic rides does not exist on Kafka at b:1 (any more); create it")),
            (
                true,
                Fail,
                Some(
                    "topic rides, which was read since it matches topicPattern, does not exist on Kafka at b:1 any \
                     more",
                ),
            ),
            (true, Earliest, None),
            (true, Latest, None),
        ] {
            let refused = OnLoss { offsets, topics_come_and_go }.topic_gone("rides", "b:1").err();
            assert_eq!(refused.is_some(), said.is_some(), "{offsets:?}");
            assert!(refused.zip(said).is_none_or(|(failure, said)| failure.message.starts_with(said)), "{offsets:?}");
        }
    }

    #[test]
    fn a_log_that_was_cut_is_told_with_where_it_ends() {
        let reason = "Partition log truncation detected at offset 9 (leader epoch 0): broker end offset is 4 (offset \
                      leader epoch 0). \
                      Reset to INVALID.: Local: Partition log truncation detected (broker 3)";
        let says = log_cut(&TopicPartition { topic: "rides".into(), partition: 0 }, reason).message;
        assert!(
            says.starts_with("rides-0: Kafka's log was cut")
                && says.contains("end offset is 4 (offset leader epoch 0));"),
            "{says}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_batch_is_told_from_what_passes() {
        let unreadable = |code| PartitionFault::of(code, 7);
        for code in [Code::BadMessage, Code::BadCompression, Code::NotImplemented] {
            assert_eq!(unreadable(code), PartitionFault::Unreadable(Answer::Broken { base: 7 }), "{code:?}");
        }
        for code in [Code::InvalidMessage, Code::InvalidMessageSize, Code::MessageSizeTooLarge] {
            assert_eq!(unreadable(code), PartitionFault::Unreadable(Answer::Refused), "{code:?}");
        }
        // librdkafka stays at its offset and fetches again.
        for code in [Code::BrokerTransportFailure, Code::CriticalSystemResource, Code::NotLeaderForPartition] {
            assert_eq!(unreadable(code), PartitionFault::Transient, "{code:?}");
        }
    }
}
