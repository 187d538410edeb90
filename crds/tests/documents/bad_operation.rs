//! Errors in fields that only the operator uses.

use crate::right::{RIGHT, findings};

/// The right document with `fields` added to its spec.
fn with_spec(fields: &str) -> String {
    RIGHT.replace("\n  sinks:", &format!("\n{fields}\n  sinks:"))
}

#[track_caller]
fn said_of(fields: &str, right: &[&str]) {
    assert_eq!(findings(&with_spec(fields)), right);
}

#[test]
fn pods_ask_for_no_more_than_they_may_use() {
    said_of(
        "  resources: {requests: {cpu: 2500m, memory: 1Gi}, limits: {cpu: 2, memory: lots}}",
        &[
            "spec.resources.limits.memory: found `lots`: write an amount as a Kubernetes quantity, such as \
             500m, 2 or 1Gi",
            "spec.resources.requests.cpu: is more than the limit of cpu, which Kubernetes refuses: write at most that",
        ],
    );
}

#[test]
fn a_memory_limit_in_which_no_pipeline_begins_is_refused() {
    let limit = |memory: &str| format!("  resources: {{limits: {{memory: {memory}}}}}");
    for too_little in ["64", "63Mi", "60M"] {
        let said = format!(
            "spec.resources.limits.memory: found `{too_little}`; a pipeline needs at least 64Mi to begin: write 64Mi \
             or more"
        );
        said_of(&limit(too_little), &[&said]);
    }
    said_of(&limit("64Mi"), &[]);
}

#[test]
fn the_operators_own_labels_are_not_the_persons_to_set() {
    said_of(
        "  podTemplate: {labels: {weir.dev/pipeline: a, team: 'a b', 'x y': z}, nodeSelector: {weir.dev/pool: a}}",
        &[
            "spec.podTemplate.labels.team: found `a b`: write at most 63 ASCII letters, digits, dots, hyphens and \
             underscores",
            "spec.podTemplate.labels[\"weir.dev/pipeline\"]: begins with weir.dev/, which the operator keeps for \
             itself; take another key",
            "spec.podTemplate.labels[\"x y\"]: `x y` is no key that Kubernetes takes: write ASCII letters, digits, \
             dots, \
             hyphens and underscores, as in example.com/team",
        ],
    );
}

#[test]
fn names_in_the_pod_template_are_those_of_objects() {
    said_of(
        "  podTemplate: {priorityClassName: High, serviceAccountName: '', env: [{name: A-B, value: a}]}",
        &[
            "spec.podTemplate.priorityClassName: found `High`: write the name of a PriorityClass, lower-case \
             letters, digits, \
             hyphens and dots",
            "spec.podTemplate.serviceAccountName: found ``: write the name of a ServiceAccount, lower-case \
             letters, digits, \
             hyphens and dots",
            "spec.podTemplate.env[0].name: found `A-B`: write ASCII letters, digits and underscores, not \
             beginning with a digit",
        ],
    );
}

#[test]
fn kubernetes_own_blocks_have_no_other_fields_than_kubernetes_knows() {
    let said = findings(&with_spec("  podTemplate: {tolerations: [{key: spot, opperator: Exists}]}"));
    assert!(
        said.len() == 1 && said[0].starts_with("spec.podTemplate.tolerations[0].opperator: there is no field"),
        "{said:?}"
    );
}

#[test]
fn a_variable_stands_once_in_the_environment() {
    let said = findings(&with_spec("  podTemplate: {env: [{name: A, value: a}, {name: A, value: b}]}"));
    assert!(said.len() == 1 && said[0].ends_with("environment variables have different names"), "{said:?}");
}

#[test]
fn an_image_and_a_version_are_such() {
    said_of(
        "  image: weir latest\n  runtimeVersion: '-1'",
        &[
            "spec.image: found `weir latest`: write an image, as in registry.example.com/weir:0.1.0",
            "spec.runtimeVersion: found `-1`: write a version of the runtime, as in 0.1.0",
        ],
    );
}

#[test]
fn runs_by_schedule_or_token_belong_to_available_now() {
    let with_trigger = |trigger: &str| findings(&RIGHT.replace("{type: Interval, interval: 5s}", trigger));
    assert_eq!(
        with_trigger("{type: AsSoonAsPossible, schedule: 0 2 * * *, runToken: a}"),
        [
            "spec.trigger.schedule: belongs to the type `AvailableNow`, and the type is `AsSoonAsPossible`; leave it \
             out",
            "spec.trigger.runToken: belongs to the type `AvailableNow`, and the type is `AsSoonAsPossible`; leave it \
             out",
        ]
    );
    assert_eq!(
        with_trigger("{type: AvailableNow, schedule: 0 25 * * *, runToken: a b}"),
        [
            "spec.trigger.schedule: found `25` as the hour: write *, 0 to 23, ranges as in 0-23 and steps as in */2",
            "spec.trigger.runToken: found `a b`: write 1 to 63 ASCII letters, digits, dots, hyphens and underscores, \
             as in run-7",
        ]
    );
    assert_eq!(with_trigger("{type: AvailableNow, runToken: run-7}"), Vec::<String>::new());
    assert_eq!(with_trigger("{type: AvailableNow, schedule: '0 2 * * mon-fri'}"), Vec::<String>::new());
    assert_eq!(
        with_trigger("{type: AvailableNow, schedule: 0 2 31 2 *}"),
        ["spec.trigger.schedule: found `0 2 31 2 *`, which no day in any year is: write a day that the month has"]
    );
}

#[test]
fn a_state_action_is_named_and_is_one_of_two() {
    let token = "spec.stateAction.token: found `a b`: write 1 to 63 ASCII letters, digits, dots, hyphens and \
                 underscores, as in run-7";
    let epoch = "spec.stateAction.restore.epoch: found 0: write the number of an epoch, from 1";
    // Both errors at once.
    said_of("  stateAction: {token: a b, restore: {epoch: 0}}", &[token, epoch]);
    said_of(
        "  stateAction: {token: a}",
        &["spec.stateAction: found none of discard or restore; exactly one should be there"],
    );
    said_of(
        "  stateAction: {token: a, discard: {}, restore: {epoch: 7}}",
        &["spec.stateAction: found discard and restore; exactly one of discard or restore should be there"],
    );
}
