//! What is not there, goes away, is lost or can not be read.

use super::*;

#[test]
fn unknown_topic_is_a_config_failure_that_names_topic_and_servers() {
    let cluster = cluster(&[("a", 1)]);
    // The mock creates every topic that a client asks for, unless it is told to refuse.
    cluster.topic_error("nowhere", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let servers = cluster.bootstrap_servers();
    let input = KafkaInput::connect(&source(&servers, &["a", "nowhere"]), "test").unwrap();
    let failure = partitions_of(&input, SOON).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Config);
    assert!(
        failure.message.contains("topic nowhere does not exist") && failure.message.contains(&servers),
        "{failure}"
    );
}

#[test]
fn unknown_topic_is_told_from_a_broker_that_is_away_also_if_it_answers_slowly() {
    let cluster = cluster(&[("a", 1)]);
    cluster.topic_error("nowhere", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let input = KafkaInput::connect(&source(&cluster.bootstrap_servers(), &["a"]), "test").unwrap();
    partitions_of(&input, SOON).unwrap();
    // This is slower than the time that is left for the last request before the deadline.
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    let failure =
        crate::kafka::ask::partition_count(&input.client(), "nowhere", Instant::now() + Duration::from_secs(2))
            .unwrap_err();
    assert_eq!(failure.remedy, Remedy::Config, "{failure}");
}

#[test]
fn unreachable_broker_is_a_retry_failure_in_time_that_names_the_address_and_its_origin() {
    let started = Instant::now();
    let input = KafkaInput::connect(&source("127.0.0.1:1", &["a"]), "test").unwrap();
    let failure = partitions_of(&input, ASKED_FOR).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Retry);
    assert!(failure.message.contains("127.0.0.1:1 (from bootstrapServers): Connect to"), "{failure}");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[test]
fn lost_offset_stops_under_fail_and_says_what_there_is() {
    let cluster = cluster(&[("a", 1)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 5)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 17)], 1).unwrap();
    let failure = read(&mut lanes[0], |_| false).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Config);
    assert!(failure.message.contains("a-0: offset 17 comes next, but Kafka has [0, 5)"), "{failure}");
}

#[test]
fn lost_offset_goes_on_where_the_document_says_and_the_gap_is_told_first() {
    for (policy, next) in [(OnLostOffsets::Earliest, 0), (OnLostOffsets::Latest, 5)] {
        let cluster = cluster(&[("a", 2)]);
        let servers = cluster.bootstrap_servers();
        fill(&servers, "a", &[(0, 5), (1, 2)]);
        let source = KafkaSource { on_lost_offsets: policy, ..source(&servers, &["a"]) };
        let input = KafkaInput::connect(&source, "test").unwrap();
        let mut lanes = input.assign(&[at("a", 0, 17), at("a", 1, 0)], 1).unwrap();
        let seen = read(&mut lanes[0], |seen| seen.ends.len() == 2).unwrap();
        assert_eq!(seen.lost, [(0, 17, next)]);
        assert_eq!(seen.values.get(&0).cloned().unwrap_or_default(), values(0, next..5));
        assert_eq!(seen.values[&1], values(1, 0..2));
    }
}

#[test]
fn broker_that_goes_away_is_a_problem_with_its_address_and_reading_goes_on_when_it_is_back() {
    let cluster = cluster(&[("a", 1)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 5)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 0)], 1).unwrap();
    read(&mut lanes[0], |seen| seen.ends.len() == 1).unwrap();
    cluster.broker_down(1).unwrap();
    let seen = read(&mut lanes[0], |seen| !seen.problems.is_empty()).unwrap();
    assert_eq!(seen.problems[0].remedy, Remedy::Retry);
    assert!(seen.problems[0].message.contains(&servers), "{} not in {}", servers, seen.problems[0]);
    cluster.broker_up(1).unwrap();
    fill(&servers, "a", &[(0, 1)]);
    let mut after = 0;
    let until = Instant::now() + SOON;
    while after == 0 {
        assert!(Instant::now() < until);
        let count = |e: LaneEvent<'_>| {
            after += usize::from(matches!(e, LaneEvent::Record(r) if r.offset == 5));
            Taken::Yes
        };
        lanes[0].poll(Duration::from_millis(50), 10, count).unwrap();
    }
}

/// What a lane sees of five records in one partition if the broker refuses to send them until the lane has reported the
/// problem with the text `told`.
fn read_refused_until(told: &str, end: Option<i64>) -> Seen {
    let cluster = cluster(&[("a", 1)]);
    let servers = cluster.bootstrap_servers();
    fill(&servers, "a", &[(0, 5)]);
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    cluster.request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_MSG; 1000]);
    let mut lanes = input.assign(&[Position { end, ..at("a", 0, 0) }], 1).unwrap();
    let mut seen = Seen::default();
    let until = Instant::now() + SOON;
    while seen.ends.is_empty() {
        assert!(Instant::now() < until, "nothing more came: {seen:?}");
        lanes[0]
            .poll(Duration::from_millis(50), 100, |event| {
                if let LaneEvent::Problem(problem) = &event {
                    assert_eq!(problem.remedy, Remedy::Retry);
                    assert!(problem.message.starts_with("a-0: what comes at offset 0 can't be read: "), "{problem}");
                    if problem.message.contains(told) {
                        cluster.clear_request_errors(RDKafkaApiKey::Fetch);
                    }
                }
                seen.add(event)
            })
            .unwrap();
    }
    seen
}

#[test]
fn what_can_be_read_by_a_later_try_is_read_whole() {
    for (told, tries) in [("attempt 1 of 3", 1), ("attempt 3 of 3", 3)] {
        let seen = read_refused_until(told, None);
        assert_eq!((&seen.values[&0], &seen.unreadable, seen.problems.len()), (&values(0, 0..5), &vec![], tries));
    }
}

#[test]
fn what_cannot_be_read_after_all_tries_is_passed_over_and_no_more_than_that() {
    let seen = read_refused_until("3 attempts have failed", None);
    assert_eq!((&seen.values[&0], &seen.unreadable, seen.problems.len()), (&values(0, 1..5), &vec![(0, 0, 1)], 4));
}

#[test]
fn a_run_ends_although_nothing_before_its_end_can_be_read() {
    let seen = read_refused_until("never", Some(5));
    assert_eq!((seen.values.len(), &seen.unreadable, &seen.ends[&0]), (0, &vec![(0, 0, 5)], &vec![5]));
}

#[test]
fn topic_that_goes_missing_while_it_is_read_is_a_config_failure_in_every_lane() {
    let cluster = cluster(&[("a", 2)]);
    let servers = cluster.bootstrap_servers();
    let input = KafkaInput::connect(&source(&servers, &["a"]), "test").unwrap();
    let mut lanes = input.assign(&[at("a", 0, 0), at("a", 1, 0)], 2).unwrap();
    for lane in &mut lanes {
        read(lane, |seen| seen.ends.len() == 1).unwrap();
    }
    // librdkafka holds the news back until the next refresh before this time is over
    // (`topic.metadata.propagation.max.ms`).
    std::thread::sleep(Duration::from_millis(1500));
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.topic_error("a", unknown).unwrap();
    cluster.request_errors(RDKafkaApiKey::Fetch, &[unknown; 8]);
    for lane in &mut lanes {
        let failure = read(lane, |_| false).unwrap_err();
        assert_eq!(failure.remedy, Remedy::Config);
        assert!(failure.message.contains("topic a does not exist"), "{failure}");
    }
}
