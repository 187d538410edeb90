//! Calls of the API server that fail.

use super::*;
use crate::error::Error;
use crate::status::interrupted;

fn failing_to_apply(observed: &Observed, report: Option<&Report>, failure: &Error) -> Status {
    let (pipeline, owner) = (rides(), owner());
    let verdict = verdict(&pipeline, observed);
    let failure = Some(failure);
    status(&Facts {
        pipeline: &pipeline,
        owner: &owner,
        verdict: &verdict,
        observed,
        report,
        unreachable: None,
        failure,
        runs: None,
        now: at(NOW),
    })
}

fn answer(code: u16) -> Error {
    let said = json!({"status": "Failure", "message": "spec.clusterIP: Invalid value", "reason": "", "code": code});
    Error::Kube {
        doing: "apply Service rides".into(),
        source: Box::new(kube::Error::Api(Box::new(serde_json::from_value(said).unwrap()))),
    }
}

#[test]
fn what_the_api_server_does_not_take_is_stalled_and_what_it_can_not_take_now_is_in_progress() {
    let nothing = empty_cluster();
    let not_ours = Error::NotOurs { message: "the Service `rides` is not the pipeline's".into() };
    for (failure, reason) in [(answer(422), "ApplyFailed"), (answer(403), "ApplyFailed"), (not_ours, "NameInUse")] {
        let status = failing_to_apply(&nothing, None, &failure);
        let expected =
            [format!("Ready=False/{reason}"), format!("Reconciling=False/{reason}"), format!("Stalled=True/{reason}")];
        assert_conditions(&status, &expected.each_ref().map(String::as_str));
        assert_eq!(status.conditions[2].message, failure.to_string());
        assert_eq!((status.observed_generation, status.runtime), (Some(1), None), "nothing runs yet");
    }
    let status = failing_to_apply(&nothing, None, &answer(503));
    assert_conditions(&status, &["Ready=False/ApplyFailed", "Reconciling=True/ApplyFailed", "Stalled=False/UpToDate"]);
    // The running revision keeps running.
    let status =
        failing_to_apply(&cluster_running(&rides()), Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), &answer(422));
    assert_conditions(&status, &["Ready=True/Running", "Reconciling=False/ApplyFailed", "Stalled=True/ApplyFailed"]);
}

#[test]
fn a_look_that_was_cut_short_says_why_and_leaves_the_rest_as_it_was() {
    let mut pipeline = rides();
    let status = interrupted(&pipeline, &answer(403), &at(NOW));
    assert_conditions(
        &status,
        &["Ready=False/ApplyFailed", "Reconciling=False/ApplyFailed", "Stalled=True/ApplyFailed"],
    );
    pipeline.status =
        Some(found(&pipeline, &cluster_running(&pipeline), Some(&report("2026-01-01T11:59:58Z", 1.0, 0)), None));
    let status = interrupted(&pipeline, &answer(403), &at(NOW));
    assert_conditions(
        &status,
        &["Ready=True/Running", "Reconciling=False/ApplyFailed", "Stalled=True/ApplyFailed", "Validated=True/Valid"],
    );
    assert_eq!(status.progress, pipeline.status.unwrap().progress);
}
