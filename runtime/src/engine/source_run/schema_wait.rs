//! Which partition has waited longest for a schema. People ask this when a partition stands still. Pure.

use weir_plan::ids::TopicPartition;
use weir_plan::report::SchemaWait;

use crate::engine::lanes::AwaitedSchema;
use crate::observe::progress::rfc3339;

/// The partition that has waited longest, and how many wait; `None` if none does.
pub fn longest<'a>(waiting: impl Iterator<Item = (&'a TopicPartition, AwaitedSchema)>) -> Option<SchemaWait> {
    let waiting: Vec<_> = waiting.collect();
    let (id, awaited) = waiting.iter().min_by_key(|(_, awaited)| awaited.since_us)?;
    Some(SchemaWait {
        topic: id.topic.clone(),
        partition: id.partition,
        offset: awaited.offset,
        schema_id: awaited.id.to_string(),
        since: rfc3339(awaited.since_us).unwrap_or_default(),
        partitions: waiting.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::schemas::SchemaId;

    #[test]
    fn the_partition_that_has_waited_longest_is_named_with_the_number_of_all() {
        let id = |partition| TopicPartition { topic: "rides".into(), partition };
        let ids = [id(0), id(1), id(2)];
        let awaited = |offset, schema, since_us| AwaitedSchema { offset, id: SchemaId(schema), since_us };
        let waiting = [awaited(7, 3, 2_000_000), awaited(8, 4, 1_000_000), awaited(9, 4, 3_000_000)];
        let expected = SchemaWait {
            topic: "rides".into(),
            partition: 1,
            offset: 8,
            schema_id: "4".into(),
            since: "1970-01-01T00:00:01.000Z".into(),
            partitions: 3,
        };
        assert_eq!(longest(ids.iter().zip(waiting)), Some(expected));
        assert_eq!(longest(std::iter::empty()), None);
    }
}
