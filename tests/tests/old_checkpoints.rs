//! Checkpoints and tables that people move, copy and delete. A start over a checkpoint that did not write the table is
//! refused before it writes anything, with a message that says what to do.

use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, Exit, FENCED, OK, Start};
use weir_tests::oracle::{Pipeline, assert_same_rows};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::Record;
use weir_tests::{engine, or_skip, table};

pub(crate) const RIDES: usize = 1_500;
const AS_SOON_AS_POSSIBLE: &str = "AsSoonAsPossible";

/// The `n`th batch of rides, in order, so that nothing is late.
pub(crate) fn batch(n: i64) -> Vec<Record> {
    let rides = Rides { partitions: 1, ..Rides::ordered(RIDES) };
    rides.starting(n * i64::try_from(RIDES).unwrap() * 1_000_000).records()
}

pub(crate) fn rig(kafka: &Kafka) -> Rig {
    rig_on(kafka, Store::Local)
}

pub(crate) fn rig_on(kafka: &Kafka, store: Store<'_>) -> Rig {
    let mut rig = Rig::new(Pipeline::rides(), kafka, store, 1, &batch(0));
    rig.site.records_per_epoch = 300;
    rig
}

/// Runs to the end once per batch, and returns a copy of the checkpoint after the first run.
fn run_and_copy(rig: &Rig) -> std::path::PathBuf {
    rig.finish();
    let copy = rig.folder().join("copy-of-the-checkpoint");
    shell("cp -a $0 $1", &[&rig.checkpoint_folder(), &copy]);
    rig.produce(&batch(1));
    rig.finish();
    copy
}

pub(crate) fn shell(script: &str, paths: &[&Path]) {
    let status = Command::new("sh").arg("-c").arg(format!("set -e; {script}")).args(paths).status().unwrap();
    assert!(status.success(), "{script} {paths:?}");
}

pub(crate) fn assert_refused(exit: &Exit, says: &[&str]) {
    exit.expect(CONFIG);
    assert!(says.iter().all(|words| exit.stderr.contains(words)), "{}", exit.stderr);
}

/// Checks that a start is refused with these words, and changes nothing in the checkpoint and the table.
pub(crate) fn assert_refused_and_nothing_written(rig: &Rig, says: &[&str]) {
    let stand = || (files(&rig.checkpoint_folder()), files(&rig.table_folder()));
    let before = stand();
    assert_refused(&rig.start().run(RUN_LIMIT), says);
    assert_eq!(stand(), before);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let below = entries.map(|entry| entry.unwrap().path()).flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path.display().to_string()],
    });
    let mut all: Vec<_> = below.collect();
    all.sort();
    all
}

pub(crate) fn acting(rig: &Rig, action: Json) -> Start {
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["stateAction"] = action;
    Start { document: document.into(), ..rig.start() }
}

#[test]
fn an_old_copy_of_the_checkpoint_is_refused_and_the_newest_one_goes_on() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let copy = run_and_copy(&rig);
    let newest = rig.folder().join("newest");
    shell("mv $0 $1; cp -a $2 $0", &[&rig.checkpoint_folder(), &newest, &copy]);
    rig.produce(&batch(2));
    for _ in 0..2 {
        assert_refused_and_nothing_written(
            &rig,
            &["it was put back from an old copy, or has lost its newest epochs", "spec.stateAction"],
        );
    }
    shell("rm -r $0; mv $1 $0", &[&rig.checkpoint_folder(), &newest]);
    rig.finish();
    rig.assert_right();
}

#[test]
fn a_person_may_go_on_from_an_old_copy_and_then_it_goes_on_by_itself() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let copy = run_and_copy(&rig);
    shell("rm -r $0; mv $1 $0", &[&rig.checkpoint_folder(), &copy]);
    acting(&rig, json!({"token": "go-on", "discard": {}})).run(RUN_LIMIT).expect(OK);
    rig.produce(&batch(2));
    rig.finish();
    let since: u64 = {
        let manifests = rig.manifests();
        let lineage = manifests.last().unwrap().lineage.clone();
        manifests.iter().filter(|m| m.lineage == lineage).map(|m| m.committed_rows).sum()
    };
    assert!(since > 0, "the new lineage should have written rows");
}

#[test]
fn a_checkpoint_that_lost_its_newest_manifest_or_all_of_them_is_refused() {
    let kafka = or_skip!(kafka::shared());
    let rig = rig(kafka);
    rig.finish();
    let newest = rig.manifests().into_iter().rfind(|m| m.committed_rows > 0).unwrap().epoch;
    for lost in rig.manifests().iter().map(|m| m.epoch).filter(|epoch| *epoch >= newest) {
        std::fs::remove_file(rig.checkpoint_folder().join("epochs").join(format!("{lost:020}.json"))).unwrap();
    }
    assert_refused_and_nothing_written(
        &rig,
        &[&format!("holds epoch {newest} of this pipeline"), "has lost its newest epochs"],
    );
    shell("rm -r $0/epochs", &[&rig.checkpoint_folder()]);
    assert_refused_and_nothing_written(&rig, &[&format!("holds epoch {newest} of this pipeline"), "has no epochs"]);
}

#[test]
fn a_new_checkpoint_over_a_table_of_an_earlier_one_waits_for_a_person_and_leaves_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    let once = table::read_log(&rig.table_folder()).len();
    shell("rm -r $0", &[&rig.checkpoint_folder()]);
    assert_refused_and_nothing_written(
        &rig,
        &["of an earlier checkpoint of this pipeline", "say with spec.stateAction"],
    );
    assert_eq!(files(&rig.checkpoint_folder()), Vec::<String>::new());
    let told = || acting(&rig, json!({"token": "again", "discard": {}}));
    told().run(RUN_LIMIT).expect(OK);
    assert_eq!(table::read_log(&rig.table_folder()).len(), 2 * once, "all of it was read again, as the person said");
    rig.finish();
    // The same token does not excuse it a second time.
    shell("rm -r $0", &[&rig.checkpoint_folder()]);
    assert_refused(&told().run(RUN_LIMIT), &["of an earlier checkpoint of this pipeline"]);
}

#[test]
fn a_token_that_comes_back_after_another_one_reads_nothing_again() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    let once = table::read_log(&rig.table_folder()).len();
    let from_the_start = || acting(&rig, json!({"token": "a", "discard": {"offsets": "StartFrom"}}));
    from_the_start().run(RUN_LIMIT).expect(OK);
    acting(&rig, json!({"token": "b", "discard": {}})).run(RUN_LIMIT).expect(OK);
    let back = from_the_start().run(RUN_LIMIT);
    back.expect(OK);
    assert!(back.stderr.contains("state action `a` was done before, and others since"), "{}", back.stderr);
    assert_eq!(table::read_log(&rig.table_folder()).len(), 2 * once);
}

/// Halts a run when it has read the second batch, but written nothing of it.
fn halted_with_the_second_batch_in_hand(rig: &Rig) -> engine::Engine {
    let mut run = rig.start_with(json!({"type": AS_SOON_AS_POSSIBLE})).arg("--lanes").arg("1").spawn();
    run.wait_for_records(RIDES as u64, RUN_LIMIT);
    run.stop();
    run.wait_until_stopped(RUN_LIMIT);
    rig.produce(&batch(1));
    run
}

#[test]
fn a_table_that_is_moved_away_under_its_writer_stops_it_before_anything_is_decided_and_is_whole_when_it_is_put_back() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let away = rig.folder().join("away");
    let run = halted_with_the_second_batch_in_hand(&rig);
    shell("mv $0 $1", &[&rig.table_folder(), &away]);
    run.cont();
    assert_refused(&run.wait(RUN_LIMIT), &["is gone: its log is empty; restore it"]);
    // Nor is another table created in its place.
    shell("rm -rf $0", &[&rig.table_folder()]);
    assert_refused(&rig.start().run(RUN_LIMIT), &["there is no table at", "put it back"]);
    assert!(!rig.table_folder().exists(), "nothing was made");
    shell("mv $0 $1", &[&away, &rig.table_folder()]);
    rig.finish();
    rig.assert_right();
}

#[test]
fn files_that_were_written_while_the_table_was_away_are_never_committed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    rig.produce(&batch(1));
    let away = rig.folder().join("away");
    // An epoch is decided and in no table yet. Then its files are deleted, with the folder in which they were written.
    assert!(rig.start().fail_at("commit.before", 2).run(RUN_LIMIT).aborted());
    let named: Vec<_> = table::history(&rig.table_folder()).iter().map(|v| v.version).collect();
    shell(
        "cp -a $0 $1; find $1 -name '*.parquet' -newer $(ls -t $1/_delta_log/*.json | head -n 1) -delete; mv $0 \
         $0-broken; mv $1 $0",
        &[&rig.table_folder(), &away],
    );
    let missing = rig.start().run(RUN_LIMIT);
    assert_refused(&missing, &["is not in", "and its file", "put what is missing back"]);
    let after: Vec<_> = table::history(&rig.table_folder()).iter().map(|v| v.version).collect();
    assert_eq!(after, named, "no commit names a file that is not there");
    shell("rm -r $0; mv $0-broken $0", &[&rig.table_folder()]);
    rig.finish();
    rig.assert_right();
}

#[test]
fn a_checkpoint_that_is_deleted_while_the_pipeline_runs_stops_it_with_a_sentence() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let run = halted_with_the_second_batch_in_hand(&rig);
    let before = table::read_log(&rig.table_folder());
    shell("rm -r $0", &[&rig.checkpoint_folder()]);
    run.cont();
    assert_refused(
        &run.wait(RUN_LIMIT),
        &["although no other writer has taken over", "was deleted or replaced while this pipeline ran"],
    );
    assert_same_rows(&before, &table::read_log(&rig.table_folder()));
    assert!(
        !rig.checkpoint_folder().join("epochs").exists() || rig.manifests().is_empty(),
        "it leaves no manifest of nobody's"
    );
}

#[test]
fn a_checkpoint_that_is_deleted_by_weir_fences_what_still_runs() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for halted in [true, false] {
        let rig = rig(kafka);
        let mut run = halted_with_the_second_batch_in_hand(&rig);
        let before = table::read_log(&rig.table_folder());
        let file = rig.folder().join("deleted.yaml");
        std::fs::write(&file, rig.pipeline.document(&rig.site).to_string()).unwrap();
        if !halted {
            // The run has decided its next epoch when the removal begins.
            let _ = run.kill();
            run = rig.start().stop_at("manifest.create.before", 1).spawn();
            run.wait_until_stopped(RUN_LIMIT);
        }
        let out = engine::call(&["checkpoint", "delete", "-f", &file.to_string_lossy()]);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let failed = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            said.contains("it was claimed first, as epoch") && said.contains("stops at its next epoch"),
            "{said}{failed}"
        );
        run.cont();
        let exit = run.wait(RUN_LIMIT);
        assert!([Some(CONFIG), Some(FENCED)].contains(&exit.code), "{exit:?}");
        assert_same_rows(&before, &table::read_log(&rig.table_folder()));
        // A state file may have been in upload when the run was killed; no manifest names it.
        let stay: Vec<_> =
            files(&rig.checkpoint_folder()).into_iter().filter(|path| !path.contains("/state/")).collect();
        assert_eq!(stay, Vec::<String>::new());
    }
}

#[test]
fn a_start_that_is_refused_leaves_nothing_behind() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka);
    rig.site.topic = "no-such-topic".into();
    assert_refused(&rig.start().run(RUN_LIMIT), &["no-such-topic"]);
    assert!(!rig.table_folder().exists(), "no table was made");
}

#[test]
fn a_manifest_that_is_torn_or_changed_is_named() {
    let kafka = or_skip!(kafka::shared());
    let rig = rig(kafka);
    rig.finish();
    let newest = rig.manifests().last().unwrap().epoch;
    let file = rig.checkpoint_folder().join("epochs").join(format!("{newest:020}.json"));
    let whole = std::fs::read_to_string(&file).unwrap();
    let changed = whole.replacen("\"read\":", "\"reed\":", 1);
    for damaged in [&whole[..whole.len() / 2], &changed] {
        std::fs::write(&file, damaged).unwrap();
        assert_refused(
            &rig.start().run(RUN_LIMIT),
            &[&format!("epochs/{newest:020}.json is damaged"), "put the object back as it was written"],
        );
    }
    std::fs::write(&file, whole).unwrap();
    rig.finish();
}

#[test]
fn a_checkpoint_of_a_cluster_is_not_taken_over_by_a_laptop() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    rig.start().env("WEIR_NAMESPACE", "data").run(RUN_LIMIT).expect(OK);
    assert_refused(
        &rig.start().run(RUN_LIMIT),
        &["belongs to the pipeline in the namespace `data`, and this run is on no cluster"],
    );
    assert_refused(
        &rig.start().env("WEIR_NAMESPACE", "staging").run(RUN_LIMIT),
        &["this run is in the namespace `staging`"],
    );
    rig.produce(&batch(1));
    rig.start().env("WEIR_NAMESPACE", "data").run(RUN_LIMIT).expect(OK);
    rig.assert_right();
}
