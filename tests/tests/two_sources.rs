//! Two sources in one document whose rows never meet: two topics go into two tables, in the same epochs.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use weir_tests::engine::{CONFIG, OK, RETRY_EXHAUSTED, Start};
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::oracle::{Pipeline, Window};
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{Beside, GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::{self, Record};
use weir_tests::{deadline, or_skip, table};

const SECOND_US: i64 = 1_000_000;
const KILLS: u32 = 8;
/// Longer than a whole epoch with its commit, so that a kill can hit each phase.
const PAUSE_MS_MAX: u64 = 400;

/// Another job than the rig's own: it has windows of a minute, and drops bad records.
fn second() -> Pipeline {
    let rides = Pipeline::rides();
    Pipeline {
        bad_records: BadRecords::Drop,
        window: Window::tumbling(60 * SECOND_US),
        delay_us: 200 * SECOND_US,
        keeps_late: true,
        ..rides
    }
}

/// A rig with two pipelines. The second one's topic is on the broker `of_second`, or on the first one's broker.
fn rig(pipeline: Pipeline, second: Pipeline, kafka: &Kafka, of_second: Option<&Kafka>) -> Rig {
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 3, &[]);
    let bootstrap = of_second.unwrap_or(kafka).bootstrap();
    let topic = format!("{}-second", rig.site.topic);
    topic::create(&bootstrap, &topic, 2);
    rig.beside = Some(Beside { pipeline: second, bootstrap, topic });
    rig
}

fn produce_beside(rig: &Rig, records: &[Record]) {
    let beside = rig.beside.as_ref().unwrap();
    topic::produce(&beside.bootstrap, &beside.topic, records);
}

fn rides(count: usize, partitions: i32, seed: u64) -> Vec<Record> {
    poisoned(Rides { partitions, seed, ..Rides::new(count) }.records(), 401)
}

#[test]
fn two_topics_reach_two_tables_in_the_same_epochs_whatever_is_killed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("seed {seed} (WEIR_SEED repeats the moments, not the machine)");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rig = rig(Pipeline::rides_with_side_outputs(), second(), kafka, None);
    rig.site.records_per_epoch = 60;
    rig.produce(&rides(12_000, 3, 1));
    produce_beside(&rig, &rides(8_000, 2, 2));
    for kill in 0..KILLS {
        let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
        engine.wait_for_epochs(1, RUN_LIMIT);
        std::thread::sleep(Duration::from_millis(rng.random_range(0..PAUSE_MS_MAX)));
        assert!(engine.ended().is_none(), "kill {kill}: the engine ended by itself:\n{}", engine.stderr());
        assert!(!engine.kill().progress.is_empty(), "kill {kill}: it had told of an epoch");
    }
    rig.site.records_per_epoch = 3_000;
    let exit = rig.finish();
    let (first, second) = (rig.assert_right(), rig.assert_beside_right());
    assert!(!first.rows.is_empty() && !second.rows.is_empty());
    assert_eq!((first.read, second.read), (12_000, 8_000));
    assert_eq!((first.rejected.len(), second.dropped), (30, 20));
    assert_eq!(first.data_epochs, second.data_epochs);
    let of_both = |epoch: &&serde_json::Value| (0..2).all(|i| epoch["sources"][i]["numInputRows"].as_u64() > Some(0));
    assert!(exit.progress.iter().any(|epoch| of_both(&epoch)), "no epoch has records of both");
    // Each source has published its offsets, here for one consumer group.
    for (topic, partitions) in [(&rig.site.topic, 3), (&rig.beside.as_ref().unwrap().topic, 2)] {
        let published = topic::group_offsets(&rig.site.bootstrap, "weir-rides-revenue", topic, partitions);
        let ends: Vec<i64> = topic::ends(&rig.site.bootstrap, topic, partitions);
        assert_eq!(published.into_values().collect::<Vec<_>>(), ends, "{topic}");
    }
}

/// One topic falls quiet: the clock closes its windows, and the watermark of the other source moves only as its records
/// say.
#[test]
fn what_the_clock_closes_for_one_source_leaves_the_other_alone() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let quiet =
        Pipeline { idle_after_us: Some(SECOND_US), close_idle_windows_after_us: Some(2 * SECOND_US), ..second() };
    let rig = rig(Pipeline::rides(), quiet, kafka, None);
    rig.produce(&Rides { partitions: 3, ..Rides::ordered(1_000) }.records());
    produce_beside(&rig, &Rides { partitions: 2, ..Rides::ordered(500) }.records());
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    let open = |step: &str| {
        let last = run.progress().pop()?;
        let of_step = last["stateOperators"].as_array()?.iter().find(|told| told["operatorName"] == step)?.clone();
        of_step["openWindows"].as_u64()
    };
    // This is checked once everything was read, because before that no window is open either.
    let all_read = || run.progress().iter().filter_map(|p| p["numInputRows"].as_u64()).sum::<u64>() == 1_500;
    let closed = || (all_read() && open("second-windows") == Some(0)).then_some(());
    deadline::until("no window of the quiet source is open", RUN_LIMIT, closed);
    assert!(open("windows") > Some(0), "those of the other source stay open: its document closes none by the clock");
    rig.produce(&Rides { partitions: 3, ..Rides::ordered(2_000) }.starting(1_000 * SECOND_US).records());
    run.wait_for_records(3_500, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let (first, second) = (rig.assert_right(), rig.assert_beside_right());
    assert_eq!(
        (first.late, second.late, second.groups_open),
        (0, 0, 0),
        "what the clock closed for the one made nothing of the other late"
    );
    assert!(first.groups_open > 0);
}

#[test]
fn a_run_that_emits_all_leaves_no_window_of_either_open() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(Pipeline::rides_with_side_outputs(), second(), kafka, None);
    rig.produce(&Rides { partitions: 3, ..Rides::ordered(900) }.records());
    // These rides are years earlier: each watermark moves as far as its own windows need.
    produce_beside(&rig, &Rides { partitions: 2, ..Rides::ordered(600) }.starting(-200_000_000 * SECOND_US).records());
    rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    rig.site.records_per_epoch = 200;
    assert!(rig.start().fail_at("manifest.create.after", 4).run(RUN_LIMIT).aborted());
    rig.finish();
    let (first, second) = (rig.assert_right(), rig.assert_beside_right());
    assert_eq!((first.groups_open, second.groups_open), (0, 0));
    let (first, second) = (first.watermark_us.unwrap(), second.watermark_us.unwrap());
    assert!(first - second > 190_000_000 * SECOND_US, "{first} and {second}");
}

/// Each source has its own brokers, and those of one source fall silent: the other source is still read and committed.
#[test]
fn brokers_of_one_source_that_are_away_do_not_hold_up_the_other() {
    let kafka = or_skip!(kafka::shared());
    let away = or_skip!(Kafka::start());
    or_skip!(table::readers());
    let rig = rig(Pipeline::rides(), second(), kafka, Some(&away));
    rig.produce(&Rides { partitions: 3, ..Rides::new(1_000) }.records());
    produce_beside(&rig, &Rides { partitions: 2, ..Rides::new(1_000) }.records());
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(2_000, RUN_LIMIT);
    away.stop();
    rig.produce(&Rides { partitions: 3, seed: 2, ..Rides::new(1_000) }.starting(1_000 * SECOND_US).records());
    run.wait_for_records(3_000, RUN_LIMIT);
    away.cont();
    produce_beside(&rig, &Rides { partitions: 2, seed: 2, ..Rides::new(1_000) }.starting(1_000 * SECOND_US).records());
    run.wait_for_records(4_000, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);

    // A start asks the brokers of both sources, and says which ones do not answer.
    away.stop();
    let exit = rig.start().give_up_after(GIVES_UP_AFTER).run(RUN_LIMIT);
    let address = away.bootstrap();
    assert!(exit.expect(RETRY_EXHAUSTED).stderr.contains(&address), "`{address}` should be in {}", exit.stderr);
    away.cont();
    rig.finish();
    rig.assert_right();
    rig.assert_beside_right();
}

/// A source that the document adds begins to read. The document can't drop it again without saying what happens to its
/// offsets.
#[test]
fn a_second_source_begins_when_the_document_has_it_and_the_first_goes_on() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(Pipeline::rides_with_side_outputs(), second(), kafka, None);
    let beside = rig.beside.take();
    rig.produce(&rides(1_500, 3, 1));
    rig.finish();
    let first_alone = rig.assert_right();
    rig.beside = beside;
    produce_beside(&rig, &rides(1_000, 2, 2));
    rig.finish();
    assert_eq!(
        rig.assert_right(),
        weir_tests::oracle::replay::Outcome { data_epochs: rig.outcome().data_epochs, ..first_alone }
    );
    assert_eq!(rig.assert_beside_right().read, 1_000);

    let beside = rig.beside.take();
    let refused = rig.start().run(RUN_LIMIT);
    let said = "source `second-input` is gone, and with it the offsets that were read";
    assert!(refused.expect(CONFIG).stderr.contains(said), "`{said}` should be in {}", refused.stderr);
    rig.beside = beside;
    rig.finish();
    rig.assert_beside_right();
}

/// Two jobs over one topic, each with its own source: both get the whole topic.
#[test]
fn one_topic_is_read_by_two_sources_whose_groups_differ() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(Pipeline::rides_with_side_outputs(), second(), kafka, None);
    rig.beside.as_mut().unwrap().topic.clone_from(&rig.site.topic);
    rig.produce(&rides(2_000, 3, 1));
    let mut document = rig.document(&rig.site);
    let refused = rig.start().run(RUN_LIMIT);
    let said = format!(
        "spec.sources[1].kafka.groupId: source `input` reads `{}` too, and both would publish their offsets for the \
         consumer group \
         `weir-rides-revenue`: write a group of its own, as `weir-rides-revenue-second-input`",
        rig.site.topic
    );
    assert!(refused.expect(CONFIG).stderr.contains(&said), "`{said}` should be in {}", refused.stderr);
    document["spec"]["sources"][1]["kafka"]["groupId"] = json!("weir-rides-revenue-second-input");
    Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT).expect(OK);
    assert_eq!((rig.assert_right().read, rig.assert_beside_right().read), (2_000, 2_000));
}

/// Nothing is claimed by a start that is refused.
#[test]
fn patterns_of_one_group_that_come_to_match_one_topic_stop_the_pipeline_until_the_groups_differ() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(Pipeline::rides(), second(), kafka, None);
    let name = rig.site.topic.clone();
    let both = format!("{name}-second-both");
    let document = |group_of_second: Option<&str>| {
        let mut document = rig.document(&rig.site);
        document["spec"]["trigger"] = json!({"type": "AsSoonAsPossible"});
        let patterns = [format!("{name}(-second-both)?"), format!("{name}-second(-[a-z]+)?")];
        for (i, pattern) in patterns.into_iter().enumerate() {
            let kafka = &mut document["spec"]["sources"][i]["kafka"];
            kafka.as_object_mut().unwrap().remove("topics");
            kafka["topicPattern"] = json!(pattern);
        }
        if let Some(group) = group_of_second {
            document["spec"]["sources"][1]["kafka"]["groupId"] = json!(group);
        }
        document
    };
    let start = |group| Start { document: document(group).into(), ..rig.start() }.arg("--discover-every").arg("1");
    let said = format!(
        "source `second-input`: its `topicPattern` matches `{both}`, which source `input` reads too, and both would \
         publish their offsets for the consumer group `weir-rides-revenue`: write a `groupId` of its own, as \
         `weir-rides-revenue-second-input`, or patterns that match no topic together"
    );
    rig.produce(&Rides { partitions: 3, ..Rides::new(500) }.records());
    let mut run = start(None).spawn();
    run.wait_for_records(500, RUN_LIMIT);
    topic::create(&rig.site.bootstrap, &both, 1);
    let exit = run.wait(RUN_LIMIT);
    assert!(exit.expect(CONFIG).stderr.contains(&said), "`{said}` should be in {}", exit.stderr);

    let manifests = rig.manifests().len();
    let refused = start(None).run(RUN_LIMIT);
    assert!(refused.expect(CONFIG).stderr.contains(&said), "`{said}` should be in {}", refused.stderr);
    assert_eq!(rig.manifests().len(), manifests);

    let mut run = start(Some("weir-rides-revenue-second-input")).spawn();
    topic::produce(&rig.site.bootstrap, &both, &Rides { partitions: 1, ..Rides::new(100) }.records());
    run.wait_for_records(200, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
}

/// The run names the topic that is wrong and stops, and commits nothing more of the other topic.
#[test]
fn a_topic_of_one_source_that_is_deleted_stops_the_pipeline_and_is_named() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(Pipeline::rides(), second(), kafka, None);
    rig.produce(&Rides { partitions: 3, ..Rides::new(500) }.records());
    produce_beside(&rig, &Rides { partitions: 2, ..Rides::new(500) }.records());
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(1_000, RUN_LIMIT);
    let topic = &rig.beside.as_ref().unwrap().topic;
    topic::delete(&rig.site.bootstrap, topic);
    let exit = run.wait(RUN_LIMIT);
    assert!(exit.expect(CONFIG).stderr.contains(topic), "`{topic}` should be in {}", exit.stderr);
}
