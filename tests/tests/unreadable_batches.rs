//! Batches that a broker has on its disk and nobody can read: the tests flip bytes in the segment's file while the
//! broker runs. As `badRecords` says, the pipeline stops with the range of offsets, or goes on behind it with
//! everything else, exactly once.

use rdkafka::admin::{NewTopic, TopicReplication};
use weir_tests::engine::{DATA, Exit, OK};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::segment::{self, Batch};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::{self, Contents, Record};
use weir_tests::{or_skip, table};

const HOUR_US: i64 = 3_600_000_000;

/// A topic whose log is damaged, and the records that it held before.
struct Damaged {
    rig: Rig,
    contents: Contents,
    batches: Vec<Vec<Batch>>,
}

impl Damaged {
    /// A topic with `batches` batches of `each` rides in each partition. The broker finds each batch by its index.
    fn new(kafka: &Kafka, bad_records: BadRecords, partitions: i32, batches: usize, each: usize, codec: &str) -> Self {
        let bootstrap = kafka.bootstrap();
        let create = |topic: &str| {
            let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("index.interval.bytes", "0");
            topic::create_as(&bootstrap, &new);
        };
        let pipeline = Pipeline { bad_records, ..Pipeline::rides() };
        let rig = Rig::with_topic(pipeline, bootstrap.clone(), Store::Local, create, &[]);
        // The rides last an hour in all, so that windows close.
        let count = batches * each * usize::try_from(partitions).unwrap();
        let step_us = HOUR_US / i64::try_from(count).unwrap();
        let rides = Rides { partitions, step_us, ..Rides::ordered(count) }.records();
        for partition in 0..partitions {
            let mine =
                rides.iter().skip(usize::try_from(partition).unwrap()).step_by(usize::try_from(partitions).unwrap());
            let mine: Vec<Record> = mine.map(|ride| Record { partition, ..ride.clone() }).collect();
            topic::produce_batches(&bootstrap, &rig.site.topic, codec, &mine.chunks(each).collect::<Vec<_>>());
        }
        let contents = topic::read(&bootstrap, &rig.site.topic);
        let found = (0..partitions).map(|p| segment::batches(&kafka.segment(&rig.site.topic, p))).collect();
        let damaged = Self { rig, contents, batches: found };
        assert!(damaged.batches.iter().all(|b| b.len() == batches), "{:?}", damaged.batches);
        damaged
    }

    /// Damages batches that lie beside each other.
    fn damage(
        &mut self,
        kafka: &Kafka,
        partition: i32,
        batches: std::ops::Range<usize>,
        how: fn(&std::path::Path, Batch),
    ) {
        let of_partition = &self.batches[usize::try_from(partition).unwrap()][batches];
        for batch in of_partition {
            how(&kafka.segment(&self.rig.site.topic, partition), *batch);
        }
        let range = (of_partition[0].first, of_partition.last().unwrap().last + 1);
        self.rig.destroyed.entry(partition).or_default().push(range);
    }

    fn offsets(&self) -> u64 {
        self.rig.destroyed.values().flatten().map(|(from, to)| from.abs_diff(*to)).sum()
    }

    /// Checks that the run stops at one of the ranges, with one sentence.
    fn assert_stops(&self, exit: &Exit, reason: &str) {
        exit.expect(DATA);
        let ranges =
            self.rig.destroyed.iter().flat_map(|(partition, all)| all.iter().map(move |range| (partition, range)));
        let sentences: Vec<String> = ranges
            .map(|(partition, (from, to))| {
                format!("{}-{partition}: offsets [{from}, {to}) can't be read from Kafka's log", self.rig.site.topic)
            })
            .collect();
        assert!(
            sentences.iter().any(|sentence| exit.stderr.contains(sentence)),
            "one of {sentences:?} in {}",
            exit.stderr
        );
        for said in [reason, "badRecords: {policy: Output} or {policy: Drop}"] {
            assert!(exit.stderr.contains(said), "`{said}` should be in {}", exit.stderr);
        }
    }

    /// Checks that each record was read once or destroyed, and that the table has what the oracle expects.
    fn assert_right(&self) {
        let outcome = self.rig.assert_right_of(&self.contents);
        let produced: usize = self.contents.values().map(|records| records.len()).sum();
        assert_eq!(
            (outcome.unreadable, outcome.read + outcome.unreadable),
            (self.offsets(), produced as u64),
            "{outcome:?}"
        );
        assert!(!outcome.rows.is_empty());
    }
}

#[test]
fn damaged_batches_stop_the_pipeline_or_are_left_out_alone_wherever_they_lie() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for (codec, policy) in [("none", BadRecords::Drop), ("lz4", BadRecords::Output)] {
        let mut damaged = Damaged::new(kafka, BadRecords::Fail, 3, 5, 60, codec);
        damaged.damage(kafka, 0, 0..1, segment::damage_records);
        damaged.damage(kafka, 1, 1..2, segment::damage_records);
        damaged.damage(kafka, 1, 3..4, segment::damage_records);
        damaged.damage(kafka, 2, 4..5, segment::damage_records);
        for _ in 0..2 {
            damaged.assert_stops(&damaged.rig.start().run(RUN_LIMIT), "CRC32C");
            assert!(damaged.rig.manifests().iter().all(|m| m.is_claim), "what stops the pipeline is not decided");
        }

        damaged.rig.pipeline.bad_records = policy;
        let killed = damaged.rig.start().fail_at("manifest.create.after", 1).run(RUN_LIMIT);
        assert!(killed.aborted(), "{}", killed.stderr);
        let exit = damaged.rig.finish();
        assert!(exit.stderr.contains("Weir reads it again, attempt 3 of 3"), "{}", exit.stderr);
        damaged.assert_right();
        let last = exit.progress.last().unwrap();
        assert_eq!(last["totals"]["recordsUnreadable"], damaged.offsets(), "{last}");
    }
}

/// The broker itself refuses to send the batch, and also what it finds only by starting there: the next batch except
/// its last record.
#[test]
fn a_batch_with_a_damaged_header_is_left_out_with_what_the_broker_finds_only_from_there() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut damaged = Damaged::new(kafka, BadRecords::Fail, 1, 40, 1, "none");
    damaged.damage(kafka, 0, 20..21, segment::damage_length);
    damaged.assert_stops(&damaged.rig.start().run(RUN_LIMIT), "");
    damaged.rig.pipeline.bad_records = BadRecords::Output;
    assert!(damaged.rig.start().fail_at("manifest.create.before", 2).run(RUN_LIMIT).aborted());
    damaged.rig.finish().expect(OK);
    damaged.assert_right();
}

#[test]
fn several_damaged_batches_beside_each_other_are_one_range_and_count_for_max_per_million() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut damaged = Damaged::new(kafka, BadRecords::OutputUpTo(119), 1, 6, 60, "lz4");
    damaged.damage(kafka, 0, 2..4, segment::damage_records);
    let exit = damaged.rig.start().run(RUN_LIMIT);
    assert!(exit.expect(DATA).stderr.contains("badRecords.maxPerMillion"), "{}", exit.stderr);
    damaged.rig.pipeline.bad_records = BadRecords::OutputUpTo(120);
    damaged.rig.finish();
    damaged.assert_right();
}
