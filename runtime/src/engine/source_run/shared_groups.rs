//! Refuses partitions that two sources read for one consumer group: each would overwrite the other's published offsets.
//! Where the document alone shows it, the document is refused (`crds/src/lower/kafka.rs`). What two patterns match is
//! known only here, at a start and whenever topics are found. Pure.

use std::collections::HashMap;

use weir_plan::ids::TopicPartition;
use weir_plan::plan::Source;
use weir_plan::quote::quoted;

use crate::failure::{Failure, Result};

/// Checks the partitions that the sources read.
///
/// # Errors
/// `Config`, for the first partition that two sources of one group read.
pub fn refuse<'a>(read: impl Iterator<Item = (&'a Source, &'a TopicPartition)>) -> Result<()> {
    let mut readers = HashMap::new();
    for (source, partition) in read {
        let before: &Source = readers.entry((source.kafka.group(), partition)).or_insert(source);
        if before.name != source.name {
            let group_id = &source.kafka.group_id;
            return Err(Failure::config(format!(
                "source {}: its `topicPattern` matches {}, which source {} reads too, and both would publish their \
                 offsets for the consumer group {}: write a `groupId` of its own, as {}, or patterns that match no \
                 topic together",
                quoted(&source.name),
                quoted(&partition.topic),
                quoted(&before.name),
                quoted(group_id),
                quoted(format_args!("{group_id}-{}", source.name)),
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;
    use crate::fixtures;

    fn source(name: &str, servers: &str, group_id: &str) -> Source {
        let mut source = fixtures::source(name, None, Arc::new(Schema::empty()));
        (source.kafka.connection.bootstrap_servers, source.kafka.group_id) = (servers.into(), group_id.into());
        source
    }

    /// The second source reads these partitions of these topics beside `a-0` and `b-1` of the first.
    fn check(second: &Source, read: &[(&str, i32)]) -> Result<()> {
        let first = source("rides", "kafka:9092", "g");
        let id = |&(topic, partition): &(&str, i32)| TopicPartition { topic: topic.into(), partition };
        let (of_first, of_second): (Vec<_>, Vec<_>) =
            ([("a", 0), ("b", 1)].iter().map(id).collect(), read.iter().map(id).collect());
        refuse(of_first.iter().map(|p| (&first, p)).chain(of_second.iter().map(|p| (second, p))))
    }

    #[test]
    fn a_partition_that_two_sources_of_one_group_read_is_refused_with_what_to_write() {
        let refused = check(&source("fares", "kafka:9092", "g"), &[("c", 0), ("b", 1)]).unwrap_err();
        let says = "source `fares`: its `topicPattern` matches `b`, which source `rides` reads too, and both would \
                    publish their offsets for the consumer group `g`: write a `groupId` of its own, as `g-fares`, or \
                    patterns that match no topic together";
        assert_eq!(refused, Failure::config(says));
    }

    #[test]
    fn other_partitions_groups_and_brokers_do_not_clash() {
        assert_eq!(check(&source("fares", "kafka:9092", "g"), &[("c", 0), ("b", 0)]), Ok(()));
        assert_eq!(check(&source("fares", "kafka:9092", "g-fares"), &[("b", 1)]), Ok(()));
        assert_eq!(check(&source("fares", "other:9092", "g"), &[("b", 1)]), Ok(()));
    }
}
