//! `spec.stateAction`: discarding state and restoring an earlier epoch, in the middle of a topic.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

const SECOND_US: i64 = 1_000_000;
const RIDES: usize = 3_000;

fn rig(kafka: &kafka::Kafka) -> Rig {
    rig_of(kafka, Rides::new(RIDES))
}

/// A rig with rides in order, so that nothing is late, however epochs are cut.
fn ordered_rig(kafka: &kafka::Kafka) -> Rig {
    rig_of(kafka, Rides::ordered(RIDES))
}

fn rig_of(kafka: &kafka::Kafka, rides: Rides) -> Rig {
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &Rides { partitions: 3, ..rides }.records());
    rig.site.records_per_epoch = 300;
    rig
}

/// Produces as many rides again, later in event time.
fn more(rig: &Rig) {
    rig.produce(
        &Rides { partitions: 3, ..Rides::new(RIDES) }.starting(i64::try_from(RIDES).unwrap() * SECOND_US).records(),
    );
}

fn acting(rig: &Rig, action: Json) -> Start {
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["stateAction"] = action;
    Start { document: document.into(), ..rig.start() }
}

fn lineages(rig: &Rig) -> usize {
    rig.manifests().iter().map(|m| m.lineage.clone()).collect::<BTreeSet<_>>().len()
}

#[test]
fn discarded_state_is_gone_once_and_reading_goes_on_where_it_was() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    let open = rig.manifests().last().unwrap().open_windows;
    assert!(open > 0, "something should be there to discard");
    more(&rig);
    let discard = json!({"token": "a", "discard": {}});
    let discarded = acting(&rig, discard.clone()).run(RUN_LIMIT);
    discarded.expect(OK);
    assert!(discarded.stderr.contains("windows that were open are lost"), "{}", discarded.stderr);
    rig.assert_right();
    // With the same token again, and then with none, nothing more is discarded.
    more(&rig);
    acting(&rig, discard).run(RUN_LIMIT).expect(OK);
    rig.finish();
    rig.assert_right();
    assert_eq!(lineages(&rig), 2);
}

#[test]
fn a_restored_epoch_is_gone_on_from_and_what_came_after_it_comes_again() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = ordered_rig(kafka);
    rig.finish();
    let before = rig.assert_right();
    let manifests = rig.manifests();
    let (epoch, last) = (manifests[manifests.len() / 2].epoch, manifests.last().unwrap().epoch);
    assert!(epoch + 1 < last, "{epoch} of {last} should be in the middle");

    let refused = acting(&rig, json!({"token": "a", "restore": {"epoch": last + 1}})).run(RUN_LIMIT);
    refused.expect(CONFIG);
    assert!(refused.stderr.contains("spec.stateAction.restore.epoch: found"), "{}", refused.stderr);

    acting(&rig, json!({"token": "b", "restore": {"epoch": epoch}})).run(RUN_LIMIT).expect(OK);
    let outcome = rig.assert_right_of(&weir_tests::topic::read(&rig.site.bootstrap, &rig.site.topic));
    assert!(outcome.rows.len() > before.rows.len(), "rows of later epochs should have come again");
    assert_eq!(outcome.groups_open, before.groups_open, "in the end there is what there was");
}

#[test]
fn discarding_the_offsets_too_reads_from_the_start_again() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = ordered_rig(kafka);
    rig.finish();
    let once = table::read_log(&rig.table_folder()).len();
    acting(&rig, json!({"token": "a", "discard": {"offsets": "StartFrom"}})).run(RUN_LIMIT).expect(OK);
    let outcome = rig.assert_right_of(&weir_tests::topic::read(&rig.site.bootstrap, &rig.site.topic));
    assert_eq!(outcome.read, 2 * RIDES as u64);
    assert_eq!(outcome.rows.len(), 2 * once);
}

#[test]
fn an_epoch_that_was_decided_before_the_action_is_committed_and_a_kill_in_the_middle_changes_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    // An epoch is decided, and in no table yet.
    assert!(rig.start().fail_at("commit.before", 2).run(RUN_LIMIT).aborted());
    let discard = || acting(&rig, json!({"token": "a", "discard": {}}));
    for point in ["claim.before", "claim.after", "recover.before", "commit.sink.after", "manifest.create.after"] {
        assert!(discard().fail_at(point, 1).run(RUN_LIMIT).aborted(), "{point}");
    }
    discard().run(RUN_LIMIT).expect(OK);
    rig.assert_right();
    assert_eq!(lineages(&rig), 2);
}

#[test]
fn a_table_that_was_made_anew_is_written_to_after_an_action_and_rows_for_the_old_one_are_gone_with_it() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = ordered_rig(kafka);
    rig.site.records_per_epoch = 1_000;
    // The epoch's rows are in no table yet.
    assert!(rig.start().fail_at("commit.before", 3).run(RUN_LIMIT).aborted());
    std::fs::remove_dir_all(rig.table_folder()).unwrap();
    let refused = rig.start().run(RUN_LIMIT);
    refused.expect(CONFIG);
    assert!(refused.stderr.contains("there is no table at"), "{}", refused.stderr);
    more(&rig);
    let goes_on = acting(&rig, json!({"token": "a", "discard": {}})).run(RUN_LIMIT);
    goes_on.expect(OK);
    assert!(goes_on.stderr.contains("the rows were for the table at"), "{}", goes_on.stderr);
    let of_the_new_lineage: u64 = {
        let manifests = rig.manifests();
        let lineage = manifests.last().unwrap().lineage.clone();
        manifests.iter().filter(|m| m.lineage == lineage).map(|m| m.committed_rows).sum()
    };
    assert!(of_the_new_lineage > 0, "some windows should have closed since");
    assert_eq!(table::read_log(&rig.table_folder()).len() as u64, of_the_new_lineage);
}
