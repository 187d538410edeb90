//! Tables that are older than their checkpoint, and epochs in doubt whose files are gone. A start refuses them and says
//! what to do, and then does exactly what a person chooses.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use weir_tests::engine::OK;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::s3;
use weir_tests::{or_skip, table};

use crate::old_checkpoints::{
    RIDES, acting, assert_refused, assert_refused_and_nothing_written, batch, rig, rig_on, shell,
};

/// Does two runs, and restores the table to its state after the first one. Returns the newest table, which lies beside
/// it.
fn put_back(rig: &Rig) -> PathBuf {
    let (copy, newest) = (rig.folder().join("copy-of-the-table"), rig.folder().join("newest-table"));
    rig.finish();
    shell("cp -a $0 $1", &[&rig.table_folder(), &copy]);
    rig.produce(&batch(1));
    rig.finish();
    shell("mv $0 $1; mv $2 $0", &[&rig.table_folder(), &newest, &copy]);
    newest
}

fn newest_epoch(table: &Path) -> u64 {
    *table::epochs(table).last().unwrap()
}

#[test]
fn a_table_that_is_put_back_from_an_old_copy_is_refused_and_the_newest_one_goes_on() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let newest = put_back(&rig);
    // One more ride for a window that stays open: the newest epoch has no rows, so no epoch is in doubt that the table
    // would have to take.
    shell("mv $0 $0-old; mv $1 $0", &[&rig.table_folder(), &newest]);
    rig.finish_in_parts(&[&batch(1)[RIDES - 1..]]);
    assert_eq!(rig.manifests().last().unwrap().committed_rows, 0);
    shell("mv $0 $1; mv $0-old $0", &[&rig.table_folder(), &newest]);
    rig.produce(&batch(2));
    let has =
        format!("has epoch {} as its newest of this pipeline, and has had epoch", newest_epoch(&rig.table_folder()));
    for _ in 0..2 {
        assert_refused_and_nothing_written(
            &rig,
            &[&has, "it was put back from an old copy", "put the newest copy of it back"],
        );
    }
    shell("rm -r $0; mv $1 $0", &[&rig.table_folder(), &newest]);
    rig.finish();
    rig.assert_right();
}

#[test]
fn a_restore_of_the_epoch_that_an_old_table_ends_with_brings_back_what_it_lacks_and_nothing_else() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    put_back(&rig);
    let epoch = newest_epoch(&rig.table_folder());
    assert_refused(&rig.start().run(RUN_LIMIT), &[&format!("`restore: {{epoch: {epoch}}}`")]);
    let restored = acting(&rig, json!({"token": "back", "restore": {"epoch": epoch}})).run(RUN_LIMIT);
    assert!(
        restored.expect(OK).stderr.contains("is not committed to sinks that do not have it"),
        "{}",
        restored.stderr
    );
    rig.assert_table_whole();
    rig.produce(&batch(2));
    rig.finish();
    rig.assert_table_whole();
}

/// The lineage that the action begins has no rows in the table yet, but the table must still have what the former
/// lineage had.
#[test]
fn a_table_that_is_put_back_between_a_state_action_and_its_first_rows_is_refused() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let newest = put_back(&rig);
    let old = rig.folder().join("old-table");
    shell("mv $0 $2; mv $1 $0", &[&rig.table_folder(), &newest, &old]);
    let epoch = rig.manifests().last().unwrap().epoch;
    let back = || acting(&rig, json!({"token": "back", "restore": {"epoch": epoch}}));
    rig.produce(&batch(2));
    assert!(back().fail_at("recover.after", 1).run(RUN_LIMIT).aborted());
    shell("mv $0 $1; cp -a $2 $0", &[&rig.table_folder(), &newest, &old]);
    let says = format!("has epoch {} as its newest of this pipeline, and has had epoch", newest_epoch(&old));
    assert_refused_and_nothing_written(
        &rig,
        &[&says, "it was put back from an old copy", "put the newest copy of it back"],
    );
    assert_refused(&back().run(RUN_LIMIT), &[&says]);
    shell("rm -r $0; mv $1 $0", &[&rig.table_folder(), &newest]);
    back().run(RUN_LIMIT).expect(OK);
    rig.assert_table_whole();
}

#[test]
fn a_table_that_another_engine_has_restored_to_an_older_version_is_gone_on_from() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    let (version, rows) =
        (table::history(&rig.table_folder()).last().unwrap().version, table::read_log(&rig.table_folder()).len());
    rig.produce(&batch(1));
    rig.finish();
    let more = table::read_log(&rig.table_folder()).len() - rows;
    table::restore(&rig.table_folder(), version);
    assert_eq!(table::read_log(&rig.table_folder()).len(), rows);
    rig.produce(&batch(2));
    rig.finish();
    let all = rig.outcome().rows.len();
    assert!(more > 0 && all > rows + more, "rows of each batch: {rows}, {more}, {all} in all");
    assert_eq!(table::read_log(&rig.table_folder()).len(), all - more, "what the other engine took away stays away");
}

/// Leaves an epoch that is decided and in no table, and deletes its files. Returns the epoch and the files.
fn lose_what_is_in_doubt(rig: &Rig) -> (u64, Vec<String>) {
    rig.finish();
    rig.produce(&batch(1));
    assert!(rig.start().fail_at("commit.before", 3).run(RUN_LIMIT).aborted());
    let epoch = rig.manifests().last().unwrap().epoch;
    let manifest =
        std::fs::read_to_string(rig.checkpoint_folder().join("epochs").join(format!("{epoch:020}.json"))).unwrap();
    let manifest: Json = serde_json::from_str(&manifest).unwrap();
    let adds = manifest["committables"][0]["payload"]["adds"].as_array().unwrap();
    let files: Vec<_> = adds.iter().map(|add| add["path"].as_str().unwrap().to_owned()).collect();
    for file in &files {
        std::fs::remove_file(rig.table_folder().join(file)).unwrap();
    }
    (epoch, files)
}

fn assert_given_up(kafka: &Kafka, store: Store<'_>) {
    let rig = rig_on(kafka, store);
    let (epoch, files) = lose_what_is_in_doubt(&rig);
    let in_table = table::history(&rig.table_folder()).len();
    for _ in 0..2 {
        assert_refused(
            &rig.start().run(RUN_LIMIT),
            &[&format!("epoch {epoch} of "), &files[0], "give this epoch's rows up"],
        );
        assert_eq!(table::history(&rig.table_folder()).len(), in_table, "no commit names a file that is not there");
    }
    // The epoch is given up even if the process is killed in between.
    let back = || acting(&rig, json!({"token": "back", "restore": {"epoch": epoch - 1}}));
    assert!(back().fail_at("recover.before", 1).run(RUN_LIMIT).aborted());
    let went_on = back().run(RUN_LIMIT);
    let says = format!(
        "rows of epoch {epoch}, which was decided before the state action, are given up (the epoch read {}-0 [",
        rig.site.topic
    );
    assert!(went_on.expect(OK).stderr.contains(&says) && went_on.stderr.contains(&files[0]), "{}", went_on.stderr);
    rig.assert_table_whole();
    rig.produce(&batch(2));
    rig.finish();
    rig.assert_table_whole();
}

#[test]
fn an_epoch_in_doubt_whose_files_are_gone_is_given_up_by_a_state_action_and_a_restore_brings_its_rows_again() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    assert_given_up(kafka, Store::Local);
}

#[test]
fn an_epoch_in_doubt_whose_files_are_gone_from_s3_is_given_up_by_a_state_action_as_well() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    assert_given_up(kafka, Store::S3(s3, None));
}

#[test]
fn an_epoch_in_doubt_for_a_table_that_is_gone_and_no_longer_named_is_given_up_by_a_state_action() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(kafka);
    lose_what_is_in_doubt(&rig);
    shell("rm -r $0", &[&rig.table_folder()]);
    rig.site.table_uri += "-elsewhere";
    assert_refused(
        &rig.start().run(RUN_LIMIT),
        &["which the document no longer names", "there is no table", "give these rows up"],
    );
    let went_on = acting(&rig, json!({"token": "on", "discard": {}})).run(RUN_LIMIT);
    assert!(went_on.expect(OK).stderr.contains("are given up (the epoch read"), "{}", went_on.stderr);
    rig.finish();
}
