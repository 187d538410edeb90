//! Where the first start of a pipeline begins to read, on a real broker, and that a crash before its first epoch skips
//! nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, OK};
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record};
use weir_tests::{or_skip, table};

/// The offsets at which the first manifest begins, by partition.
fn first_offsets(rig: &Rig) -> Vec<i64> {
    rig.manifests().first().unwrap().partitions.iter().map(|p| p.start).collect()
}

fn rides(partition: i32, count: usize, seed: u64) -> Vec<Record> {
    let rides = Rides { partitions: 1, seed, late_per_million: 0, ..Rides::new(count) }.records();
    rides.into_iter().map(|record| Record { partition, ..record }).collect()
}

/// Gives records timestamps a second apart, beginning with `first_ms`.
fn stamped(records: Vec<Record>, first_ms: i64) -> Vec<(i64, Record)> {
    (0..).map(|i| first_ms + i * 1000).zip(records).collect()
}

/// A time that is recent enough for Kafka's retention to keep such records.
fn an_hour_ago_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap() - 3_600_000
}

fn from_time(at_us: i64) -> Json {
    json!({"startFrom": {"timestamp": time::format_iso(at_us)}})
}

fn from_offsets(rig: &Rig, offsets: &[(i32, i64)]) -> Json {
    let one =
        |&(partition, offset): &(i32, i64)| json!({"topic": rig.site.topic, "partition": partition, "offset": offset});
    json!({"startFrom": {"offsets": offsets.iter().map(one).collect::<Vec<_>>()}})
}

/// A topic whose records carry the times that their producer chose.
fn stamped_by_producers(kafka: &kafka::Kafka, partitions: i32) -> Rig {
    let bootstrap = kafka.bootstrap();
    Rig::with_topic(
        Pipeline::rides(),
        bootstrap.clone(),
        Store::Local,
        |topic| topic::create(&bootstrap, topic, partitions),
        &[],
    )
}

#[test]
fn a_time_begins_at_the_first_record_that_is_not_before_it_or_at_the_end_and_a_restart_goes_on_from_there() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = stamped_by_producers(kafka, 4);
    let at_ms = an_hour_ago_ms();
    // The first partition has records on both sides of the time, the second only before it, the third only after it,
    // and the fourth none.
    let mut all = stamped(rides(0, 1_000, 1), at_ms - 400_000);
    all.extend(stamped(rides(1, 300, 2), at_ms - 300_000));
    all.extend(stamped(rides(2, 200, 3), at_ms));
    topic::produce_stamped(&rig.site.bootstrap, &rig.site.topic, &all);

    let start = rig.start_reading("AvailableNow", &from_time(at_ms * 1000));
    assert_eq!(start.run(RUN_LIMIT).expect(OK).figure("records_read"), 800);
    assert_eq!(first_offsets(&rig), [400, 300, 0, 0]);
    // Records that are produced after the start count, however old their timestamps are.
    topic::produce_stamped(&rig.site.bootstrap, &rig.site.topic, &stamped(rides(1, 50, 4), at_ms - 50_000));
    assert_eq!(start.run(RUN_LIMIT).expect(OK).figure("records_read"), 50);
    let contents = topic::read(&rig.site.bootstrap, &rig.site.topic);
    assert_eq!(rig.assert_right_of(&contents).read, 850);
}

#[test]
fn a_fraction_of_a_millisecond_is_not_rounded_to_a_record_before_it() {
    let kafka = or_skip!(kafka::shared());
    let rig = stamped_by_producers(kafka, 1);
    let at_ms = an_hour_ago_ms();
    topic::produce_stamped(&rig.site.bootstrap, &rig.site.topic, &stamped(rides(0, 10, 1), at_ms));
    let _ = rig.start_reading("AvailableNow", &from_time(at_ms * 1000 + 1)).run(RUN_LIMIT).expect(OK);
    assert_eq!(first_offsets(&rig), [1]);
}

#[test]
fn a_crash_between_the_claim_and_the_first_epoch_skips_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for start_from in [json!({"startFrom": {"position": "Latest"}}), from_time((an_hour_ago_ms() + 7_200_000) * 1000)] {
        let before = Rides { partitions: 2, ..Rides::ordered(500) };
        let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &before.records());
        let endless = rig.start_reading("AsSoonAsPossible", &start_from);
        assert!(endless.clone().fail_at("claim.after", 1).run(RUN_LIMIT).aborted());
        let ends = topic::ends(&rig.site.bootstrap, &rig.site.topic, 2);
        rig.produce(&Rides { partitions: 2, ..Rides::ordered(1_500) }.starting(500 * before.step_us).records());
        assert!(endless.fail_at("manifest.create.before", 1).run(RUN_LIMIT).aborted());
        let start = rig.start_reading("AvailableNow", &start_from);
        assert_eq!(start.run(RUN_LIMIT).expect(OK).figure("records_read"), 1_500, "{start_from}");
        assert_eq!(first_offsets(&rig), ends);
        assert_eq!(rig.assert_right_of(&topic::read(&rig.site.bootstrap, &rig.site.topic)).read, 1_500);
    }
}

#[test]
fn listed_offsets_are_where_it_begins() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &[rides(0, 600, 1), rides(1, 400, 2)].concat());
    let start = rig.start_reading("AvailableNow", &from_offsets(&rig, &[(2, 0), (0, 250), (1, 400)]));
    assert_eq!(start.run(RUN_LIMIT).expect(OK).figure("records_read"), 350);
    assert_eq!(first_offsets(&rig), [250, 400, 0]);
    assert_eq!(rig.assert_right_of(&topic::read(&rig.site.bootstrap, &rig.site.topic)).read, 350);
}

#[test]
fn listed_offsets_that_are_not_those_of_the_topic_are_refused_before_anything_is_pinned() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &rides(0, 100, 1));
    let name = &rig.site.topic;
    for (offsets, said) in [
        (
            &[(0, 5)][..],
            format!("startFrom.offsets: `{name}-1` is not there; each partition that is read needs an offset"),
        ),
        (&[(0, 5), (1, 0), (7, 0)], format!("startFrom.offsets: `{name}-7` does not exist; leave it out")),
        (
            &[(0, 101), (1, 0)],
            format!("startFrom.offsets: `{name}-0` begins at 101, but Kafka has [0, 100): write 100 at most"),
        ),
    ] {
        let refused = rig.start_reading("AvailableNow", &from_offsets(&rig, offsets)).run(RUN_LIMIT);
        assert!(refused.expect(CONFIG).stderr.contains(&said), "{}", refused.stderr);
        assert!(rig.manifests().is_empty(), "a corrected document must not need a state action");
    }
    let start = rig.start_reading("AvailableNow", &from_offsets(&rig, &[(0, 100), (1, 0)]));
    assert_eq!(start.run(RUN_LIMIT).expect(OK).figure("records_read"), 0);
}
