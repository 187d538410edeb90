//! Offsets that are published for the consumer group.

use super::*;

/// Publishes until the group has these offsets, which shows that its coordinator is known.
fn publish_until_committed(input: &KafkaInput, offsets: &[(TopicPartition, i64)]) {
    let until = Instant::now() + SOON;
    let mut list = TopicPartitionList::new();
    for (p, _) in offsets {
        list.add_partition(&p.topic, p.partition);
    }
    loop {
        // This publishes in each round, because an offset that is published before the coordinator is known may be
        // lost.
        input.publish(offsets);
        let committed = input.client().committed_offsets(list.clone(), Duration::from_secs(1));
        if committed
            .is_ok_and(|c| c.elements().iter().map(|e| e.offset()).eq(offsets.iter().map(|(_, next)| absolute(*next))))
        {
            break;
        }
        assert!(Instant::now() < until);
    }
}

#[test]
fn published_offsets_are_the_groups() {
    let cluster = cluster(&[("a", 2)]);
    let servers = cluster.bootstrap_servers();
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let positions = [at("a", 0, 0), at("a", 1, 0)];
    let lanes = input.assign(&positions, 1).unwrap();
    let [a0, a1] = positions.map(|p| p.partition);
    publish_until_committed(&input, &[(a0, 7), (a1, 9)]);
    drop(lanes);
}

/// librdkafka alone would wait for the answer to the last published offsets, for a minute in each attempt.
#[test]
fn brokers_that_fall_silent_do_not_hold_up_the_end() {
    let cluster = cluster(&[("a", 1)]);
    let servers = cluster.bootstrap_servers();
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let lanes = input.assign(&[at("a", 0, 0)], 1).unwrap();
    let a0 = at("a", 0, 0).partition;
    publish_until_committed(&input, &[(a0.clone(), 7)]);
    cluster.broker_round_trip_time(1, Duration::from_secs(600)).unwrap();
    input.publish(&[(a0, 9)]);
    drop(lanes);
    let (tell, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(input);
        tell.send(()).unwrap();
    });
    ended.recv_timeout(SOON / 2).unwrap();
}
