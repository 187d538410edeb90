#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weir_crds::resource::{Reason, StreamPipeline};

use crate::claims::{Claims, places_of};
use crate::fixtures::{cluster_running, empty_cluster, owner, readings, rides, rides_with, settings, verdict};
use crate::marks::Good;
use crate::observed::Observed;
use crate::revision::Revision;
use crate::verdict::judge;

fn assert_refused(pointer: &str, value: Value, reason: Reason, says: &str) {
    let observed = cluster_running(&rides());
    let found = verdict(&rides_with(pointer, value), &observed);
    let refusal = found.refusal.expect(pointer);
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    assert!(refusal.message.contains(says), "{}", refusal.message);
    assert_eq!(found.target.unwrap().name, observed.revisions[0].name, "what runs goes on");
}

#[test]
fn a_right_document_is_accepted_with_the_operators_image() {
    let found = verdict(&rides(), &empty_cluster());
    assert_eq!(found.refusal, None);
    assert_eq!(found.target.unwrap().inputs.image, "registry.example:5000/weir:1.0.0");
}

#[test]
fn a_wrong_document_is_refused_with_its_path_and_leaves_alone_what_runs() {
    assert_refused(
        "/steps/0/map/where",
        json!("prise >= 0"),
        Reason::InvalidDocument,
        "spec.steps[0].map.where: there is no column",
    );
}

#[test]
fn a_wrong_first_document_runs_nothing() {
    let found = verdict(&rides_with("/sinks/0/from", json!("nowhere")), &empty_cluster());
    assert_eq!((found.target, found.refusal.unwrap().reason), (None, Reason::InvalidDocument));
}

#[test]
fn a_missing_secret_is_refused() {
    let mut observed = empty_cluster();
    observed.secrets.insert("lake".into(), None);
    let found = verdict(&rides(), &observed);
    assert_eq!((found.target, found.refusal.unwrap().reason), (None, Reason::SecretMissing));
}

#[test]
fn changes_that_saved_state_fits_roll_out() {
    let observed = cluster_running(&rides());
    let changes = [
        ("/steps/0/map/where", json!("price > 1")),
        ("/sources/0/eventTime/watermarkDelay", json!("20m")),
        ("/limits", json!({"recordsPerEpoch": 1000})),
        ("/trigger/interval", json!("7s")),
    ];
    for (pointer, value) in changes {
        let found = verdict(&rides_with(pointer, value), &observed);
        assert_eq!(found.refusal, None, "{pointer}");
        assert_ne!(found.target.unwrap().name, observed.revisions[0].name, "{pointer}");
    }
}

#[test]
fn changes_that_saved_state_does_not_fit_are_refused_and_name_step_and_difference() {
    let state = Reason::StateIncompatible;
    assert_refused(
        "/steps/1/aggregate/window/tumbling/size",
        json!("7m"),
        state,
        "step `revenue` had windows of 300 s and now has windows of 420 s",
    );
    assert_refused("/steps/1/aggregate/columns/2/expr", json!("max(price)"), state, "now needs max(price)");
    assert_refused("/sources/0/kafka/topics", json!(["other"]), state, "source `rides` read the topics");
}

#[test]
fn the_same_document_is_the_same_revision_whatever_the_operator_would_build_today() {
    let mut observed = cluster_running(&rides());
    // The template of an older operator.
    observed.revisions[0].template.spec.as_mut().unwrap().termination_grace_period_seconds = Some(7);
    let mut newer = settings();
    newer.runtime_image = "registry.example:5000/weir:2.0.0".into();
    let target = judge(&rides(), &owner(), &observed, &newer, &readings(&rides(), &observed)).target.unwrap();
    assert_eq!(target, observed.revisions[0]);
    // A changed document does not adopt the new default image either.
    let changed = judge(
        &rides_with("/steps/0/map/where", json!("price > 1")),
        &owner(),
        &observed,
        &newer,
        &readings(&rides_with("/steps/0/map/where", json!("price > 1")), &observed),
    )
    .target
    .unwrap();
    assert_eq!(changed.inputs.image, "registry.example:5000/weir:1.0.0");
}

#[test]
fn an_image_that_the_spec_no_longer_names_is_not_kept() {
    for given in [("/image", "registry.example:5000/wrong:9"), ("/runtimeVersion", "9")] {
        let observed = cluster_running(&rides_with(given.0, json!(given.1)));
        let again = verdict(&rides(), &observed).target.unwrap();
        assert_eq!(again.inputs.image, "registry.example:5000/weir:1.0.0");
    }
}

#[test]
fn a_checkpoint_belongs_to_the_pipeline_that_was_there_first() {
    let mut observed = empty_cluster();
    let mut first = rides();
    (first.metadata.name, first.metadata.uid) = (Some("first".into()), Some("1".into()));
    let claims = Claims::default();
    claims.hold(&first, places_of(&first));
    observed.conflict = claims.claim(&rides(), Vec::new(), [&first].into_iter());
    let refusal = verdict(&rides(), &observed).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::CheckpointInUse);
    assert!(refusal.message.contains("of the pipeline data/first"), "{}", refusal.message);
}

#[test]
fn a_state_action_lets_a_change_pass_until_it_was_done() {
    let observed = cluster_running(&rides());
    let mut changed = rides_with("/steps/1/aggregate/window/tumbling/size", json!("7m"));
    changed.spec["stateAction"] = json!({"token": "a", "discard": {}});
    assert_eq!(verdict(&changed, &observed).refusal, None);
    changed.status = serde_json::from_value(json!({"conditions": [], "replicas": 1, "stateActionToken": "a"})).unwrap();
    let refusal = verdict(&changed, &observed).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::StateIncompatible);
    assert!(
        refusal.message.ends_with("undo the change, or give a spec.stateAction with a new token"),
        "{}",
        refusal.message
    );
}

/// A was accepted, then B. B runs, and its revision is missing.
fn with_the_running_revision_lost() -> (StreamPipeline, Observed) {
    let b = rides_with("/steps/0/map/where", json!("price > 1"));
    let mut observed = cluster_running(&rides());
    observed.revisions[0].marks.good = Some(Good::Committed);
    let of_b = cluster_running(&b);
    observed.deployment = of_b.deployment;
    observed.last_revision = Some(of_b.revisions[0].name.clone());
    (b, observed)
}

#[test]
fn what_runs_and_cannot_be_read_is_left_as_it_is_and_no_older_document_takes_its_place() {
    let (_, observed) = with_the_running_revision_lost();
    for (spec, reason) in [
        (rides_with("/sinks/0/from", json!("nowhere")), Reason::InvalidDocument),
        (rides_with("/steps/0/map/where", json!("price > 2")), Reason::RevisionUnreadable),
        (rides(), Reason::RevisionUnreadable),
    ] {
        let found = verdict(&spec, &observed);
        let refusal = found.refusal.unwrap();
        assert_eq!((found.target, refusal.reason), (None, reason));
        assert!(refusal.message.contains(observed.last_revision.as_ref().unwrap()), "{}", refusal.message);
        assert!(
            refusal.message.contains("is gone: apply the document that runs, or delete the Deployment"),
            "{}",
            refusal.message
        );
    }
}

#[test]
fn a_lost_revision_is_written_anew_around_the_pods_as_they_are_when_the_document_is_the_one_that_runs() {
    let (b, mut observed) = with_the_running_revision_lost();
    // The template of an older operator.
    let deployed = observed.deployment.as_mut().unwrap().spec.as_mut().unwrap();
    deployed.template.spec.as_mut().unwrap().termination_grace_period_seconds = Some(7);
    let found = verdict(&b, &observed);
    let target = found.target.unwrap();
    assert_eq!((found.refusal, Some(&target.name)), (None, observed.last_revision.as_ref()));
    assert_eq!(target.template.spec.unwrap().termination_grace_period_seconds, Some(7));
    assert!(!target.template.metadata.unwrap().annotations.unwrap().contains_key("weir.dev/secrets"));
}

#[test]
fn a_lost_revision_that_this_operator_has_deployed_is_written_as_it_was_without_the_api_servers_defaults() {
    let (b, mut observed) = with_the_running_revision_lost();
    let wanted = verdict(&b, &empty_cluster()).target.unwrap().template;
    let deployment = observed.deployment.as_mut().unwrap();
    deployment.status = None;
    let hash = crate::write::hash(&serde_json::to_value(&deployment).unwrap());
    deployment.metadata.annotations = Some([("weir.dev/applied".to_owned(), hash)].into());
    deployment.spec.as_mut().unwrap().template.spec.as_mut().unwrap().dns_policy = Some("ClusterFirst".to_owned());
    assert_eq!(verdict(&b, &observed).target.unwrap().template, wanted);
}

#[test]
fn where_nothing_runs_a_lost_revision_gives_way_to_a_right_document_and_to_no_older_one() {
    let (b, mut observed) = with_the_running_revision_lost();
    observed.deployment = None;
    assert_eq!(verdict(&b, &observed).refusal, None);
    let found = verdict(&rides_with("/sinks/0/from", json!("nowhere")), &observed);
    assert_eq!((found.target, found.refusal.unwrap().reason), (None, Reason::InvalidDocument));
}

#[test]
fn a_newer_operators_revision_is_left_alone_whatever_the_document_says() {
    let (b, mut observed) = with_the_running_revision_lost();
    observed.unreadable.insert(observed.last_revision.clone().unwrap(), "unknown field `cohort`".into());
    for spec in [b, rides(), rides_with("/sinks/0/from", json!("nowhere"))] {
        let found = verdict(&spec, &observed);
        assert_eq!(found.target, None);
        assert!(
            found.refusal.unwrap().message.contains("can't be read (unknown field `cohort`): it is a newer operator's")
        );
    }
}

#[test]
fn a_revision_with_a_field_of_a_newer_operator_is_not_read_in_part() {
    let revision = &cluster_running(&rides()).revisions[0];
    let mut object = revision.to_object(&owner());
    assert_eq!(Revision::from_object(&object).as_ref(), Ok(revision));
    for at in ["/inputs", ""] {
        object.data.as_mut().unwrap().0.pointer_mut(at).unwrap()["cohort"] = json!("b");
        assert!(Revision::from_object(&object).unwrap_err().contains("unknown field `cohort`"));
        object = revision.to_object(&owner());
    }
}

#[test]
fn a_document_that_pods_could_not_be_given_is_refused_and_a_large_one_has_no_spaces() {
    // Many columns with long names. They are computed once and passed on, because the number of expressions is limited.
    let with = |steps: usize| {
        let mut pipeline = rides();
        let passed_on = ["city", "price", "distanceKm"].map(|name| json!({"name": name}));
        let long: Vec<_> = (0..240).map(|i| json!({"name": format!("{}{i}", "c".repeat(60))})).collect();
        let computed = long.iter().map(|column| json!({"name": column["name"], "expr": "city"})).collect();
        for i in 0..steps {
            let columns: Vec<_> = passed_on.iter().chain(if i == 0 { &computed } else { &long }).collect();
            let from = pipeline.spec["steps"][0]["map"]["from"].take();
            pipeline.spec["steps"][0]["map"]["from"] = json!(format!("s{i}"));
            let step = json!({"name": format!("s{i}"), "map": {"from": from, "columns": columns}});
            pipeline.spec["steps"].as_array_mut().unwrap().push(step);
        }
        pipeline
    };
    let (small, large) = (with(0), with(25));
    let text = |pipeline| verdict(&pipeline, &empty_cluster()).target.unwrap().inputs.document_text;
    assert!(text(small).contains("\n  \"spec\": {"));
    assert!(!text(large).contains('\n'));
    let refusal = verdict(&with(60), &empty_cluster()).refusal.unwrap();
    assert_eq!(refusal.reason, Reason::InvalidDocument);
    assert!(refusal.message.contains("write at most 900000"), "{}", refusal.message);
}
