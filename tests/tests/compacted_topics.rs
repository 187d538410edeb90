//! Topics that a real broker compacts: the last record of each key stays, and the offsets of the others have no record.

use std::collections::BTreeMap;

use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Contents, Record};
use weir_tests::{deadline, or_skip, table};

const RECORDS: usize = 1_000;
const KEYS: usize = 250;

#[test]
fn compaction_under_a_pipeline_leaves_holes_that_are_no_gaps() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &of_few_keys(0));
    rig.site.records_per_epoch = RECORDS as u64;
    let (bootstrap, topic) = (rig.site.bootstrap.as_str(), rig.site.topic.as_str());
    // One epoch takes in everything.
    let reached: BTreeMap<i32, i64> = (0..).zip(topic::ends(bootstrap, topic, 2)).collect();
    assert!(rig.start().fail_at("manifest.create.after", 1).run(RUN_LIMIT).aborted());
    let taken: BTreeMap<i32, i64> =
        rig.manifests().last().unwrap().partitions.iter().map(|p| (p.partition, p.end)).collect();
    assert_eq!(taken, reached);
    // Compaction removes all of these records, since each key occurs again.
    rig.produce(&of_few_keys(1));
    rig.produce(&of_few_keys(2));
    let read = within(&topic::read(bootstrap, topic), |partition, offset| offset < reached[&partition]);

    // Only closed segments are compacted, and a record that comes late enough closes the segment before it.
    topic::configure(
        bootstrap,
        topic,
        &[("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")],
    );
    deadline::until("the next run begins at a hole in every partition", RUN_LIMIT, || {
        rig.produce(&of_few_keys(3)[..10]);
        let left = topic::read(bootstrap, topic);
        reached.iter().all(|(partition, next)| !left[partition].contains_key(next)).then_some(())
    });
    topic::configure(bootstrap, topic, &[("cleanup.policy", "delete")]);
    let left = topic::read(bootstrap, topic);

    rig.finish(); // reads to the end that the killed run had fixed
    rig.finish();
    let mut all_read = within(&left, |partition, offset| offset >= reached[&partition]);
    for (partition, records) in read {
        all_read.get_mut(&partition).unwrap().extend(records);
    }
    let outcome = rig.assert_right_of(&all_read);
    let ends = topic::ends(bootstrap, topic, 2);
    assert!(outcome.read < ends.iter().sum::<i64>().unsigned_abs(), "there should be holes: {outcome:?}");
    assert_eq!(rig.manifests().last().unwrap().partitions.iter().map(|p| p.end).collect::<Vec<_>>(), ends);
    assert!(!outcome.rows.is_empty(), "{outcome:?}");
}

/// The `n`th batch, which has every key twice in each partition.
fn of_few_keys(n: i64) -> Vec<Record> {
    let rides = Rides::new(RECORDS).starting(n * i64::try_from(RECORDS).unwrap() * 1_000_000).records();
    let placed = |(i, ride): (usize, Record)| Record {
        key: Some((i / 2 % KEYS).to_string()),
        partition: i32::try_from(i % 2).unwrap(),
        ..ride
    };
    rides.into_iter().enumerate().map(placed).collect()
}

fn within(contents: &Contents, wanted: impl Fn(i32, i64) -> bool) -> Contents {
    let mut found = contents.clone();
    for (partition, records) in &mut found {
        records.retain(|offset, _| wanted(*partition, *offset));
    }
    found
}
