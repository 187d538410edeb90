//! Partitions and topics that come and go on a real broker. A pipeline finds them while it runs and after a restart,
//! reads them from their earliest record, and loses or doubles nothing if it is killed meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, Document, OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::replay::{Outcome, Records};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, SetOnDrop, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record};
use weir_tests::{deadline, or_skip, table};

const ENDLESS: &str = "AsSoonAsPossible";
/// The time between two rides. All partitions have the same times, so no partition makes the rows of another one late.
const SECOND_US: i64 = 1_000_000;

/// This many rides for each of these partitions, over the same time.
fn rides(partitions: &[i32], count: usize, seed: u64) -> Vec<Record> {
    let of = |&partition: &i32| {
        let rides =
            Rides { partitions: 1, seed: seed * 100 + u64::try_from(partition).unwrap(), ..Rides::ordered(count) };
        rides.records().into_iter().map(move |record| Record { partition, ..record })
    };
    partitions.iter().flat_map(of).collect()
}

/// An endless run that looks for partitions every second, and in which partitions without records do not hold the
/// watermark for long.
fn looking(rig: &Rig, kafka: &Json) -> Start {
    rig.start_reading(ENDLESS, kafka).arg("--discover-every").arg("1").arg("--lanes").arg("3")
}

fn pipeline() -> Pipeline {
    Pipeline { idle_after_us: Some(SECOND_US), ..Pipeline::rides() }
}

fn pattern(rig: &Rig) -> Json {
    json!({"topics": null, "topicPattern": format!("{}(-[a-z]+)?", rig.site.topic)})
}

fn with(mut kafka: Json, field: &str, value: Json) -> Json {
    kafka[field] = value;
    kafka
}

/// The oracle's verdict on these topics, which were all read to their ends.
fn assert_right_of(rig: &Rig, topics: &[&str]) -> Outcome {
    let contents: BTreeMap<_, _> =
        topics.iter().map(|t| ((*t).to_owned(), topic::read(&rig.site.bootstrap, t))).collect();
    let outcome = rig.assert_right_of_topics(Records::ByTopic(&contents));
    let produced: usize = contents.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
    assert_eq!(outcome.read, produced as u64, "all of the topics was read, and once");
    outcome
}

/// The delay is zero and looks are half a minute apart, while the old partition moves on by hours of event time.
#[test]
fn the_first_records_of_a_new_partition_are_in_time() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let one = |count: usize, from_s: i64| {
        Rides { partitions: 1, ..Rides::ordered(count) }.starting(from_s * SECOND_US).records()
    };
    let rig = Rig::new(Pipeline { delay_us: 0, ..Pipeline::rides() }, kafka, Store::Local, 1, &one(1_000, 0));
    let mut run = rig.start_with(json!({"type": ENDLESS})).spawn();
    run.wait_for_records(1_000, RUN_LIMIT);
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 2);
    let new: Vec<Record> = one(100, 1_000).into_iter().map(|record| Record { partition: 1, ..record }).collect();
    rig.produce(&new);
    rig.produce(&one(2_000, 1_100));
    run.wait_for_records(3_100, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    rig.finish();
    assert_eq!(rig.assert_right().late, 0);
}

#[test]
fn partitions_that_a_topic_gets_while_it_is_read_are_read_from_their_earliest_record() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 1_000, 1));
    let mut run = looking(&rig, &json!({})).spawn();
    run.wait_for_records(1_000, RUN_LIMIT);
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 4);
    rig.produce(&rides(&[1, 2, 0], 800, 2));
    run.wait_for_records(3_400, RUN_LIMIT);
    run.wait_for_words("a partition was found and is read from its earliest offset", RUN_LIMIT);
    // Once more, with lanes that were already built anew.
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 5);
    rig.produce(&rides(&[3, 4], 300, 3));
    run.wait_for_records(4_000, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    rig.finish();
    assert_eq!(rig.assert_right().read, 4_000);
}

#[test]
fn new_assignments_while_records_flow_lose_and_double_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 6, &[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = SetOnDrop(&done);
        scope.spawn(|| rig.produce_until(&done));
        let mut run = looking(&rig, &json!({})).spawn();
        for (records, partitions) in [(1_000, 7), (4_000, 8), (8_000, 9)] {
            run.wait_for_records(records, RUN_LIMIT);
            topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, partitions);
            run.wait_for_words(&format!("partition={}-{}", rig.site.topic, partitions - 1), RUN_LIMIT);
        }
        run.wait_for_records(12_000, RUN_LIMIT);
        let killed = run.kill();
        assert_eq!(killed.signal, Some(9));
    });
    rig.finish();
    assert!(rig.assert_right().read >= 12_000);
}

#[test]
fn a_pipeline_that_always_has_something_to_read_looks_all_the_same() {
    /// How many records are always there to be read: more than a run reads between two looks of the test at its
    /// progress.
    const AHEAD: u64 = 10_000;
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let from = |ride: u64| {
        Rides { partitions: 1, ..Rides::ordered(usize::try_from(AHEAD).unwrap()) }
            .starting(ride.cast_signed() * SECOND_US)
    };
    let mut rig = Rig::new(pipeline(), kafka, Store::Local, 1, &from(0).records());
    // Epochs are so small that all of them together take longer than the looks.
    rig.site.records_per_epoch = 25;
    let mut run = looking(&rig, &json!({})).spawn();
    run.wait_for_epochs(1, RUN_LIMIT);
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 2);
    let mut produced = AHEAD;
    deadline::until("a partition is found", RUN_LIMIT, || {
        let read: u64 = run.progress().iter().map(|p| p["numInputRows"].as_u64().unwrap()).sum();
        if produced < read + AHEAD {
            rig.produce(&from(produced).records());
            produced += AHEAD;
        }
        run.stderr().contains("a partition was found").then_some(())
    });
    let killed = run.kill();
    assert_eq!(killed.signal, Some(9));
    rig.site.records_per_epoch = 20_000;
    rig.finish();
    rig.assert_right();
}

#[test]
fn partitions_that_a_topic_got_while_nobody_looked_are_read_from_their_earliest_record_too() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 500, 1));
    let latest = json!({"startFrom": {"position": "Latest"}});
    let _ = rig.start_reading("AvailableNow", &latest).run(RUN_LIMIT).expect(OK);
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 2);
    rig.produce(&rides(&[0, 1], 400, 2));
    assert_eq!(rig.start_reading("AvailableNow", &latest).run(RUN_LIMIT).expect(OK).figure("records_read"), 800);
    let outcome = rig.assert_right_of(&topic::read(&rig.site.bootstrap, &rig.site.topic));
    assert_eq!(outcome.read, 800);
}

#[test]
fn a_kill_around_a_new_assignment_loses_and_doubles_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for (point, nth) in [("assignment.before", 1), ("assignment.after", 1), ("assignment.after", 2)] {
        let rig = Rig::new(pipeline(), kafka, Store::Local, 2, &rides(&[0, 1], 1_500, 1));
        let mut run = looking(&rig, &json!({})).fail_at(point, nth).spawn();
        run.wait_for_records(1_000, RUN_LIMIT);
        for partitions in 3..3 + i32::try_from(nth).unwrap() {
            topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, partitions);
            rig.produce(&rides(&(0..partitions).collect::<Vec<_>>(), 700, 2));
            if partitions < 2 + i32::try_from(nth).unwrap() {
                run.wait_for_words("a partition was found", RUN_LIMIT);
            }
        }
        let exit = run.wait(RUN_LIMIT);
        assert!(exit.aborted() && exit.phase == point, "{point}:{nth}: {exit:?}");
        rig.finish();
        rig.assert_right();
    }
}

#[test]
fn a_kill_at_each_step_of_the_first_epoch_over_a_new_assignment_loses_and_doubles_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for point in ["data.upload.before", "manifest.create.before", "manifest.create.after", "commit.sink.after"] {
        let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &[]);
        let mut run = looking(&rig, &json!({})).fail_at(point, 1).spawn();
        deadline::until("the checkpoint is claimed", RUN_LIMIT, || (!rig.manifests().is_empty()).then_some(()));
        topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 2);
        run.wait_for_words("a partition was found", RUN_LIMIT);
        // Nothing was read before, so this is the first epoch.
        rig.produce(&rides(&[0, 1], 1_500, 1));
        assert!(run.wait(RUN_LIMIT).aborted(), "{point}");
        rig.finish();
        rig.assert_right();
    }
}

#[test]
fn a_run_that_ends_leaves_partitions_found_later_to_the_next_one() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 600, 1));
    assert!(rig.start().fail_at("claim.after", 1).run(RUN_LIMIT).aborted());
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 2);
    rig.produce(&rides(&[0, 1], 300, 2));
    assert_eq!(rig.finish().figure("records_read"), 600, "the ends are those of the run's first start");
    assert_eq!(rig.finish().figure("records_read"), 600);
    rig.assert_right();
}

#[test]
fn topics_that_come_to_match_a_pattern_are_read_whole_and_others_never() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &[]);
    let (bootstrap, name) = (rig.site.bootstrap.clone(), rig.site.topic.clone());
    let [first, second] = ["a", "b"].map(|suffix| format!("{name}-{suffix}"));
    // None of these topics matches: one has a longer name, one another beginning, and one is internal.
    let poison = [Record { partition: 0, key: None, value: b"poison".to_vec() }];
    for other in [format!("{name}-a-b"), format!("x{name}-a"), format!("__{name}-a")] {
        topic::create(&bootstrap, &other, 1);
        topic::produce(&bootstrap, &other, &poison);
    }
    // Nothing matches yet. Topics that appear later are read from their beginning, although `startFrom` is a time after
    // all records.
    let reads = json!({"topics": null, "topicPattern": format!("{name}-[a-z]"), "startFrom": {"timestamp": "2100-01-01T00:00:00Z"}});
    let mut run = looking(&rig, &reads).spawn();
    run.wait_for_words("no topic matches `topicPattern`; the pipeline waits for one to appear", RUN_LIMIT);
    for (topic, records) in [(&first, 1_400), (&second, 2_800)] {
        topic::create(&bootstrap, topic, 2);
        topic::produce(&bootstrap, topic, &rides(&[0, 1], 700, 1));
        run.wait_for_records(records, RUN_LIMIT);
    }
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    // A topic that comes while no process runs.
    let third = format!("{name}-c");
    topic::create(&bootstrap, &third, 1);
    topic::produce(&bootstrap, &third, &rides(&[0], 400, 1));
    assert_eq!(rig.start_reading("AvailableNow", &reads).run(RUN_LIMIT).expect(OK).figure("records_read"), 400);
    assert_right_of(&rig, &[&first, &second, &third]);
}

#[test]
fn internal_topics_never_match() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 100, 1));
    let (bootstrap, name) = (&rig.site.bootstrap, &rig.site.topic);
    let internal = format!("__{name}");
    topic::create(bootstrap, &internal, 1);
    topic::produce(bootstrap, &internal, &[Record { partition: 0, key: None, value: b"poison".to_vec() }]);
    let reads = json!({"topics": null, "topicPattern": format!(".*{name}")});
    assert_eq!(rig.start_reading("AvailableNow", &reads).run(RUN_LIMIT).expect(OK).figure("records_read"), 100);
}

#[test]
fn a_topic_of_a_pattern_that_is_deleted_stops_the_pipeline_or_is_left_out_as_the_document_says() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for running in [true, false] {
        let rig = Rig::new(pipeline(), kafka, Store::Local, 2, &rides(&[0, 1], 600, 1));
        let (bootstrap, name) = (rig.site.bootstrap.clone(), rig.site.topic.clone());
        let other = format!("{name}-other");
        topic::create(&bootstrap, &other, 1);
        topic::produce(&bootstrap, &other, &rides(&[0], 300, 7));
        let gone_contents = topic::read(&bootstrap, &other);
        let (may_go, may_not) = (
            with(pattern(&rig), "onLostOffsets", json!("Earliest")),
            with(pattern(&rig), "onLostOffsets", json!("Fail")),
        );

        let mut run = looking(&rig, &may_not).spawn();
        run.wait_for_records(1_500, RUN_LIMIT);
        let refused = if running {
            topic::delete(&bootstrap, &other);
            run.wait(RUN_LIMIT)
        } else {
            run.terminate();
            run.wait(RUN_LIMIT).expect(OK);
            topic::delete(&bootstrap, &other);
            looking(&rig, &may_not).run(RUN_LIMIT)
        };
        let said = format!("topic {other}, which was read since it matches topicPattern, does not exist");
        assert!(refused.expect(CONFIG).stderr.contains(&said), "{}", refused.stderr);

        if running {
            // The topic is back as another one. The run that may go on without it refuses this, since the checkpoint
            // has offsets of the old one.
            topic::create(&bootstrap, &other, 1);
            let refused = looking(&rig, &may_go).run(RUN_LIMIT);
            assert!(refused.expect(CONFIG).stderr.contains("was deleted and made anew"), "{}", refused.stderr);
            topic::delete(&bootstrap, &other);
        }
        let mut run = looking(&rig, &may_go).spawn();
        rig.produce(&Rides { partitions: 2, ..Rides::ordered(2_000) }.starting(600 * SECOND_US).records());
        run.wait_for_records(2_000, RUN_LIMIT);
        run.terminate();
        run.wait(RUN_LIMIT).expect(OK);
        assert!(rig.manifests().iter().any(|m| m.topics_gone == [other.clone()]));

        let contents = BTreeMap::from([(name.clone(), topic::read(&bootstrap, &name)), (other.clone(), gone_contents)]);
        let outcome = rig.assert_right_of_topics(Records::ByTopic(&contents));
        assert_eq!(outcome.read, 3_500);
        assert!(outcome.rows.len() > 20, "the topic that is gone holds no window: {} rows", outcome.rows.len());
    }
}

#[test]
fn a_topic_that_is_deleted_while_it_is_read_is_left_out_and_the_others_go_on() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 600, 1));
    let (bootstrap, name) = (rig.site.bootstrap.clone(), rig.site.topic.clone());
    let other = format!("{name}-other");
    topic::create(&bootstrap, &other, 2);
    topic::produce(&bootstrap, &other, &rides(&[0, 1], 300, 7));
    let mut contents = BTreeMap::from([(other.clone(), topic::read(&bootstrap, &other))]);
    let may_go = with(pattern(&rig), "onLostOffsets", json!("Latest"));
    let mut run = looking(&rig, &may_go).spawn();
    run.wait_for_records(1_200, RUN_LIMIT);
    topic::delete(&bootstrap, &other);
    run.wait_for_words("the topic does not exist any more: the pipeline goes on without it", RUN_LIMIT);
    rig.produce(&Rides { partitions: 1, ..Rides::ordered(2_000) }.starting(600 * SECOND_US).records());
    run.wait_for_records(3_200, RUN_LIMIT);
    // By now a topic of that name is a new one.
    topic::create(&bootstrap, &other, 1);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    contents.insert(name.clone(), topic::read(&bootstrap, &name));
    let outcome = rig.assert_right_of_topics(Records::ByTopic(&contents));
    assert_eq!(outcome.read, 3_200);
}

#[test]
fn a_run_ends_although_a_topic_of_its_pattern_is_deleted_before_it_was_read() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 600, 1));
    let (bootstrap, name) = (rig.site.bootstrap.clone(), rig.site.topic.clone());
    let other = format!("{name}-other");
    topic::create(&bootstrap, &other, 1);
    topic::produce(&bootstrap, &other, &rides(&[0], 300, 7));
    // The run has fixed its end offsets, and has not read anything.
    let start = rig.start_reading("AvailableNow", &with(pattern(&rig), "onLostOffsets", json!("Earliest")));
    let mut run = start.clone().stop_at("claim.after", 1).spawn();
    run.wait_until_stopped(RUN_LIMIT);
    topic::delete(&bootstrap, &other);
    run.cont();
    assert_eq!(run.wait(RUN_LIMIT).expect(OK).figure("records_read"), 600);
    assert_eq!(start.run(RUN_LIMIT).expect(OK).figure("records_read"), 0);
    assert_right_of(&rig, &[&name]);
}

#[test]
fn a_topic_that_was_found_while_it_ran_and_was_made_anew_since_is_refused() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 300, 1));
    let (bootstrap, found) = (rig.site.bootstrap.clone(), format!("{}-found", rig.site.topic));
    let mut run = looking(&rig, &pattern(&rig)).spawn();
    run.wait_for_records(300, RUN_LIMIT);
    topic::create(&bootstrap, &found, 1);
    topic::produce(&bootstrap, &found, &rides(&[0], 200, 2));
    run.wait_for_records(500, RUN_LIMIT);
    let killed = run.kill();
    assert_eq!(killed.signal, Some(9));
    topic::delete(&bootstrap, &found);
    topic::create(&bootstrap, &found, 1);
    let refused = rig.start_reading("AvailableNow", &pattern(&rig)).run(RUN_LIMIT);
    let said = format!("topic `{found}` was deleted and made anew");
    assert!(refused.expect(CONFIG).stderr.contains(&said), "{}", refused.stderr);
}

#[test]
fn assigned_partitions_are_read_and_no_others_and_one_that_does_not_exist_is_named() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 3, &rides(&[0, 1, 2], 400, 1));
    let assign =
        |partitions: &[i32]| json!({"topics": null, "assign": [{"topic": rig.site.topic, "partitions": partitions}]});
    let refused = rig.start_reading("AvailableNow", &assign(&[0, 3])).run(RUN_LIMIT);
    let said = format!("topic {} has no partition 3, which `assign` names: write 0 to 2", rig.site.topic);
    assert!(refused.expect(CONFIG).stderr.contains(&said), "{}", refused.stderr);

    let mut run = looking(&rig, &assign(&[2, 0])).spawn();
    run.wait_for_records(800, RUN_LIMIT);
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 4);
    rig.produce(&rides(&[0, 1, 3], 200, 2));
    run.wait_for_records(1_000, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    assert_eq!(rig.start_reading("AvailableNow", &assign(&[0, 2])).run(RUN_LIMIT).expect(OK).figure("records_read"), 0);
    let contents = topic::read(&rig.site.bootstrap, &rig.site.topic);
    assert_eq!(rig.assert_right_of(&contents).read, 1_000);
}

#[test]
fn rows_of_a_sink_without_windows_go_through_a_new_assignment() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(pipeline(), kafka, Store::Local, 1, &rides(&[0], 700, 1));
    let bronze = rig.folder().join("bronze");
    let mut start = looking(&rig, &json!({}));
    let Document::Json(document) = &mut start.document else { panic!("a document") };
    let sink = json!({"name": "bronze", "from": "input", "delta": {"uri": format!("file://{}", bronze.display())}});
    document["spec"]["sinks"].as_array_mut().unwrap().push(sink);
    let mut run = start.spawn();
    run.wait_for_records(700, RUN_LIMIT);
    topic::add_partitions(&rig.site.bootstrap, &rig.site.topic, 3);
    rig.produce(&rides(&[0, 1, 2], 500, 2));
    run.wait_for_records(2_200, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    assert_eq!(table::read_log(&bronze).len(), 2_200);
}
