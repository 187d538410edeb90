//! Topics that are written in transactions, on a real broker: aborted records are there, take up offsets, and must not be seen.

use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record};
use weir_tests::{or_skip, table};

#[test]
fn aborted_records_are_not_read_and_a_hole_at_the_end_does_not_hold_the_run() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &[]);
    let committed = Rides { partitions: 2, ..Rides::new(3_000) }.records();
    // Far in the future, so that a single one that was read would close every window; one partition has nothing else.
    let aborted = Rides { partitions: 3, ..Rides::new(300) }.starting(1_000_000_000_000_000).records();
    let send = |records: &[Record], commit| topic::produce_in_transaction(&rig.site.bootstrap, &rig.site.topic, records, commit);
    send(&committed[..1_500], true);
    send(&aborted[..150], false);
    send(&committed[1_500..], true);
    send(&aborted[150..], false);

    assert_eq!(rig.finish().figure("records_read"), 3_000);
    let outcome = rig.assert_right();
    assert!(outcome.rows.len() > 20, "the input should try something: {outcome:?}");
    assert_eq!(ends_of_the_last_manifest(&rig), topic::ends(&rig.site.bootstrap, &rig.site.topic, 3), "the holes at the end are passed");

    assert_eq!(rig.finish().figure("records_read"), 0, "a hole is nothing new");
    send(&aborted[..150], false);
    assert_eq!(rig.finish().figure("records_read"), 0, "nor is another one");
    send(&Rides { partitions: 2, ..Rides::new(1_000) }.starting(3_000_000_000).records(), true);
    assert_eq!(rig.finish().figure("records_read"), 1_000);
    assert!(rig.assert_right().rows.len() > outcome.rows.len());
}

fn ends_of_the_last_manifest(rig: &Rig) -> Vec<i64> {
    rig.manifests().last().unwrap().partitions.iter().map(|p| p.end).collect()
}
