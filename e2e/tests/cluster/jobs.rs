//! Pipelines that read everything that is there and end, with a Job for each run.

use serde_json::{Value, json};
use weir_e2e::cluster::{READ_LIMIT, Rig, START_LIMIT, rides};
use weir_tests::deadline;
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::rides::Rides;
use weir_tests::topic::Record;

/// Records of a long run. In epochs of 50 it takes seconds, so a test can act in the middle of the run.
const MANY: usize = 20_000;

fn rig(name: &str, records: &[Record]) -> Rig {
    let mut rig = Rig::new(name, records);
    run(&mut rig, "first");
    rig
}

/// Asks for another run.
fn run(rig: &mut Rig, token: &str) {
    rig.site.trigger = json!({"type": "AvailableNow", "runToken": token});
}

fn jobs(rig: &Rig) -> Vec<Value> {
    let list: Value = serde_json::from_str(&rig.kubectl(&["get", "jobs", "--output=json"])).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// Waits for the end of the run with this token.
fn wait_until_completed(rig: &Rig, token: &str) {
    deadline::until(&format!("the run {token} has ended"), READ_LIMIT, || {
        let run = rig.resource()["status"]["run"].clone();
        (run["id"] == token && run["completedAt"].is_string()).then_some(())
    });
    rig.wait_for("Ready", "True/Completed");
}

#[test]
fn a_run_ends_when_everything_is_read_and_a_new_token_reads_what_came_since() {
    let mut rig = rig("job", &rides(2_000).records());
    rig.applied(&rig.document());
    wait_until_completed(&rig, "first");
    assert_eq!(rig.assert_rows_right().read, 2_000);
    let first = jobs(&rig);
    assert_eq!(first.len(), 1, "{first:?}");
    rig.produce(&Rides { seed: 2, ..rides(1_500) }.starting(2_000_000_000).records());
    run(&mut rig, "second");
    rig.applied(&rig.document());
    wait_until_completed(&rig, "second");
    assert_eq!(rig.assert_rows_right().read, 3_500);
    rig.delete();
}

#[test]
fn a_finished_run_is_not_run_again_when_its_job_is_deleted_or_its_operator_is_new() {
    let rig = rig("job-deleted", &rides(1_000).records());
    rig.applied(&rig.document());
    wait_until_completed(&rig, "first");
    rig.produce(&Rides { seed: 2, ..rides(500) }.starting(1_000_000_000).records());
    rig.kubectl(&["delete", "jobs", "--all", "--timeout=60s"]);
    // One reconcile sees that the Job is gone, and another one comes from a new leader.
    rig.kubectl(&["annotate", "streampipeline", &rig.pipeline.name, "test=looked-at"]);
    let leader = weir_e2e::operator::leader();
    weir_e2e::cluster::kubectl(&["--namespace=weir", "delete", "pod", &leader, "--wait=false"]);
    weir_e2e::operator::wait_for_leader_other_than(&leader);
    let mut document = rig.document();
    document["spec"]["limits"]["recordsPerEpoch"] = json!(500);
    rig.applied(&document);
    deadline::until("the operator has seen the new document", START_LIMIT, || rig.condition("Ready"));
    assert_eq!((jobs(&rig), rig.condition("Ready").unwrap().0.as_str()), (Vec::new(), "True/Completed"));
    assert_eq!(rig.assert_rows_right().read, 1_000);
    weir_e2e::operator::wait_until_rolled_out();
}

#[test]
fn a_run_whose_pod_is_killed_goes_on_to_the_end_that_it_took() {
    let mut rig = rig("job-killed", &rides(MANY).records());
    rig.site.records_per_epoch = 50;
    rig.applied(&rig.document());
    for part in [1, 2] {
        deadline::until("some of it is read", READ_LIMIT, || (rig.records_committed() >= part * 500).then_some(()));
        let pod = rig.running_pod();
        // These records do not belong to this run, which has fixed its end offsets.
        rig.produce(&Rides { seed: 9, ..rides(300) }.starting(20_000_000_000).records());
        rig.delete_at_once(&pod);
        deadline::until("another pod", START_LIMIT, || rig.pods().iter().all(|(name, _)| *name != pod).then_some(()));
    }
    wait_until_completed(&rig, "first");
    assert_eq!(rig.assert_rows_right().read, MANY as u64);
    assert_eq!(jobs(&rig).len(), 1);
}

#[test]
fn a_run_is_suspended_and_resumed() {
    let mut rig = rig("job-suspend", &rides(MANY).records());
    rig.site.records_per_epoch = 50;
    rig.applied(&rig.document());
    deadline::until("some of it is read", READ_LIMIT, || (rig.records_committed() > 0).then_some(()));
    rig.suspend(true);
    rig.wait_for("Ready", "True/Suspended");
    // No pod runs any more, but the object of a pod that has ended may still be in deletion.
    deadline::until("no pod is left", READ_LIMIT, || rig.pods().is_empty().then_some(()));
    let read = rig.assert_rows_right().read;
    assert!((1..MANY as u64).contains(&read), "{read}");
    rig.suspend(false);
    wait_until_completed(&rig, "first");
    assert_eq!(rig.assert_rows_right().read, MANY as u64);
}

#[test]
fn a_changed_document_ends_the_job_of_the_old_one_and_the_run_goes_on() {
    let mut rig = rig("job-change", &rides(MANY).records());
    rig.site.records_per_epoch = 50;
    rig.applied(&rig.document());
    deadline::until("some of it is read", READ_LIMIT, || (rig.records_committed() > 0).then_some(()));
    let before = rig.pods();
    rig.site.records_per_epoch = 400;
    rig.applied(&rig.document());
    rig.wait_until_gone(&before);
    wait_until_completed(&rig, "first");
    assert_eq!(rig.assert_rows_right().read, MANY as u64);
}

#[test]
fn a_run_that_a_person_must_mend_is_said_and_goes_on_when_it_is_mended() {
    let mut records = rides(500).records();
    records[250].value = b"{".to_vec();
    let mut rig = rig("job-bad", &records);
    rig.applied(&rig.document());
    let message = rig.wait_for("Stalled", "True/BadRecord");
    assert!(message.contains(&rig.site.topic), "{message}");
    rig.pipeline.bad_records = BadRecords::Drop;
    rig.applied(&rig.document());
    wait_until_completed(&rig, "first");
    assert_eq!(rig.assert_rows_right().read, 500);
}

#[test]
fn from_a_run_to_an_endless_pipeline_and_back() {
    let mut rig = rig("job-endless", &rides(500).records());
    rig.applied(&rig.document());
    wait_until_completed(&rig, "first");
    rig.site.trigger = json!({"type": "AsSoonAsPossible"});
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    deadline::until("no Job", START_LIMIT, || jobs(&rig).is_empty().then_some(()));
    rig.produce(&Rides { seed: 2, ..rides(500) }.starting(500_000_000).records());
    rig.wait_until_read();
    run(&mut rig, "second");
    rig.applied(&rig.document());
    wait_until_completed(&rig, "second");
    assert_eq!(rig.assert_rows_right().read, 1_000);
}

#[test]
fn a_schedule_starts_a_run_each_time_and_each_reads_what_came_since() {
    let mut rig = Rig::new("job-schedule", &rides(1_000).records());
    rig.site.trigger = json!({"type": "AvailableNow", "schedule": "* * * * *"});
    rig.applied(&rig.document());
    let completed = |not: &str| {
        deadline::until("a run of the schedule has ended", READ_LIMIT, || {
            let run = rig.resource()["status"]["run"].clone();
            let id = run["id"].as_str().filter(|id| *id != not)?.to_owned();
            run["completedAt"].is_string().then_some(id)
        })
    };
    let first = completed("");
    rig.produce(&Rides { seed: 2, ..rides(500) }.starting(1_000_000_000).records());
    let second = completed(&first);
    assert!(first < second, "named by their due times: {first}, {second}");
    rig.suspend(true);
    assert_eq!(rig.assert_rows_right().read, 1_500);
}
