#![allow(clippy::unwrap_used)]

mod applying;
mod runs;

use serde_json::{Value, json};
use weir_crds::resource::{Status, StreamPipeline};
use weir_plan::report::{Because, Hold, Kind, Offsets, Report, SchemaWait, Source};

use super::{Facts, status};
use crate::fixtures::{at, cluster_running, empty_cluster, owner, pod, rides, rides_with, verdict};
use crate::marks::{Failed, Good};
use crate::observed::Observed;
use crate::runs::decide;

const NOW: &str = "2026-01-01T12:00:00Z";

/// The report of a runtime, with these facts in place of its own.
fn report(committed: &str, rate: f64, lag: i64) -> Report {
    let mut report: Report = serde_json::from_str(include_str!("../../../plan/fixtures/report.json")).unwrap();
    report.timestamp = committed.to_owned();
    report.batch_id = 7;
    (report.input_rows_per_second, report.processed_rows_per_second) = (rate, 2.0 * rate);
    report.event_time.watermark = Some("2026-01-01T11:50:00.000Z".into());
    report.sinks[0].table_version = Some(4);
    (report.totals.tombstones_skipped, report.totals.records_dropped) = (5, 2);
    report.totals.num_rows_dropped_by_watermark = 1;
    report.state_stored_bytes = 1000;
    report.sources = vec![source("rides", rate, "2026-01-01T11:50:00.000Z", lag)];
    report
}

/// The report of a source with one partition, which holds the source's watermark.
fn source(name: &str, rate: f64, watermark: &str, lag: i64) -> Source {
    let offsets = |offset: i64| Offsets::from([(name.to_owned(), [("0".to_owned(), offset)].into())]);
    let report: Report = serde_json::from_str(include_str!("../../../plan/fixtures/report.json")).unwrap();
    Source {
        name: name.into(),
        input_rows_per_second: rate,
        watermark: Some(watermark.into()),
        watermark_held_by: Some(Hold { topic: name.into(), partition: 0, because: Because::Slowest }),
        end_offset: offsets(100 - lag),
        latest_offset: offsets(100),
        ..report.sources[0].clone()
    }
}

fn found(pipeline: &StreamPipeline, observed: &Observed, report: Option<&Report>, unreachable: Option<&str>) -> Status {
    let (owner, verdict) = (owner(), verdict(pipeline, observed));
    let target = verdict.target.as_ref();
    let runs = target.and_then(|target| decide(pipeline, &owner, target, &observed.jobs, verdict.suspend, at(NOW).0));
    status(&Facts {
        pipeline,
        owner: &owner,
        verdict: &verdict,
        observed,
        report,
        unreachable,
        failure: None,
        runs: runs.as_ref(),
        now: at(NOW),
    })
}

/// Compares some of the conditions, given as `Type=Status/Reason`.
fn assert_conditions(status: &Status, expected: &[&str]) {
    let found = status.conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason));
    let wanted = |text: &String| expected.iter().any(|e| e.split('=').next() == text.split('=').next());
    assert_eq!(found.filter(wanted).collect::<Vec<_>>(), expected, "{:#?}", status.conditions);
}

fn failing(end: Value) -> Status {
    let mut observed = cluster_running(&rides());
    observed.pods = vec![pod(json!({"waiting": {"reason": "CrashLoopBackOff"}}), false)];
    let container = &mut observed.pods[0].status.as_mut().unwrap().container_statuses.as_mut().unwrap()[0];
    container.last_state = Some(serde_json::from_value(json!({"terminated": end})).unwrap());
    found(&rides(), &observed, None, None)
}

/// A pipeline that is applied, runs, is changed, suspended and resumed: the conditions and events of each moment.
#[test]
fn a_life_in_conditions_and_events() {
    let committed = report("2026-01-01T11:59:58Z", 50.4, 0);
    let claimed = Report { kind: Kind::Claim, ..report("2026-01-01T11:59:58Z", 0.0, 9) };
    let running = cluster_running(&rides());
    let mut without_secret = empty_cluster();
    without_secret.secrets.insert("lake".into(), None);
    let mut without_pods = cluster_running(&rides());
    without_pods.pods.clear();
    let wrong = rides_with("/steps/0/map/where", json!("prise > 0"));
    let unfit = rides_with("/steps/1/aggregate/window/tumbling/size", json!("7m"));
    let suspended = rides_with("/suspend", json!(true));
    let moments = [
        ("applied before its Secret", rides(), &without_secret, None, None),
        ("the Secret is there, and a pod starts", rides(), &running, None, None),
        ("the checkpoint is claimed", rides(), &running, Some(&claimed), None),
        ("an epoch is committed", rides(), &running, Some(&committed), None),
        ("nothing has changed", rides(), &running, Some(&committed), None),
        ("a change that is wrong", wrong, &running, Some(&committed), None),
        ("a change that saved state does not fit", unfit, &running, Some(&committed), None),
        ("the change is undone", rides(), &running, Some(&committed), None),
        ("the runtime does not answer", rides(), &running, None, Some("no answer within 2 s")),
        ("suspending", suspended.clone(), &running, None, None),
        ("suspended", suspended, &without_pods, None, None),
        ("resumed", rides(), &running, None, None),
    ];
    let (mut life, mut before) = (String::new(), None::<Status>);
    for (moment, mut pipeline, observed, report, unreachable) in moments {
        pipeline.status = before.clone();
        let now = found(&pipeline, observed, report, unreachable);
        life += &format!("# {moment}\n\n");
        life.extend(now.conditions.iter().map(|c| format!("{}={}/{}: {}\n", c.type_, c.status, c.reason, c.message)));
        let conditions_before = before.as_ref().map_or(&[][..], |status| &status.conditions);
        let events = super::events(conditions_before, &now.conditions);
        life.extend(events.map(|(kind, c)| format!("{kind:?} event {}: {}\n", c.reason, c.message)));
        life.push('\n');
        before = Some(now);
    }
    insta::assert_snapshot!(life);
}

#[test]
fn running() {
    let status = found(&rides(), &cluster_running(&rides()), Some(&report("2026-01-01T11:59:58Z", 50.4, 0)), None);
    assert_conditions(
        &status,
        &[
            "Ready=True/Running",
            "Reconciling=False/UpToDate",
            "Stalled=False/UpToDate",
            "Validated=True/Valid",
            "DataFlowing=True/RecordsArriving",
            "WatermarkAdvancing=True/Advancing",
            "Suspended=False/NotSuspended",
        ],
    );
    let progress = status.progress.unwrap();
    assert_eq!(
        (progress.input_rows_per_second, progress.lag, progress.last_epoch, progress.open_windows),
        (50, 0, 7, 3)
    );
}

#[test]
fn a_runtime_is_starting_until_it_has_claimed_its_checkpoint_and_then_says_what_waits() {
    let observed = cluster_running(&rides());
    assert_conditions(&found(&rides(), &observed, None, None), &["Ready=False/Starting", "Reconciling=True/Starting"]);
    let mut claimed = report("2026-01-01T11:59:58Z", 0.0, 9);
    claimed.kind = Kind::Claim;
    let status = found(&rides(), &observed, Some(&claimed), None);
    assert_conditions(&status, &["Ready=True/Running", "Reconciling=False/UpToDate", "Stalled=False/UpToDate"]);
    assert_eq!(status.conditions[0].message, "the checkpoint is claimed as epoch 7, and 9 records wait");
    claimed.timestamp = "2026-01-01T11:58:00Z".into();
    assert_conditions(&found(&rides(), &observed, Some(&claimed), None), &["Ready=False/EpochOverdue"]);
}

#[test]
fn a_quiet_topic_is_no_failure() {
    let status = found(&rides(), &cluster_running(&rides()), Some(&report("2026-01-01T03:00:00Z", 50.0, 0)), None);
    assert_conditions(&status, &["Ready=True/Running", "Stalled=False/UpToDate", "DataFlowing=Unknown/NoRecords"]);
}

#[test]
fn records_that_wait_while_nothing_is_committed_are_a_failure() {
    let status = found(&rides(), &cluster_running(&rides()), Some(&report("2026-01-01T11:58:00Z", 50.0, 9)), None);
    assert_conditions(&status, &["Ready=False/EpochOverdue"]);
}

#[test]
fn an_epoch_that_can_t_be_committed_is_a_failure_though_no_lag_is_known() {
    for (since, expected) in
        [("2026-01-01T11:58:50Z", "Ready=False/EpochOverdue"), ("2026-01-01T11:59:30Z", "Ready=True/Running")]
    {
        let pending = serde_json::from_value(json!({"since": since, "records": 3})).unwrap();
        let report = Report { pending: Some(pending), ..report("2026-01-01T03:00:00Z", 50.0, 0) };
        let status = found(&rides(), &cluster_running(&rides()), Some(&report), None);
        assert_conditions(&status, &[expected]);
    }
}

#[test]
fn a_refused_change_is_stalled_while_the_old_document_is_ready() {
    let pipeline = rides_with("/steps/1/aggregate/window/tumbling/size", json!("7m"));
    let status = found(&pipeline, &cluster_running(&rides()), Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), None);
    assert_conditions(&status, &["Ready=True/Running", "Stalled=True/StateIncompatible", "Validated=True/Valid"]);
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(2)));
    assert_eq!(status.runtime.unwrap().generation, 1);
}

#[test]
fn what_may_not_be_meant_is_in_the_condition_of_a_valid_document() {
    let mut pipeline = rides();
    pipeline.spec["storage"].as_array_mut().unwrap().push(json!({"uriPrefix": "s3://lakes/", "s3": {}}));
    let status = found(&pipeline, &empty_cluster(), None, None);
    assert_conditions(&status, &["Stalled=False/UpToDate", "Validated=True/Valid"]);
    let validated = status.conditions.iter().find(|condition| condition.type_ == "Validated").unwrap();
    assert_eq!(
        validated.message,
        "the document, its Secrets and its checkpoint are right\n\
         warning: spec.storage[1].uriPrefix: no URI of the document lies in `s3://lakes/`, so the entry is used for \
         nothing, and other settings are for the document's URIs: leave the entry out"
    );
}

#[test]
fn a_wrong_first_document_is_not_ready_and_stalled() {
    let status = found(&rides_with("/sinks/0/from", json!("nowhere")), &empty_cluster(), None, None);
    let expected = [
        "Ready=False/InvalidDocument",
        "Reconciling=False/UpToDate",
        "Stalled=True/InvalidDocument",
        "Validated=False/InvalidDocument",
    ];
    assert_conditions(&status, &expected);
}

#[test]
fn progress_that_cannot_be_read_is_unknown_and_the_last_one_stays() {
    let mut pipeline = rides();
    let observed = cluster_running(&pipeline);
    pipeline.status = Some(found(&pipeline, &observed, Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), None));
    let status = found(&pipeline, &observed, None, Some("no answer"));
    assert_conditions(&status, &["Ready=Unknown/Unreachable", "DataFlowing=Unknown/NoPods"]);
    let before = pipeline.status.unwrap().progress.unwrap();
    assert_eq!(
        status.progress,
        Some(weir_crds::resource::Progress { input_rows_per_second: 0, processed_rows_per_second: 0, ..before })
    );
}

#[test]
fn how_the_runtime_ended_is_said_in_its_own_words_and_sorted_by_who_must_act() {
    let end = |code: i32, said: &str| failing(json!({"exitCode": code, "reason": "Error", "message": said}));
    assert_conditions(&end(2, "no bucket"), &["Ready=False/ConfigError", "Stalled=True/ConfigError"]);
    assert_conditions(&end(3, "S3 was away"), &["Ready=False/DependencyUnavailable", "Stalled=False/UpToDate"]);
    assert_conditions(&end(4, "a record"), &["Ready=False/BadRecord", "Stalled=True/BadRecord"]);
    assert_conditions(&end(5, "fenced"), &["Ready=False/Fenced", "Stalled=False/UpToDate"]);
    assert_conditions(&end(6, "the memory limit"), &["Ready=False/OutOfMemory", "Stalled=False/UpToDate"]);
    assert_conditions(&end(70, "a bug"), &["Ready=False/RuntimeBug", "Stalled=True/RuntimeBug"]);
    assert_eq!(end(2, "no bucket\n").restarts.unwrap().last_reason.as_deref(), Some("no bucket"));
    let killed = failing(json!({"exitCode": 137, "reason": "OOMKilled"}));
    assert_conditions(&killed, &["Ready=False/OutOfMemory", "Stalled=False/UpToDate"]);
}

#[test]
fn a_change_that_was_rolled_back_is_stalled_in_the_runtimes_words_while_what_ran_before_is_ready() {
    let changed = rides_with("/steps/0/map/where", json!("price > 1"));
    let mut observed = cluster_running(&rides());
    let mut refused = verdict(&changed, &observed).target.unwrap();
    let failed =
        Failed { reason: "ConfigError".into(), message: "there is no bucket `lake`".into(), secrets: "lake=s1".into() };
    refused.marks.failed = Some(failed);
    observed.revisions[0].marks.good = Some(Good::Committed);
    observed.revisions.push(refused);
    let status = found(&changed, &observed, Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), None);
    assert_conditions(
        &status,
        &["Ready=True/Running", "Reconciling=False/UpToDate", "Stalled=True/RolledBack", "Validated=True/Valid"],
    );
    let stalled = &status.conditions[2].message;
    assert!(
        stalled.contains("there is no bucket `lake`") && stalled.contains(&observed.revisions[0].name),
        "{stalled}"
    );
    assert_eq!(status.runtime.unwrap().revision, observed.revisions[0].name);
}

#[test]
fn a_pod_that_cannot_start_says_why() {
    let mut observed = cluster_running(&rides());
    observed.pods = vec![pod(json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}), false)];
    let status = found(&rides(), &observed, None, None);
    assert_conditions(&status, &["Ready=False/ImagePullFailed", "Stalled=True/ImagePullFailed"]);
    observed.pods = vec![
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}}))
        .unwrap(),
    ];
    let status = found(&rides(), &observed, None, None);
    assert_conditions(&status, &["Ready=False/Unschedulable"]);
    assert!(status.conditions[0].message.contains("0/1 nodes"));
}

#[test]
fn suspended_is_ready_and_not_in_progress() {
    let pipeline = rides_with("/suspend", json!(true));
    let mut observed = cluster_running(&rides());
    let expected = ["Ready=False/Stopping", "Reconciling=True/Stopping", "Suspended=True/Suspended"];
    assert_conditions(&found(&pipeline, &observed, None, None), &expected);
    observed.pods.clear();
    let expected =
        ["Ready=True/Suspended", "Reconciling=False/UpToDate", "Stalled=False/UpToDate", "Suspended=True/Suspended"];
    assert_conditions(&found(&pipeline, &observed, None, None), &expected);
}

#[test]
fn a_condition_that_stays_keeps_its_time_of_transition() {
    let mut pipeline = rides();
    let observed = cluster_running(&pipeline);
    let mut before = found(&pipeline, &observed, Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), None);
    for condition in &mut before.conditions {
        condition.last_transition_time = at("2026-01-01T01:00:00Z");
    }
    pipeline.status = Some(before);
    let status = found(&pipeline, &observed, None, Some("no answer"));
    let time = |kind: &str| status.conditions.iter().find(|c| c.type_ == kind).unwrap().last_transition_time.clone();
    assert_eq!(time("Validated"), at("2026-01-01T01:00:00Z"));
    assert_eq!(time("Ready"), at(NOW));
}

#[test]
fn what_holds_the_watermark_is_said_in_the_words_of_the_runtime() {
    for (because, says) in [
        ("OpenTransaction", "a transaction that nobody has ended hangs open on partition 0 of the topic rides"),
        ("NotReadYet", "nothing of partition 0 of the topic rides was read yet, and it is not idle yet"),
        ("WaitsForSchema", "the next record of partition 0 of the topic rides waits for its schema"),
        ("Slowest", "partition 0 of the topic rides holds it back"),
        ("WordOfANewerRuntime", "partition 0 of the topic rides holds it back"),
    ] {
        let mut told = report("2026-01-01T11:59:58Z", 50.0, 0);
        told.sources[0].watermark_held_by.as_mut().unwrap().because = serde_json::from_value(json!(because)).unwrap();
        let mut pipeline = rides();
        let mut before = found(&pipeline, &cluster_running(&pipeline), Some(&told), None);
        before.progress.as_mut().unwrap().watermark_moved_at = Some(at("2026-01-01T11:50:00Z"));
        pipeline.status = Some(before);
        let status = found(&pipeline, &cluster_running(&pipeline), Some(&told), None);
        assert_conditions(&status, &["WatermarkAdvancing=False/HeldBack"]);
        let message = status.conditions.iter().find(|c| c.type_ == "WatermarkAdvancing").map(|c| c.message.as_str());
        assert!(message.is_some_and(|message| message.ends_with(says)), "{message:?}");
        let hold = status.progress.and_then(|p| p.watermark_held_by).unwrap();
        assert_eq!(hold.because.as_deref(), Some(because));
    }
}

#[test]
fn a_partition_that_has_waited_long_for_a_schema_is_named_in_the_status_and_in_a_condition() {
    let wait = |topic: &str, since: &str, partitions| {
        let (topic, since) = (topic.to_owned(), since.to_owned());
        Some(SchemaWait { topic, partition: 1, offset: 7, schema_id: "12".into(), since, partitions })
    };
    let with = |of_rides: Option<SchemaWait>, of_fares: Option<SchemaWait>| {
        let mut told = report("2026-01-01T11:59:58Z", 50.0, 0);
        told.sources.push(source("fares", 50.0, "2026-01-01T11:50:00.000Z", 0));
        (told.sources[0].waits_for_schema, told.sources[1].waits_for_schema) = (of_rides, of_fares);
        found(&rides(), &cluster_running(&rides()), Some(&told), None)
    };
    let recent = with(wait("rides", "2026-01-01T11:59:30.000Z", 1), None);
    assert_conditions(&recent, &["Ready=True/Running", "DataFlowing=True/RecordsArriving"]);
    assert_eq!(recent.progress.and_then(|p| p.waits_for_schema).map(|wait| wait.source).as_deref(), Some("rides"));

    for (rides, partitions, others) in
        [(None, 1, ""), (wait("rides", "2026-01-01T11:55:00.000Z", 2), 3, ", and 2 more wait for schemas")]
    {
        let status = with(rides, wait("fares", "2026-01-01T11:50:00.000Z", 1));
        assert_conditions(&status, &["Ready=True/Running", "DataFlowing=False/WaitingForSchema"]);
        let message = status.conditions.iter().find(|c| c.type_ == "DataFlowing").map(|c| c.message.clone());
        let says = format!(
            "partition 1 of the topic fares has waited since 2026-01-01T11:50:00Z for schema 12, which its record at \
             offset 7 needs{others}: see what became of the schema registry"
        );
        assert_eq!(message, Some(says));
        let expected = json!({
            "source": "fares", "topic": "fares", "partition": 1, "offset": 7, "schemaId": "12",
            "since": "2026-01-01T11:50:00Z", "partitions": partitions,
        });
        assert_eq!(json!(status)["progress"]["waitsForSchema"], expected);
    }
}

/// A quiet source beside a busy one: its watermark is the pipeline's, and that is no problem.
#[test]
fn of_several_sources_the_one_with_the_least_watermark_holds_and_records_are_to_arrive_at_that_one() {
    for (rate_of_fares, expected) in [(50.0, "False/HeldBack"), (0.0, "Unknown/NoRecords")] {
        let mut told = report("2026-01-01T11:59:58Z", 50.0, 0);
        told.sources = vec![
            source("rides", 50.0, "2026-01-01T11:55:00Z", 0),
            source("fares", rate_of_fares, "2026-01-01T11:50:00.000Z", 0),
        ];
        let mut pipeline = rides();
        let mut before = found(&pipeline, &cluster_running(&pipeline), Some(&told), None);
        before.progress.as_mut().unwrap().watermark_moved_at = Some(at("2026-01-01T11:50:00Z"));
        pipeline.status = Some(before);
        let status = found(&pipeline, &cluster_running(&pipeline), Some(&told), None);
        assert_conditions(&status, &[&format!("WatermarkAdvancing={expected}")]);
        assert_eq!(status.progress.and_then(|p| p.watermark_held_by).map(|hold| hold.source).as_deref(), Some("fares"));
    }
}

#[test]
fn a_state_action_was_done_when_the_runtime_says_so() {
    let mut pipeline = rides_with("/stateAction", json!({"token": "a", "discard": {}}));
    let observed = cluster_running(&pipeline);
    assert_eq!(found(&pipeline, &observed, None, None).state_action_token, None);
    let told = Report { state_action_token: Some("a".into()), ..report("2026-01-01T11:59:58Z", 50.0, 0) };
    let status = found(&pipeline, &observed, Some(&told), None);
    assert_eq!(status.state_action_token.as_deref(), Some("a"));
    pipeline.status = Some(status);
    assert_eq!(found(&pipeline, &observed, None, None).state_action_token.as_deref(), Some("a"), "it stays known");
}

#[test]
fn pods_that_a_quota_or_a_policy_refuses_are_said() {
    let mut observed = cluster_running(&rides());
    observed.pods.clear();
    let deployment = observed.deployment.as_mut().unwrap();
    (deployment.metadata.generation, deployment.status) = (Some(3), None);
    let status = |observed: u64| {
        let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "pods \
            \"rides\" is forbidden: exceeded quota"});
        serde_json::from_value(json!({"observedGeneration": observed, "conditions": [failure]})).unwrap()
    };
    deployment.status = Some(status(3));
    let refused = found(&rides(), &observed, None, None);
    assert_conditions(&refused, &["Ready=False/PodRefused", "Reconciling=False/PodRefused", "Stalled=True/PodRefused"]);
    assert!(refused.conditions[0].message.ends_with("exceeded quota"), "{}", refused.conditions[0].message);
    // The controller has not looked at this template yet.
    observed.deployment.as_mut().unwrap().status = Some(status(2));
    assert_conditions(&found(&rides(), &observed, None, None), &["Ready=False/Starting"]);
}

#[test]
fn no_replicas_are_suspended_by_another_name() {
    let pipeline = rides_with("/replicas", json!(0));
    let mut observed = cluster_running(&rides());
    let expected = ["Ready=False/Stopping", "Reconciling=True/Stopping", "Suspended=True/Suspended"];
    assert_conditions(&found(&pipeline, &observed, None, None), &expected);
    observed.pods.clear();
    let status = found(&pipeline, &observed, None, None);
    let expected =
        ["Ready=True/Suspended", "Reconciling=False/UpToDate", "Stalled=False/UpToDate", "Suspended=True/Suspended"];
    assert_conditions(&status, &expected);
    assert!(status.conditions[0].message.contains("spec.replicas: 1 goes on"), "{}", status.conditions[0].message);
    assert_eq!(status.conditions[6].message, "spec.replicas is 0");
}

#[test]
fn overdue_is_judged_by_the_document_that_runs() {
    let slow = rides_with("/trigger", json!({"type": "Interval", "interval": "1h"}));
    let mut refused = slow.clone();
    refused.spec["trigger"]["interval"] = json!("5s");
    refused.spec["steps"][1]["aggregate"]["window"]["tumbling"]["size"] = json!("7m");
    let status = found(&refused, &cluster_running(&slow), Some(&report("2026-01-01T11:10:00Z", 50.0, 9)), None);
    assert_conditions(&status, &["Ready=True/Running", "Stalled=True/StateIncompatible"]);
}

#[test]
fn what_can_not_be_read_and_runs_is_ready_as_it_was_and_stalled() {
    let mut observed = cluster_running(&rides());
    let lost = observed.revisions.remove(0);
    let mut pipeline = rides_with("/steps/0/map/where", json!("price > 1"));
    pipeline.status = Some(
        serde_json::from_value(json!({"runtime": {"image": "i", "revision": lost.name, "generation": 1}})).unwrap(),
    );
    let status = found(&pipeline, &observed, Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), None);
    assert_conditions(&status, &["Ready=True/Running", "Stalled=True/RevisionUnreadable", "Validated=True/Valid"]);
    assert_eq!(status.runtime, pipeline.status.unwrap().runtime);
}
