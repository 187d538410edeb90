//! Topics that are written in transactions, on a real broker: aborted records are in the log, take up offsets, and must
//! not be read.

use serde_json::{Value as Json, json};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, ports};
use weir_tests::topic::{self, OpenTransaction, Record};
use weir_tests::{deadline, engine, or_skip, table, web};

#[test]
fn aborted_records_are_not_read_and_a_hole_at_the_end_does_not_hold_the_run() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &[]);
    let committed = Rides { partitions: 2, ..Rides::new(3_000) }.records();
    // These rides lie so far in the future that reading a single one would close every window. One partition has
    // nothing else.
    let aborted = Rides { partitions: 3, ..Rides::new(300) }.starting(1_000_000_000_000_000).records();
    let send = |records: &[Record], commit| {
        topic::produce_in_transaction(&rig.site.bootstrap, &rig.site.topic, records, commit)
    };
    send(&committed[..1_500], true);
    send(&aborted[..150], false);
    send(&committed[1_500..], true);
    send(&aborted[150..], false);

    assert_eq!(rig.finish_with_leaders_heard().figure("records_read"), 3_000);
    let outcome = rig.assert_right();
    assert!(outcome.rows.len() > 20, "the input should try something: {outcome:?}");
    assert_eq!(
        ends_of_the_last_manifest(&rig),
        topic::ends(&rig.site.bootstrap, &rig.site.topic, 3),
        "the holes at the end are passed"
    );

    assert_eq!(rig.finish().figure("records_read"), 0, "a hole is nothing new");
    send(&aborted[..150], false);
    assert_eq!(rig.finish().figure("records_read"), 0, "nor is another one");
    send(&Rides { partitions: 2, ..Rides::new(1_000) }.starting(3_000_000_000).records(), true);
    assert_eq!(rig.finish_with_leaders_heard().figure("records_read"), 1_000);
    assert!(rig.assert_right().rows.len() > outcome.rows.len());
}

/// The log of the third partition has offsets, but no record that a reader ever gets.
#[test]
fn a_partition_of_nothing_but_aborted_records_becomes_idle_and_holds_no_window() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline { idle_after_us: Some(1_000_000), ..Pipeline::rides() };
    let rig = Rig::new(pipeline, kafka, Store::Local, 3, &Rides { partitions: 2, ..Rides::ordered(3_000) }.records());
    let aborted: Vec<_> = Rides { partitions: 1, ..Rides::ordered(200) }
        .records()
        .into_iter()
        .map(|r| Record { partition: 2, ..r })
        .collect();
    topic::produce_in_transaction(&rig.site.bootstrap, &rig.site.topic, &aborted, false);
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(3_000, RUN_LIMIT);
    let idle =
        deadline::until("its partition is idle", RUN_LIMIT, || rig.manifests().pop().filter(|m| m.partitions[2].idle));
    assert_eq!(
        (idle.partitions[2].end, idle.partitions[2].watermark_us),
        (201, None),
        "behind the marker, and never read"
    );
    assert!(idle.watermark_after_us.is_some(), "{idle:?}");
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    assert!(rig.assert_right().rows.len() > 20, "its windows were closed");
}

fn ends_of_the_last_manifest(rig: &Rig) -> Vec<i64> {
    rig.manifests().last().unwrap().partitions.iter().map(|p| p.end).collect()
}

#[test]
fn a_transaction_left_open_holds_the_watermark_and_is_said_to_until_it_is_ended() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let pipeline = Pipeline { idle_after_us: Some(1_000_000), ..Pipeline::rides() };
    let both = Rides { partitions: 2, ..Rides::ordered(3_000) };
    let rig = Rig::new(pipeline, kafka, Store::Local, 2, &both.records());
    let address = format!("127.0.0.1:{}", ports::free());
    let mut run = rig.start_with(json!({"type": "AsSoonAsPossible"})).arg("--http").arg(&address).spawn();
    run.wait_for_records(3_000, RUN_LIMIT);
    let of_second = |count| {
        Rides { partitions: 1, ..Rides::ordered(count) }.records().into_iter().map(|r| Record { partition: 1, ..r })
    };
    let open = OpenTransaction::with(&rig.site.bootstrap, &rig.site.topic, &of_second(10).collect::<Vec<_>>());
    let held_by = || {
        let progress: Json = serde_json::from_str(&web::get(&address, "/progress").unwrap().body).unwrap();
        progress["sources"][0]["watermarkHeldBy"].clone()
    };
    deadline::until("the reason is seen while nothing comes", RUN_LIMIT, || {
        (held_by() == json!({"topic": rig.site.topic, "partition": 1, "because": "OpenTransaction"})).then_some(())
    });

    // The first partition goes on, far past the other's windows. On a slow machine the second one was idle before its
    // transaction was open, and the watermark is at the greater of the two; it must not move further.
    let before = rig.manifests().pop().unwrap();
    let bound_us = before.partitions.iter().map(|p| p.watermark_us).max().unwrap();
    rig.produce(&Rides { partitions: 1, ..Rides::ordered(1_000) }.starting(3_000_000_000).records());
    run.wait_for_records(4_000, RUN_LIMIT);
    let held = rig.manifests().pop().unwrap();
    assert!(
        !held.partitions[1].idle && held.watermark_after_us <= bound_us && bound_us < held.partitions[0].watermark_us,
        "{held:?}"
    );
    deadline::until("the reason is the same as before", RUN_LIMIT, || {
        (held_by()["because"] == "OpenTransaction").then_some(())
    });

    open.abort();
    deadline::until("the partition is idle", RUN_LIMIT, || rig.manifests().pop().filter(|m| m.partitions[1].idle));
    deadline::until("nothing holds any more but the first partition", RUN_LIMIT, || {
        (held_by()["partition"] != 1).then_some(())
    });
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);
    rig.finish();
    assert_eq!(rig.assert_right().read, 4_000);
}
