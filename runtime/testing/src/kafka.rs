//! librdkafka's mock cluster, and a source that reads it.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use weir_plan::plan::{KafkaConnection, KafkaSource, OnLostOffsets, StartFrom};
use weir_plan::topics::Topics;

/// Deadline for what should happen soon; only a failing test waits this long.
pub const SOON: Duration = Duration::from_secs(60);
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

pub fn cluster(topics: &[(&str, i32)]) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions, 1).unwrap();
    }
    cluster
}

pub fn source(servers: &str, topics: &[&str]) -> KafkaSource {
    KafkaSource {
        connection: KafkaConnection::plaintext(servers),
        topics: Topics::Named(topics.iter().map(|&t| t.to_owned()).collect()),
        group_id: "tests".to_owned(),
        start_from: StartFrom::Earliest,
        on_lost_offsets: OnLostOffsets::Fail,
    }
}
